/* From a bearer token to an identity or a refusal: against a provider on a loopback socket. */
#include "unit.h"

#include <string.h>

#include "auth/oidc.h"
#include "oidc_scene.h"
#include "settings.h"
#include "tokens.h"
#include "util/arena.h"

static void a_token_passes_and_is_remembered(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *token = token_of(&scene, "u1");

    assert_passed(&scene, check(&scene, token), "u1");
    assert_passed(&scene, check(&scene, token), "u1");
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 1);
    assert_int_equal(asked(&scene, ROUTE_KEYS), 1);
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 1);
    close_scene(&scene);
}

static void another_key_s_token_is_refused(void **state)
{
    struct scene scene = open_scene(state, &lasting);

    assert_refused(
        &scene,
        check(&scene, make_token(scene.arena, scene.keys.other_rsa, "RS256", "r", claims_of(&scene, "u1"))),
        401, "the signature is wrong, or the key is not for the token's algorithm");
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 0);
    close_scene(&scene);
}

static void who_is_in_no_group_gets_403_by_the_settings_in_force(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *token = token_of(&scene, "u1");

    scene.groups = "vo.one,vo.tw,vo.two.more";
    read_settings(&scene);
    assert_refused(&scene, check(&scene, token), 403, "the user is in none of OIDC_GROUPS");
    scene.groups = "";
    read_settings(&scene);
    assert_refused(&scene, check(&scene, token), 403, "the user is in none of OIDC_GROUPS");
    scene.groups = " vo.three , vo.two ";
    read_settings(&scene);
    assert_passed(&scene, check(&scene, token), "u1");
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 1);
    close_scene(&scene);
}

static const char *token_for_issuer(struct scene *scene, const char *issuer)
{
    return make_token(scene->arena, scene->keys.rsa, "RS256", "r",
                      arena_format(scene->arena, "{\"iss\":\"%s\",\"sub\":\"u1\",\"exp\":9e9}", issuer));
}

static void issuers_are_compared_byte_for_byte(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *url = stand_in_url(scene.provider);
    const char *const issuers[] = {
        arena_format(scene.arena, "%s/", url),
        arena_format(scene.arena, "%s0", url),
        arena_format(scene.arena, "x%s", url),
        arena_format(scene.arena, " %s", url),
        arena_format(scene.arena, "%s/realms/x", url),
        arena_format(scene.arena, "%.*s", (int)strlen(url) - 1, url),
        arena_format(scene.arena, "HTTP%s", url + strlen("http")),
        arena_format(scene.arena, "%s\\u0000", url),
        arena_format(scene.arena, "%s, https://other.invalid/realms/x", url),
        "https://other.invalid/realms/xy",
        "https://other.invalid/realms",
        ",",
    };

    for (size_t i = 0; i < COUNT_OF(issuers); i++)
        assert_refused(&scene, check(&scene, token_for_issuer(&scene, issuers[i])), 401,
                       "the token's issuer is not one of OIDC_ISSUERS");
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 0);
    assert_passed(&scene, check(&scene, token_for_issuer(&scene, url)), "u1");
    close_scene(&scene);
}

static void no_issuer_no_entry(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *token = token_of(&scene, "u1");

    assert_passed(&scene, check(&scene, token), "u1");
    scene.issuers = "";
    read_settings(&scene);
    assert_refused(&scene, check(&scene, token), 401, "the token's issuer is not one of OIDC_ISSUERS");
    assert_refused(&scene, check(&scene, token_for_issuer(&scene, "")), 401, "the token names no issuer");
    close_scene(&scene);
}

static void oidc_can_be_off(void **state)
{
    struct scene scene = open_scene(state, &lasting);

    scene.enable = "false";
    read_settings(&scene);
    assert_refused(&scene, check(&scene, token_of(&scene, "u1")), 401, "OIDC_ENABLE is false");
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 0);
    close_scene(&scene);
}

/* Only what a provider has to be asked for has to wait. */
static void who_may_not_wait_is_told_to(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    struct auth_context impatient = context_of(&scene);
    const char *token = token_of(&scene, "u1");

    impatient.may_wait = false;
    assert_int_equal(check_with(&scene, &impatient, token), AUTH_WOULD_WAIT);
    assert_int_equal(scene.identity.kind, IDENTITY_NOBODY);
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 0);
    assert_refused(&scene, check_with(&scene, &impatient, "a.b.c"), 401, "the token is no JWT");
    assert_refused(&scene, check_with(&scene, &impatient, token_for_issuer(&scene, "https://x")), 401,
                   "the token's issuer is not one of OIDC_ISSUERS");
    assert_passed(&scene, check(&scene, token), "u1");
    assert_passed(&scene, check_with(&scene, &impatient, token), "u1");
    assert_refused(
        &scene,
        check_with(&scene, &impatient,
                   make_token(scene.arena, scene.keys.other_rsa, "RS256", "r", claims_of(&scene, "u1"))),
        401, "the signature is wrong, or the key is not for the token's algorithm");
    assert_refused(
        &scene,
        check_with(&scene, &impatient,
                   make_token(scene.arena, scene.keys.rsa, "RS256", "new", claims_of(&scene, "u1"))),
        401, "the provider has no key with the token's kid");
    assert_int_equal(check_with(&scene, &impatient, token_of(&scene, "u2")), AUTH_WOULD_WAIT);
    close_scene(&scene);
}

static void a_remembered_token_ends_when_it_expires(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *token = token_of(&scene, "u1");
    struct auth_context later = context_of(&scene);

    assert_passed(&scene, check(&scene, token), "u1");
    later.now.seconds += 3590;
    assert_passed(&scene, check_with(&scene, &later, token), "u1");
    later.now.seconds += 20;
    assert_refused(&scene, check_with(&scene, &later, token), 401, "the token has expired");
    close_scene(&scene);
}

static void what_is_not_remembered_any_more_is_asked_for_again(void **state)
{
    struct oidc_times times = lasting;
    struct scene scene;
    const char *token;

    times.user = 0;
    scene = open_scene(state, &times);
    token = token_of(&scene, "u1");
    assert_passed(&scene, check(&scene, token), "u1");
    set_userinfo(&scene, "{\"sub\":\"u1\",\"group_membership\":[\"vo.three\"]}");
    assert_refused(&scene, check(&scene, token), 403, "the user is in none of OIDC_GROUPS");
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 2);
    assert_int_equal(asked(&scene, ROUTE_KEYS), 1);
    close_scene(&scene);
}

static void an_unknown_kid_reads_the_keys_again(void **state)
{
    struct oidc_times times = lasting;
    struct scene scene;

    times.pause = 0;
    scene = open_scene(state, &times);
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    set_keys(&scene, jwk_of(scene.arena, scene.keys.other_rsa, ",\"kid\":\"new\""));
    set_userinfo(&scene, "{\"sub\":\"u2\",\"group_membership\":[\"vo.one\"]}");
    assert_passed(
        &scene,
        check(&scene, make_token(scene.arena, scene.keys.other_rsa, "RS256", "new", claims_of(&scene, "u2"))),
        "u2");
    assert_int_equal(asked(&scene, ROUTE_KEYS), 2);
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 1);
    /* The old key is gone with the old set, and a wrong signature is no reason to ask. */
    assert_refused(
        &scene,
        check(&scene, make_token(scene.arena, scene.keys.rsa, "RS256", "new", claims_of(&scene, "u2"))), 401,
        "the signature is wrong, or the key is not for the token's algorithm");
    assert_int_equal(asked(&scene, ROUTE_KEYS), 2);
    /* When the keys cannot be had, those that were known stay. */
    stand_in_answer(scene.provider, ROUTE_KEYS, "500 Broken", "");
    assert_refused(&scene, check(&scene, token_of(&scene, "u3")), 401,
                   "the provider has no key with the token's kid");
    assert_passed(
        &scene,
        check(&scene, make_token(scene.arena, scene.keys.other_rsa, "RS256", "new", claims_of(&scene, "u2"))),
        "u2");
    close_scene(&scene);
}

enum { BAD_TOKENS = 10000 };

static void ten_thousand_bad_tokens_cost_one_question(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *claims = claims_of(&scene, "u1"), *signature;
    struct arena *arena = scene.arena, *round = arena_new();

    signature = strrchr(make_token(arena, scene.keys.other_rsa, "RS256", "r", claims), '.');
    scene.arena = round;
    for (int i = 0; i < BAD_TOKENS; i++) {
        const char *header = arena_format(round, "{\"alg\":\"RS256\",\"kid\":\"%d\"}", i);

        assert_refused(&scene,
                       check(&scene, arena_format(round, "%s.%s%s", base64url_of(round, text_of(header)),
                                                  base64url_of(round, text_of(claims)), signature)),
                       401, "the provider has no key with the token's kid");
        arena_reset(round);
    }
    scene.arena = arena;
    arena_free(round);
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 1);
    assert_int_equal(asked(&scene, ROUTE_KEYS), 1);
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 0);
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    close_scene(&scene);
}

static void a_token_without_kid_needs_the_only_key_that_fits(void **state)
{
    struct oidc_times times = lasting;
    struct scene scene;
    const char *rsa, *ec;

    times.pause = 0;
    times.user = 0;
    scene = open_scene(state, &times);
    rsa = sign_token(scene.arena, scene.keys.rsa, "RS256", "{\"alg\":\"RS256\"}", claims_of(&scene, "u1"));
    ec = sign_token(scene.arena, scene.keys.p256, "ES256", "{\"alg\":\"ES256\"}", claims_of(&scene, "u1"));
    assert_passed(&scene, check(&scene, rsa), "u1");
    assert_passed(&scene, check(&scene, ec), "u1");
    /* Another key in its place is read when the signature is not that of the old one. */
    set_keys(&scene, jwk_of(scene.arena, scene.keys.other_rsa, ""));
    assert_passed(&scene,
                  check(&scene, sign_token(scene.arena, scene.keys.other_rsa, "RS256", "{\"alg\":\"RS256\"}",
                                           claims_of(&scene, "u1"))),
                  "u1");
    assert_refused(&scene, check(&scene, rsa), 401, "the signature is wrong");
    assert_refused(&scene, check(&scene, ec), 401, "the token has no kid, and not exactly one key fits");
    /* With two that fit nobody guesses; a key that is for another algorithm does not fit. */
    set_keys(&scene, arena_format(scene.arena, "%s,%s", jwk_of(scene.arena, scene.keys.rsa, ",\"kid\":\"a\""),
                                  jwk_of(scene.arena, scene.keys.other_rsa, ",\"kid\":\"b\"")));
    assert_refused(&scene, check(&scene, rsa), 401, "the token has no kid, and not exactly one key fits");
    set_keys(&scene,
             arena_format(scene.arena, "%s,%s", jwk_of(scene.arena, scene.keys.rsa, ",\"alg\":\"RS256\""),
                          jwk_of(scene.arena, scene.keys.other_rsa, ",\"alg\":\"RS512\"")));
    assert_passed(&scene, check(&scene, rsa), "u1");
    close_scene(&scene);
}

static void a_kid_is_never_met_by_a_key_without_one(void **state)
{
    struct scene scene = open_scene(state, &lasting);

    set_keys(&scene, jwk_of(scene.arena, scene.keys.rsa, ""));
    assert_refused(&scene, check(&scene, token_of(&scene, "u1")), 401,
                   "the provider has no key with the token's kid");
    close_scene(&scene);
}

static void one_kid_may_be_that_of_several_keys(void **state)
{
    struct scene scene = open_scene(state, &lasting);

    set_keys(&scene,
             arena_format(scene.arena, "%s,%s,%s", jwk_of(scene.arena, scene.keys.p256, ",\"kid\":\"r\""),
                          jwk_of(scene.arena, scene.keys.other_rsa, ",\"kid\":\"r\""),
                          jwk_of(scene.arena, scene.keys.rsa, ",\"kid\":\"r\"")));
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    close_scene(&scene);
}

static void the_provider_lists_the_algorithms(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *claims = claims_of(&scene, "u1");

    assert_passed(&scene, check(&scene, make_token(scene.arena, scene.keys.p256, "ES256", "e", claims)),
                  "u1");
    assert_refused(&scene, check(&scene, make_token(scene.arena, scene.keys.rsa, "PS256", "r", claims)), 401,
                   "the provider does not list the algorithm PS256");
    assert_refused(&scene, check(&scene, make_token(scene.arena, scene.keys.rsa, "HS256", "r", claims)), 401,
                   "the token's algorithm is not one that is accepted: HS256");
    assert_refused(&scene, check(&scene, make_token(scene.arena, scene.keys.rsa, "RS256", "e", claims)), 401,
                   "the signature is wrong, or the key is not for the token's algorithm");
    close_scene(&scene);

    /* A key may be for one algorithm alone. */
    scene = open_scene(state, &lasting);
    set_keys(&scene, jwk_of(scene.arena, scene.keys.rsa, ",\"kid\":\"r\",\"alg\":\"PS256\""));
    assert_refused(&scene, check(&scene, token_of(&scene, "u1")), 401,
                   "the signature is wrong, or the key is not for the token's algorithm");
    close_scene(&scene);
}

static void an_access_token_by_its_own_type_passes(void **state)
{
    struct scene scene = open_scene(state, &lasting);

    assert_passed(&scene,
                  check(&scene, sign_token(scene.arena, scene.keys.rsa, "RS256",
                                           "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"r\"}",
                                           claims_of(&scene, "u1"))),
                  "u1");
    close_scene(&scene);
}

/* Both are configured; each has a key "r" of its own. */
static void one_issuer_s_key_signs_no_other_s_token(void **state)
{
    struct scene scene = open_scene(state, &lasting), other = open_scene(state, &lasting);
    const char *evil = make_token(scene.arena, scene.keys.other_rsa, "RS256", "r", claims_of(&scene, "u1"));
    const char *good = make_token(scene.arena, scene.keys.other_rsa, "RS256", "r", claims_of(&other, "u1"));

    set_keys(&other, jwk_of(scene.arena, scene.keys.other_rsa, ",\"kid\":\"r\""));
    scene.issuers =
        arena_format(scene.arena, "%s,%s", stand_in_url(scene.provider), stand_in_url(other.provider));
    read_settings(&scene);
    assert_passed(&scene, check(&scene, good), "u1");
    assert_refused(&scene, check(&scene, evil), 401,
                   "the signature is wrong, or the key is not for the token's algorithm");
    assert_passed(&scene, check(&scene, good), "u1");
    close_scene(&other);
    close_scene(&scene);
}

static void groups_are_where_the_kind_of_provider_has_them(void **state)
{
    static const struct {
        const char *realm, *userinfo;
        int status;
        int line;
    } rows[] = {
        {"egi", "{\"sub\":\"u1\",\"entitlements\":[\"urn:mace:egi.eu:group:VO.One:role=member#aai.egi.eu\"]}",
         200, __LINE__},
        {"egi", "{\"sub\":\"u1\",\"group_membership\":[\"vo.one\"]}", 403, __LINE__},
        {"ai4eosc", "{\"sub\":\"u1\",\"realm_access\":{\"roles\":[\"vo.one\"]}}", 200, __LINE__},
        {"ai4eosc", "{\"sub\":\"u1\",\"realm_access\":{\"roles\":[\"VO.one\"]}}", 403, __LINE__},
        {"x", "{\"sub\":\"u1\",\"group_membership\":[\"vo.one\"]}", 200, __LINE__},
        {"x", "{\"sub\":\"u1\",\"group_membership\":\"vo.one\"}", 403, __LINE__},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene scene = open_scene(state, &lasting);
        enum auth_result result;

        stand_in_answer(
            scene.provider, ROUTE_DISCOVERY, "200 OK",
            discovery_of(&scene,
                         arena_format(scene.arena, ",\"authorization_endpoint\":\"https://a/realms/%s/auth\"",
                                      rows[i].realm)));
        set_userinfo(&scene, rows[i].userinfo);
        result = check(&scene, token_of(&scene, "u1"));
        if ((result == AUTH_PASSED) != (rows[i].status == 200) ||
            (result != AUTH_PASSED && scene.refusal.status != rows[i].status))
            fail_msg("line %d: %s", rows[i].line, scene.refusal.reason);
        close_scene(&scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_passes_and_is_remembered),
        cmocka_unit_test(another_key_s_token_is_refused),
        cmocka_unit_test(who_is_in_no_group_gets_403_by_the_settings_in_force),
        cmocka_unit_test(issuers_are_compared_byte_for_byte),
        cmocka_unit_test(no_issuer_no_entry),
        cmocka_unit_test(oidc_can_be_off),
        cmocka_unit_test(who_may_not_wait_is_told_to),
        cmocka_unit_test(a_remembered_token_ends_when_it_expires),
        cmocka_unit_test(what_is_not_remembered_any_more_is_asked_for_again),
        cmocka_unit_test(an_unknown_kid_reads_the_keys_again),
        cmocka_unit_test(ten_thousand_bad_tokens_cost_one_question),
        cmocka_unit_test(a_token_without_kid_needs_the_only_key_that_fits),
        cmocka_unit_test(a_kid_is_never_met_by_a_key_without_one),
        cmocka_unit_test(one_kid_may_be_that_of_several_keys),
        cmocka_unit_test(the_provider_lists_the_algorithms),
        cmocka_unit_test(an_access_token_by_its_own_type_passes),
        cmocka_unit_test(one_issuer_s_key_signs_no_other_s_token),
        cmocka_unit_test(groups_are_where_the_kind_of_provider_has_them),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
