/* One way to set the stage for both groups of tests. */
#include "unit.h"

#include "oidc_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "http_server.h"
#include "net/fetch.h"
#include "settings.h"
#include "tokens.h"
#include "util/arena.h"
#include "util/memory.h"

/* LONG is shorter than most machines are up: a time that was never set shows. */
enum { LONG = 600 * 1000, NEVER = 24 * 3600 * 1000, DEADLINE_MS = 30 * 1000 };

const struct oidc_times lasting = {LONG, NEVER, NEVER, NEVER, NEVER, NEVER};

static const char *lookup(void *context, const char *name)
{
    const struct scene *scene = context;

    if (strcmp(name, "OIDC_ISSUERS") == 0)
        return scene->issuers;
    if (strcmp(name, "OIDC_GROUPS") == 0)
        return scene->groups;
    if (strcmp(name, "OIDC_ENABLE") == 0)
        return scene->enable;
    return strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0 ? "x" : NULL;
}

void read_settings(struct scene *scene)
{
    settings_release(scene->settings);
    scene->settings = settings_read(lookup, scene, stderr);
    assert_non_null(scene->settings);
}

const char *discovery_of(struct scene *scene, const char *members)
{
    const char *url = stand_in_url(scene->provider);

    return arena_format(
        scene->arena, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s/keys\",\"userinfo_endpoint\":\"%s/userinfo\"%s}",
        url, url, url, members);
}

void set_keys(struct scene *scene, const char *list)
{
    stand_in_answer(scene->provider, ROUTE_KEYS, "200 OK",
                    arena_format(scene->arena, "{\"keys\":[%s]}", list));
}

void set_userinfo(struct scene *scene, const char *body)
{
    stand_in_answer(scene->provider, ROUTE_USERINFO, "200 OK", body);
}

struct scene open_scene(void **state, const struct oidc_times *times)
{
    struct scene scene = {.keys = *(struct keys *)*state,
                          .arena = arena_new(),
                          .provider = stand_in_start(),
                          .fetcher = fetcher_new(NULL)};

    scene.enable = "true";
    scene.expires = instant_now().seconds + 3600;
    scene.groups = "vo.one, vo.two";
    scene.issuers =
        arena_format(scene.arena, "https://other.invalid/realms/x, %s", stand_in_url(scene.provider));
    read_settings(&scene);
    scene.oidc = oidc_new(times);
    stand_in_answer(scene.provider, ROUTE_DISCOVERY, "200 OK",
                    discovery_of(&scene, ",\"id_token_signing_alg_values_supported\":[\"RS256\",\"ES256\"]"));
    set_keys(&scene, arena_format(scene.arena, "%s,%s", jwk_of(scene.arena, scene.keys.rsa, ",\"kid\":\"r\""),
                                  jwk_of(scene.arena, scene.keys.p256, ",\"kid\":\"e\"")));
    set_userinfo(&scene, "{\"sub\":\"u1\",\"group_membership\":[\"vo.two\"]}");
    return scene;
}

void close_scene(struct scene *scene)
{
    oidc_free(scene->oidc);
    fetcher_free(scene->fetcher);
    settings_release(scene->settings);
    stand_in_stop(scene->provider);
    arena_free(scene->arena);
}

const char *claims_of(struct scene *scene, const char *subject)
{
    return arena_format(scene->arena, "{\"iss\":\"%s\",\"sub\":\"%s\",\"exp\":%lld}",
                        stand_in_url(scene->provider), subject, (long long)scene->expires);
}

const char *token_of(struct scene *scene, const char *subject)
{
    return make_token(scene->arena, scene->keys.rsa, "RS256", "r", claims_of(scene, subject));
}

struct auth_context context_of(struct scene *scene)
{
    return (struct auth_context){
        .settings = scene->settings,
        .arena = scene->arena,
        .fetcher = scene->fetcher,
        .oidc = scene->oidc,
        .client = -1,
        .may_wait = true,
        .now = instant_now(),
        .deadline = clock_ms() + DEADLINE_MS,
    };
}

enum auth_result check_with(struct scene *scene, const struct auth_context *context, const char *token)
{
    scene->refusal = (struct auth_refusal){.status = 401, .text = "invalid credentials", .challenge = "c"};
    scene->identity = (struct identity){.kind = IDENTITY_NOBODY};
    return oidc_check(context, text_of(token), &scene->identity, &scene->refusal);
}

enum auth_result check(struct scene *scene, const char *token)
{
    struct auth_context context = context_of(scene);

    return check_with(scene, &context, token);
}

unsigned asked(const struct scene *scene, enum route route)
{
    return stand_in_asked(scene->provider, route);
}

void assert_passed(const struct scene *scene, enum auth_result result, const char *user)
{
    if (result != AUTH_PASSED)
        print_error("%s\n", scene->refusal.reason);
    assert_int_equal(result, AUTH_PASSED);
    assert_int_equal(scene->identity.kind, IDENTITY_USER);
    assert_true(text_is(scene->identity.user, user));
}

void assert_refused(const struct scene *scene, enum auth_result result, int status, const char *reason)
{
    assert_int_equal(result, AUTH_REFUSED);
    assert_int_equal(scene->identity.kind, IDENTITY_NOBODY);
    if (scene->refusal.status != status)
        print_error("%s\n", scene->refusal.reason);
    assert_int_equal(scene->refusal.status, status);
    assert_string_equal(scene->refusal.reason, reason);
    if (status == 401) {
        assert_non_null(scene->refusal.challenge);
        assert_string_equal(scene->refusal.text, "invalid credentials");
    } else {
        assert_null(scene->refusal.challenge);
    }
}

int make_keys(void **state)
{
    struct keys *keys = memory_new(1, sizeof(*keys));

    *keys = (struct keys){make_rsa(), make_rsa(), make_ec("P-256"), make_ec("P-384")};
    if (init_library(state) != 0)
        return -1;
    *state = keys;
    return 0;
}

int free_keys(void **state)
{
    struct keys *keys = *state;

    EVP_PKEY_free(keys->rsa);
    EVP_PKEY_free(keys->other_rsa);
    EVP_PKEY_free(keys->p256);
    EVP_PKEY_free(keys->p384);
    free(keys);
    return cleanup_library(state);
}
