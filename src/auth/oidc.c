/* A visit looks what is known, gets what is missing (one question at a time, and one worker a question), and
 * looks again, until there is an answer. */
#include "auth/oidc.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "auth/ask.h"
#include "auth/jwks.h"
#include "auth/provider.h"
#include "auth/remembered.h"
#include "auth/signature.h"
#include "auth/token.h"
#include "auth/userinfo.h"
#include "caps.h"
#include "log.h"
#include "net/client.h"
#include "net/fetch.h"
#include "settings.h"
#include "util/arena.h"
#include "util/cache.h"
#include "util/claims.h"
#include "util/memory.h"

enum { SECOND = 1000 };
const struct oidc_times oidc_times = {
    .fresh = OIDC_FRESH_MS,
    .usable = OIDC_USABLE_MS,
    .pause = OIDC_PAUSE_MS,
    .patience = OIDC_PATIENCE_MS,
    .user = OIDC_REMEMBERED_MS,
    .refusal = OIDC_REFUSAL_MS,
};

struct oidc {
    struct oidc_times times;
    struct providers *providers;
    struct cache *tokens; /* struct remembered */
    struct claims *claims;
};

/* What has to be asked for. */
enum need {
    NEED_NOTHING, /* the visit has its result */
    NEED_PROVIDER,
    NEED_KEYS,
    NEED_USER,
    NEEDS
};

struct visit {
    const struct auth_context *context;
    struct oidc *oidc;
    struct identity *identity;
    struct auth_refusal *refusal;
    struct text digest; /* of the token */
    struct token token;
    bool verified;     /* the signature */
    bool asked[NEEDS]; /* by this visit: not again */
    enum auth_result result;
};

struct oidc *oidc_new(const struct oidc_times *times)
{
    struct oidc *oidc = memory_new(1, sizeof(*oidc));

    oidc->times = times ? *times : oidc_times;
    oidc->providers = providers_new();
    oidc->tokens = cache_new(OIDC_TOKENS_MAX_BYTES, oidc->times.user);
    oidc->claims = claims_new();
    return oidc;
}

void oidc_free(struct oidc *oidc)
{
    if (oidc == NULL)
        return;
    claims_free(oidc->claims);
    cache_free(oidc->tokens);
    providers_free(oidc->providers);
    free(oidc);
}

void oidc_look(const struct oidc *oidc, struct cache_view *out)
{
    cache_look(oidc->tokens, out);
}

/* ---- results: each ends the visit ---- */

static enum need refuse(struct visit *visit, const char *reason)
{
    visit->refusal->reason = reason;
    visit->result = AUTH_REFUSED;
    return NEED_NOTHING;
}

static enum need refuse_without(struct visit *visit, const char *reason, int64_t retry_ms)
{
    const struct auth_refusal refusal = {
        .status = 503,
        .text = "identity provider unavailable",
        .reason = reason,
        .retry_after = retry_ms > SECOND ? (int)((retry_ms + SECOND - 1) / SECOND) : 1,
    };

    *visit->refusal = refusal;
    visit->result = AUTH_REFUSED;
    return NEED_NOTHING;
}

/* Judged at each request, by the settings in force. */
static enum need judge(struct visit *visit, const struct remembered *known)
{
    if (known->kind == REMEMBERED_REFUSED)
        return refuse(visit, known->why);
    if (known->kind == REMEMBERED_FAILED)
        return refuse_without(visit, known->why, known->until - clock_ms());
    if (!remembered_is_in(known, text_of(settings_text(visit->context->settings, OIDC_GROUPS)))) {
        *visit->refusal = (struct auth_refusal){
            .status = 403, .text = "access denied", .reason = "the user is in none of OIDC_GROUPS"};
        visit->result = AUTH_REFUSED;
        return NEED_NOTHING;
    }
    visit->identity->kind = IDENTITY_USER;
    visit->identity->user = arena_text(visit->context->arena, known->subject);
    visit->result = AUTH_PASSED;
    return NEED_NOTHING;
}

/* ---- what is known ---- */

static bool is_configured(const struct settings *settings, struct text issuer)
{
    struct text list = text_of(settings_text(settings, OIDC_ISSUERS)), configured;

    while (text_next(&list, &configured))
        if (text_equal(configured, issuer))
            return true;
    return false;
}

/* NULL when the token is not remembered; cache_value_release() it. */
static struct remembered *find_remembered(const struct visit *visit)
{
    struct remembered *known = (struct remembered *)cache_get(visit->oidc->tokens, visit->digest);

    if (known == NULL || (clock_ms() < known->until && token_time(visit->context->now) < known->expires &&
                          is_configured(visit->context->settings, known->issuer)))
        return known;
    cache_value_release(&known->value);
    return NULL;
}

static bool may_ask(const struct visit *visit, enum need need, const struct provider_state *state)
{
    return !visit->asked[need] &&
           (!state->was_asked || clock_ms() - state->asked_at >= visit->oidc->times.pause);
}

/* What a provider that hangs is asked for is not worth waiting for: tokens that anybody can make up would
 * hold all workers that may wait. */
static bool is_slow(const struct visit *visit, const struct provider_state *state)
{
    return state->is_being_asked && clock_ms() - state->asking_since >= visit->oidc->times.patience;
}

static const struct key *only_fitting_key(const struct jwks *keys, enum algorithm algorithm)
{
    const struct key *found = NULL;

    for (size_t i = 0; i < keys->count; i++) {
        if (!jwks_fits(&keys->keys[i], algorithm))
            continue;
        if (found)
            return NULL;
        found = &keys->keys[i];
    }
    return found;
}

/* NULL when one of the keys has signed the token, else why not. *other_keys: keys that were read anew might
 * say something else. */
static const char *verify(const struct token *token, const struct jwks *keys, bool *other_keys)
{
    const struct key *only = token->kid.data ? NULL : only_fitting_key(keys, token->algorithm);
    bool known = false;

    *other_keys = token->kid.data == NULL;
    if (only)
        return signature_is_valid(token, only) ? NULL : "the signature is wrong";
    if (token->kid.data == NULL)
        return "the token has no kid, and not exactly one key fits";
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->keys[i];

        if (key->kid == NULL || !text_equal((struct text){key->kid, key->kid_length}, token->kid))
            continue;
        known = true;
        if (signature_is_valid(token, key))
            return NULL;
    }
    *other_keys = !known;
    return known ? "the signature is wrong, or the key is not for the token's algorithm"
                 : "the provider has no key with the token's kid";
}

static const char slow[] = "the provider is being asked, and does not answer";

/* With a provider that is usable. */
static enum need look_at_signature(struct visit *visit, const struct provider_state *state)
{
    bool other_keys;
    const char *why;

    if (!(provider_discovery(state->provider)->algorithms >> visit->token.algorithm & 1))
        return refuse(visit,
                      arena_format(visit->context->arena, "the provider does not list the algorithm %s",
                                   algorithm_row(visit->token.algorithm)->name));
    why = verify(&visit->token, provider_keys(state->provider), &other_keys);
    if (why == NULL) {
        visit->verified = true;
        return NEED_USER;
    }
    if (!other_keys || !may_ask(visit, NEED_KEYS, state))
        return refuse(visit, why);
    return is_slow(visit, state) ? refuse_without(visit, slow, SECOND) : NEED_KEYS;
}

static enum need look_at_provider(struct visit *visit, const struct provider_state *state)
{
    int64_t now = clock_ms();
    bool usable = state->provider && now - state->read_at < visit->oidc->times.usable;

    if ((state->provider == NULL || now - state->read_at >= visit->oidc->times.fresh) &&
        may_ask(visit, NEED_PROVIDER, state) && !(usable && state->is_being_asked))
        return is_slow(visit, state) ? refuse_without(visit, slow, SECOND) : NEED_PROVIDER;
    if (usable)
        return look_at_signature(visit, state);
    return refuse_without(visit, "the provider did not answer a moment ago",
                          state->asked_at + visit->oidc->times.pause - now);
}

/* What is needed next, or the result. */
static enum need look(struct visit *visit)
{
    struct remembered *known = find_remembered(visit);
    struct provider_state state;
    enum need need;

    if (known) {
        cache_hit(visit->oidc->tokens); /* somebody else has asked meanwhile */
        need = judge(visit, known);
        cache_value_release(&known->value);
        return need;
    }
    if (visit->verified)
        return NEED_USER;
    state = providers_look(visit->oidc->providers, visit->token.issuer);
    need = look_at_provider(visit, &state);
    provider_release(state.provider);
    return need;
}

/* ---- what is asked for: with the claim on it ---- */

static void log_provider(struct text issuer, struct arena *arena, const char *message, const char *reason)
{
    log_event(LOG_WARNING, message, "issuer", arena_string(arena, issuer), "reason", reason, NULL);
}

/* A document of the provider's own, for all who wait: asked to its end, or those who come and go would keep
 * others from ever getting it. NULL body when there is none. */
static struct text get_document(const struct visit *visit, const char *url, const char *what)
{
    struct arena *arena = visit->context->arena;
    struct ask_answer answer;

    if (!ask(visit->context, url, NULL, -1, &answer))
        abort();
    if (answer.why == NULL && answer.status == 200)
        return answer.body.data ? answer.body : TEXT_LITERAL("");
    if (answer.why == NULL)
        answer.why = arena_format(arena, "HTTP status %ld", answer.status);
    log_provider(visit->token.issuer, arena, "identity provider fails",
                 arena_format(arena, "%s: %s", what, answer.why));
    return (struct text){NULL, 0};
}

/* NULL when the provider is no help. */
static struct jwks *get_keys(const struct visit *visit, const char *url)
{
    struct arena *arena = visit->context->arena;
    struct text issuer = visit->token.issuer, body = get_document(visit, url, "keys");
    struct jwks *keys;

    if (body.data == NULL)
        return NULL;
    keys = jwks_read(body);
    if (keys == NULL)
        log_provider(issuer, arena, "identity provider fails", "keys: the answer is no key set");
    else if (keys->bad > 0)
        log_provider(issuer, arena, "keys of an identity provider are left out",
                     arena_format(arena, "%s (of %zu such keys the first)", keys->bad_why, keys->bad));
    return keys;
}

static bool get_discovery(const struct visit *visit, struct discovery *out)
{
    struct arena *arena = visit->context->arena;
    struct text issuer = visit->token.issuer, body;
    const char *url = discovery_url(arena, issuer), *why = "OIDC_ISSUERS: this is no http or https URL";

    if (url) {
        body = get_document(visit, url, "discovery");
        if (body.data == NULL)
            return false;
        why = discovery_read(arena, issuer, body, out);
    }
    if (why)
        log_provider(issuer, arena, "identity provider fails", why);
    return why == NULL;
}

static void get_provider(struct visit *visit)
{
    struct discovery discovery;
    struct jwks *keys;

    providers_ask(visit->oidc->providers, visit->token.issuer);
    keys = get_discovery(visit, &discovery) ? get_keys(visit, discovery.jwks_uri) : NULL;
    providers_asked(visit->oidc->providers, visit->token.issuer, &discovery, keys);
}

static void renew_keys(struct visit *visit)
{
    struct provider_state state = providers_look(visit->oidc->providers, visit->token.issuer);
    struct jwks *keys;

    providers_ask(visit->oidc->providers, visit->token.issuer);
    keys = get_keys(visit, provider_discovery(state.provider)->jwks_uri);
    providers_asked(visit->oidc->providers, visit->token.issuer, NULL, keys);
    provider_release(state.provider);
}

/* False when the client went away, or when nobody is asked: the visit then has its result. */
static bool ask_user(struct visit *visit, const char *url, struct ask_answer *answer)
{
    const struct auth_context *context = visit->context;
    struct providers *providers = visit->oidc->providers;
    const struct oidc_times *times = &visit->oidc->times;
    bool waited;

    if (!providers_ask_user(providers, visit->token.issuer, times->patience, times->refusal)) {
        refuse_without(visit, slow, times->refusal);
        return false;
    }
    waited = ask(context, url, visit->token.bytes, context->client, answer);
    providers_asked_user(providers, visit->token.issuer,
                         !waited        ? PROVIDER_USER_LEFT
                         : answer->late ? PROVIDER_USER_LATE
                                        : PROVIDER_USER_ANSWERED);
    if (!waited)
        visit->result = AUTH_GONE;
    return waited;
}

/* What a provider's answer about the token's user comes to. */
static struct remembered *read_user(const struct visit *visit, const struct ask_answer *answer,
                                    enum userinfo_kind kind)
{
    const struct oidc_times *times = &visit->oidc->times;
    struct remembered found = {
        .kind = REMEMBERED_FAILED,
        .issuer = visit->token.issuer,
        .any_case = kind == USERINFO_EGI,
        .expires = visit->token.expires,
        .until = clock_ms() + times->refusal,
    };
    struct userinfo user = {.group_count = 0};

    if (answer->why) {
        found.why = "userinfo: the provider did not answer";
    } else if (answer->status == 401 || answer->status == 403) {
        found.kind = REMEMBERED_REFUSED;
        found.why = "userinfo: the provider does not accept the token";
    } else if (answer->status != 200) {
        found.why = "userinfo: the provider's answer is an error";
    } else if (!userinfo_read(visit->context->arena, answer->body, kind, &user)) {
        found.why = "userinfo: the provider's answer is no JSON object";
    } else if (!text_equal(user.subject, visit->token.subject)) {
        found.kind = REMEMBERED_REFUSED;
        found.why = "userinfo: the sub is missing or not the token's";
    } else {
        found.kind = REMEMBERED_USER;
        found.subject = user.subject;
        found.until = clock_ms() + times->user;
        return remembered_new(&found, user.groups, user.group_count);
    }
    return remembered_new(&found, NULL, 0);
}

static enum need get_user(struct visit *visit)
{
    const struct auth_context *context = visit->context;
    struct provider_state state = providers_look(visit->oidc->providers, visit->token.issuer);
    const struct discovery *discovery = provider_discovery(state.provider);
    struct ask_answer answer;
    struct remembered *found;

    if (ask_user(visit, discovery->userinfo_endpoint, &answer)) {
        if (answer.why)
            log_provider(visit->token.issuer, context->arena, "identity provider fails",
                         arena_format(context->arena, "userinfo: %s", answer.why));
        cache_missed(visit->oidc->tokens);
        found = read_user(visit, &answer, discovery->kind);
        if (found->value.bytes <= OIDC_USER_MAX_BYTES)
            cache_put(visit->oidc->tokens, visit->digest, &found->value, clock_ms());
        judge(visit, found);
        cache_value_release(&found->value);
    }
    provider_release(state.provider);
    return NEED_NOTHING;
}

/* ---- the visit ---- */

static void wake(void *fetcher)
{
    fetcher_wake(fetcher);
}

/* Somebody else asks for it: until they have it, or until something else happens. */
static enum need wait_for_others(struct visit *visit, enum need need)
{
    const struct auth_context *context = visit->context;
    int64_t left = context->deadline - clock_ms();

    if (left <= 0)
        return refuse_without(visit, "the deadline passed while the provider was being asked", SECOND);
    if (client_wait(context->fetcher, context->client, left < OIDC_WAIT_MS ? (int)left : OIDC_WAIT_MS))
        return need;
    visit->result = AUTH_GONE;
    return NEED_NOTHING;
}

/* What is asked for belongs to an issuer, or to a token: the digest of one is no issuer. */
static struct text claimed_key(const struct visit *visit, enum need need)
{
    return need == NEED_USER ? visit->digest : visit->token.issuer;
}

static enum need get(struct visit *visit, enum need need)
{
    visit->asked[need] = true;
    if (need == NEED_USER)
        return get_user(visit);
    if (need == NEED_PROVIDER)
        get_provider(visit);
    else
        renew_keys(visit);
    return look(visit);
}

static enum need get_or_wait(struct visit *visit, enum need need)
{
    struct text key = claimed_key(visit, need);
    struct claim *claim = claims_take(visit->oidc->claims, key);

    if (claim == NULL) {
        need = wait_for_others(visit, need);
        return need == NEED_NOTHING ? need : look(visit);
    }
    /* Whoever had the claim before may have got it. */
    need = look(visit);
    if (need != NEED_NOTHING && text_equal(claimed_key(visit, need), key))
        need = get(visit, need);
    claims_release(visit->oidc->claims, claim);
    return need;
}

static enum auth_result find_out(struct visit *visit)
{
    const struct auth_context *context = visit->context;
    struct claims_listener listener = {.wake = wake, .context = context->fetcher};
    enum need need = look(visit);

    if (need == NEED_NOTHING)
        return visit->result;
    if (!context->may_wait)
        return AUTH_WOULD_WAIT;
    claims_listen(visit->oidc->claims, &listener);
    while (need != NEED_NOTHING)
        need = get_or_wait(visit, need);
    claims_unlisten(visit->oidc->claims, &listener);
    return visit->result;
}

static struct text digest_of(struct arena *arena, struct text bearer)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;

    if (EVP_Digest(bearer.data, bearer.length, digest, &length, EVP_sha256(), NULL) != 1)
        abort();
    return arena_text(arena, (struct text){(const char *)digest, length});
}

enum auth_result oidc_check(const struct auth_context *context, struct text bearer, struct identity *identity,
                            struct auth_refusal *refusal)
{
    struct visit visit = {
        .context = context, .oidc = context->oidc, .identity = identity, .refusal = refusal};
    struct remembered *known;
    const char *why;

    if (!settings_flag(context->settings, OIDC_ENABLE)) {
        refusal->reason = "OIDC_ENABLE is false";
        return AUTH_REFUSED;
    }
    /* Only tokens that were read strictly are remembered, and these have one spelling: the digest of what
     * came finds no other. */
    if (bearer.length <= TOKEN_MAX_BYTES) {
        visit.digest = digest_of(context->arena, bearer);
        known = find_remembered(&visit);
        if (known) {
            if (!context->again)
                cache_hit(visit.oidc->tokens);
            judge(&visit, known);
            cache_value_release(&known->value);
            return visit.result;
        }
    }
    why = token_read(context->arena, bearer, &visit.token);
    if (why == NULL && !is_configured(context->settings, visit.token.issuer))
        why = "the token's issuer is not one of OIDC_ISSUERS";
    if (why == NULL)
        why = token_check_times(&visit.token, context->now);
    if (why) {
        refuse(&visit, why);
        return visit.result;
    }
    return find_out(&visit);
}
