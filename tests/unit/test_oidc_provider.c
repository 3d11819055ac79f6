/* Providers that fail, and many who ask at once. */
#include "unit.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/oidc.h"
#include "auth/provider.h"
#include "net/fetch.h"
#include "oidc_scene.h"
#include "tokens.h"
#include "util/arena.h"
#include "util/buf.h"

static const char moment_ago[] = "the provider did not answer a moment ago";

static void assert_unavailable(const struct scene *scene, enum auth_result result, const char *reason)
{
    assert_refused(scene, result, 503, reason);
    assert_string_equal(scene->refusal.text, "identity provider unavailable");
    assert_true(scene->refusal.retry_after > 0);
}

/* Larger than what is read of a provider. */
static const char *large_body(struct arena *arena)
{
    size_t length = 2 * 1024 * 1024;
    char *body = arena_alloc(arena, length + 1, 1);

    memset(body, ' ', length);
    return body;
}

static void a_provider_that_fails_is_left_alone_for_a_while(void **state)
{
    static const struct {
        enum route route;
        const char *status, *body; /* body NULL: a large one */
        int line;
    } rows[] = {
        {ROUTE_DISCOVERY, NULL, "", __LINE__},
        {ROUTE_DISCOVERY, "500 Broken", "{}", __LINE__},
        {ROUTE_DISCOVERY, "404 Not Found", "{}", __LINE__},
        {ROUTE_DISCOVERY, "204 No Content", "", __LINE__},
        {ROUTE_DISCOVERY, "302 Found\r\nLocation: /keys", "", __LINE__},
        {ROUTE_DISCOVERY, "200 OK", "", __LINE__},
        {ROUTE_DISCOVERY, "200 OK", "<html>", __LINE__},
        {ROUTE_DISCOVERY, "200 OK", "{}", __LINE__},
        {ROUTE_DISCOVERY, "200 OK", "{\"issuer\":\"https://other.invalid/realms/x\"}", __LINE__},
        {ROUTE_DISCOVERY, "200 OK", NULL, __LINE__},
        {ROUTE_KEYS, NULL, "", __LINE__},
        {ROUTE_KEYS, "500 Broken", "{\"keys\":[]}", __LINE__},
        {ROUTE_KEYS, "307 Temporary Redirect\r\nLocation: /other", "", __LINE__},
        {ROUTE_KEYS, "200 OK", "[]", __LINE__},
        {ROUTE_KEYS, "200 OK", NULL, __LINE__},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene scene = open_scene(state, &lasting);

        stand_in_answer(scene.provider, rows[i].route, rows[i].status,
                        rows[i].body ? rows[i].body : large_body(scene.arena));
        assert_unavailable(&scene, check(&scene, token_of(&scene, "u1")), moment_ago);
        assert_unavailable(&scene, check(&scene, token_of(&scene, "u2")), moment_ago);
        if (asked(&scene, ROUTE_DISCOVERY) != 1 ||
            asked(&scene, ROUTE_KEYS) != (rows[i].route == ROUTE_KEYS) ||
            asked(&scene, ROUTE_USERINFO) != 0 || asked(&scene, ROUTE_OTHER) != 0)
            fail_msg("line %d", rows[i].line);
        close_scene(&scene);
    }
}

static void a_provider_that_is_back_is_asked_again(void **state)
{
    struct oidc_times times = lasting;
    struct scene scene;

    times.pause = 0;
    scene = open_scene(state, &times);
    stand_in_answer(scene.provider, ROUTE_KEYS, "500 Broken", "");
    assert_unavailable(&scene, check(&scene, token_of(&scene, "u1")), moment_ago);
    set_keys(&scene, jwk_of(scene.arena, scene.keys.rsa, ",\"kid\":\"r\""));
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    close_scene(&scene);
}

static void keys_that_cannot_be_renewed_are_used_for_a_time(void **state)
{
    struct oidc_times times = lasting;
    struct scene scene;

    times.fresh = 0;
    times.pause = 0;
    times.user = 0;
    scene = open_scene(state, &times);
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 2);
    assert_int_equal(asked(&scene, ROUTE_KEYS), 2);
    stand_in_answer(scene.provider, ROUTE_DISCOVERY, "500 Broken", "");
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 3);
    close_scene(&scene);

    times.usable = 0;
    scene = open_scene(state, &times);
    assert_unavailable(&scene, check(&scene, token_of(&scene, "u1")), moment_ago);
    close_scene(&scene);
}

static void a_remembered_token_outlives_its_provider(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *token = token_of(&scene, "u1");

    assert_passed(&scene, check(&scene, token), "u1");
    for (size_t i = 0; i < ROUTES; i++)
        stand_in_answer(scene.provider, (enum route)i, NULL, "");
    assert_passed(&scene, check(&scene, token), "u1");
    assert_unavailable(&scene, check(&scene, token_of(&scene, "u2")),
                       "userinfo: the provider did not answer");
    close_scene(&scene);
}

static void what_userinfo_says_decides(void **state)
{
    static const struct {
        const char *status, *body; /* body NULL: a large one */
        int refusal;
        const char *reason;
    } rows[] = {
        {"401 Unauthorized", "{}", 401, "userinfo: the provider does not accept the token"},
        {"403 Forbidden", "{}", 401, "userinfo: the provider does not accept the token"},
        {"500 Broken", "{\"sub\":\"u1\",\"group_membership\":[\"vo.one\"]}", 503,
         "userinfo: the provider's answer is an error"},
        {"404 Not Found", "", 503, "userinfo: the provider's answer is an error"},
        {"204 No Content", "", 503, "userinfo: the provider's answer is an error"},
        {"302 Found\r\nLocation: /keys", "", 503, "userinfo: the provider's answer is an error"},
        {NULL, "", 503, "userinfo: the provider did not answer"},
        {"200 OK", NULL, 503, "userinfo: the provider did not answer"},
        {"200 OK", "", 503, "userinfo: the provider's answer is no JSON object"},
        {"200 OK", "[]", 503, "userinfo: the provider's answer is no JSON object"},
        {"200 OK", "<html>", 503, "userinfo: the provider's answer is no JSON object"},
        {"200 OK", "eyJhbGciOiJSUzI1NiJ9.e30.AAAA", 503, "userinfo: the provider's answer is no JSON object"},
        {"200 OK", "{\"group_membership\":[\"vo.one\"]}", 401,
         "userinfo: the sub is missing or not the token's"},
        {"200 OK", "{\"sub\":\"u2\",\"group_membership\":[\"vo.one\"]}", 401,
         "userinfo: the sub is missing or not the token's"},
        {"200 OK", "{\"sub\":\"U1\",\"group_membership\":[\"vo.one\"]}", 401,
         "userinfo: the sub is missing or not the token's"},
        {"200 OK", "{\"sub\":\"u1\\u0000\",\"group_membership\":[\"vo.one\"]}", 401,
         "userinfo: the sub is missing or not the token's"},
        {"200 OK", "{\"sub\":7,\"group_membership\":[\"vo.one\"]}", 401,
         "userinfo: the sub is missing or not the token's"},
        {"200 OK", "{\"sub\":\"u1\",\"group_membership\":{\"vo.one\":true}}", 403,
         "the user is in none of OIDC_GROUPS"},
        {"200 OK", "{\"sub\":\"u1\"}", 403, "the user is in none of OIDC_GROUPS"},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct scene scene = open_scene(state, &lasting);
        const char *token = token_of(&scene, "u1");

        stand_in_answer(scene.provider, ROUTE_USERINFO, rows[i].status,
                        rows[i].body ? rows[i].body : large_body(scene.arena));
        assert_refused(&scene, check(&scene, token), rows[i].refusal, rows[i].reason);
        /* And so it is for those who come with it in the next moment. */
        assert_refused(&scene, check(&scene, token), rows[i].refusal, rows[i].reason);
        assert_int_equal(asked(&scene, ROUTE_USERINFO), 1);
        close_scene(&scene);
    }
}

static void a_refusal_is_soon_forgotten(void **state)
{
    struct oidc_times times = lasting;
    struct scene scene;
    const char *token;

    times.refusal = 0;
    scene = open_scene(state, &times);
    token = token_of(&scene, "u1");
    stand_in_answer(scene.provider, ROUTE_USERINFO, "500 Broken", "");
    assert_refused(&scene, check(&scene, token), 503, "userinfo: the provider's answer is an error");
    set_userinfo(&scene, "{\"sub\":\"u1\",\"group_membership\":[\"vo.one\"]}");
    assert_passed(&scene, check(&scene, token), "u1");
    close_scene(&scene);
}

static void a_user_of_very_many_groups_is_asked_for_each_time(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *token = token_of(&scene, "u1");
    struct buf body;

    buf_init(&body, 1024 * 1024);
    buf_add_string(&body, "{\"sub\":\"u1\",\"group_membership\":[");
    for (int i = 0; i < 20000; i++)
        buf_format(&body, "\"group-%d\",", i);
    buf_add_string(&body, "\"vo.one\"]}");
    set_userinfo(&scene, body.data);
    assert_passed(&scene, check(&scene, token), "u1");
    assert_passed(&scene, check(&scene, token), "u1");
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 2);
    buf_free(&body);
    close_scene(&scene);
}

static void who_goes_away_is_not_waited_for(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    struct auth_context context = context_of(&scene);
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    close(pair[1]);
    context.client = pair[0];
    /* The provider's documents are for all, and are read to their end. */
    assert_int_equal(check_with(&scene, &context, token_of(&scene, "u1")), AUTH_GONE);
    assert_int_equal(asked(&scene, ROUTE_KEYS), 1);
    assert_int_equal(fetcher_running(scene.fetcher), 0);
    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    assert_int_equal(asked(&scene, ROUTE_KEYS), 1);
    close(pair[0]);
    close_scene(&scene);
}

static void a_deadline_ends_the_waiting(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    struct auth_context context = context_of(&scene);

    stand_in_hold(scene.provider);
    context.deadline = clock_ms() + 100;
    assert_unavailable(&scene, check_with(&scene, &context, token_of(&scene, "u1")), moment_ago);
    stand_in_release(scene.provider);
    close_scene(&scene);
}

/* ---- many at once ---- */

enum { THREADS = 8, ROUNDS = 200 };

struct visitor {
    struct scene scene; /* what is shared, and memory of its own */
    const char *token, *user;
    enum auth_result result;
    pthread_t thread;
};

static void *visit(void *context)
{
    struct visitor *visitor = context;

    visitor->result = check(&visitor->scene, visitor->token);
    return NULL;
}

static void start_visitor(struct visitor *visitor, const struct scene *shared, const char *token,
                          void *(*run)(void *))
{
    visitor->scene = *shared;
    visitor->scene.arena = arena_new();
    visitor->scene.fetcher = fetcher_new(NULL);
    visitor->token = token;
    assert_int_equal(pthread_create(&visitor->thread, NULL, run, visitor), 0);
}

static void end_visitor(struct visitor *visitor)
{
    pthread_join(visitor->thread, NULL);
    fetcher_free(visitor->scene.fetcher);
    arena_free(visitor->scene.arena);
}

static void wait_for_request(const struct scene *scene)
{
    char byte;
    ssize_t got;

    do
        got = read(stand_in_arrived(scene->provider), &byte, 1);
    while (got < 0 && errno == EINTR);
    assert_int_equal(got, 1);
}

static void who_wants_the_same_asks_once(void **state)
{
    struct scene scene = open_scene(state, &lasting);
    const char *token = token_of(&scene, "u1");
    struct visitor visitors[THREADS];

    stand_in_hold(scene.provider);
    for (size_t i = 0; i < THREADS; i++)
        start_visitor(&visitors[i], &scene, token, visit);
    wait_for_request(&scene);
    stand_in_release(scene.provider);
    for (size_t i = 0; i < THREADS; i++) {
        end_visitor(&visitors[i]);
        assert_int_equal(visitors[i].result, AUTH_PASSED);
    }
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 1);
    assert_int_equal(asked(&scene, ROUTE_KEYS), 1);
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 1);
    close_scene(&scene);
}

static const char slow[] = "the provider is being asked, and does not answer";

static void what_hangs_is_not_waited_for(void **state)
{
    struct oidc_times times = lasting;
    struct visitor visitor;
    struct scene scene;

    times.patience = 0;
    scene = open_scene(state, &times);
    stand_in_hold(scene.provider);
    start_visitor(&visitor, &scene, token_of(&scene, "u1"), visit);
    wait_for_request(&scene);
    assert_unavailable(&scene, check(&scene, token_of(&scene, "u2")), slow);
    stand_in_release(scene.provider);
    end_visitor(&visitor);
    assert_int_equal(visitor.result, AUTH_PASSED);
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 1);
    close_scene(&scene);
}

/* One knows u1; somebody asks for what `token` needs, and the provider hangs. */
static struct scene open_hanging(void **state, const struct oidc_times *times, struct visitor *visitor,
                                 const char *kid)
{
    struct scene scene = open_scene(state, times);

    assert_passed(&scene, check(&scene, token_of(&scene, "u1")), "u1");
    for (size_t i = 0; i < ROUTE_OTHER; i++)
        wait_for_request(&scene);
    stand_in_hold(scene.provider);
    start_visitor(visitor, &scene,
                  make_token(scene.arena, scene.keys.other_rsa, "RS256", kid, claims_of(&scene, "u2")),
                  visit);
    wait_for_request(&scene);
    return scene;
}

static void close_hanging(struct scene *scene, struct visitor *visitor)
{
    stand_in_release(scene->provider);
    end_visitor(visitor);
    assert_int_equal(visitor->result, AUTH_REFUSED);
    close_scene(scene);
}

/* Who made up a token holds nobody up. */
static void keys_that_hang_are_not_waited_for(void **state)
{
    struct oidc_times times = lasting;
    struct visitor visitor;
    struct scene scene;

    times.pause = 0;
    times.patience = 0;
    scene = open_hanging(state, &times, &visitor, "new");
    assert_unavailable(&scene, check(&scene, visitor.token), slow);
    assert_int_equal(asked(&scene, ROUTE_KEYS), 2);
    close_hanging(&scene, &visitor);
}

static const char not_theirs[] = "userinfo: the sub is missing or not the token's";

/* A token that its provider signed holds others up no more than a made-up one. */
static void users_that_hang_are_not_waited_for(void **state)
{
    struct oidc_times times = lasting;
    struct visitor visitor;
    struct scene scene;

    times.patience = 0;
    scene = open_scene(state, &times);
    /* The provider says that everybody is u1. */
    assert_refused(&scene, check(&scene, token_of(&scene, "u2")), 401, not_theirs);
    for (size_t i = 0; i < ROUTE_OTHER; i++)
        wait_for_request(&scene);
    stand_in_hold(scene.provider);
    start_visitor(&visitor, &scene, token_of(&scene, "u1"), visit);
    wait_for_request(&scene);
    assert_unavailable(&scene, check(&scene, token_of(&scene, "u3")), slow);
    assert_refused(&scene, check(&scene, token_of(&scene, "u2")), 401, not_theirs);
    assert_int_equal(asked(&scene, ROUTE_USERINFO), 2);
    stand_in_release(scene.provider);
    end_visitor(&visitor);
    assert_int_equal(visitor.result, AUTH_PASSED);
    assert_refused(&scene, check(&scene, token_of(&scene, "u3")), 401, not_theirs);
    close_scene(&scene);
}

static void a_user_s_question_without_an_answer_is_tried_again_one_at_a_time(void **state)
{
    struct providers *providers = providers_new();
    const struct text one = {"one", 3}, other = {"other", 5};

    (void)state;
    assert_true(providers_ask_user(providers, one, 60000, 60000));
    assert_true(providers_ask_user(providers, one, 60000, 60000));
    providers_asked_user(providers, one, PROVIDER_USER_LATE);
    /* Not again so soon, nor while another is still waited for; other providers do not matter. */
    assert_false(providers_ask_user(providers, one, 60000, 60000));
    assert_false(providers_ask_user(providers, one, 60000, 0));
    assert_true(providers_ask_user(providers, other, 60000, 60000));
    providers_asked_user(providers, one, PROVIDER_USER_LEFT);
    assert_true(providers_ask_user(providers, one, 60000, 0));
    assert_false(providers_ask_user(providers, one, 60000, 0));
    providers_asked_user(providers, one, PROVIDER_USER_ANSWERED);
    assert_true(providers_ask_user(providers, one, 0, 60000));
    assert_false(providers_ask_user(providers, one, 0, 60000));
    assert_true(providers_ask_user(providers, one, 60000, 60000));
    providers_free(providers);
}

static void keys_are_used_while_they_are_read_again(void **state)
{
    struct oidc_times times = lasting;
    struct visitor visitor;
    struct scene scene;

    times.fresh = 0;
    times.pause = 0;
    times.patience = 0;
    scene = open_hanging(state, &times, &visitor, "r");
    assert_refused(&scene, check(&scene, visitor.token), 401,
                   "the signature is wrong, or the key is not for the token's algorithm");
    assert_int_equal(asked(&scene, ROUTE_DISCOVERY), 2);
    close_hanging(&scene, &visitor);
}

/* Each has a token of its own for each round and knows whose it is; the keys are read again all the time. */
static void *visit_often(void *context)
{
    struct visitor *visitor = context;
    struct arena *arena = visitor->scene.arena;

    visitor->result = AUTH_PASSED;
    for (int i = 0; i < ROUNDS && visitor->result == AUTH_PASSED; i++) {
        visitor->result = check(&visitor->scene, visitor->token);
        if (visitor->result == AUTH_PASSED && !text_is(visitor->scene.identity.user, visitor->user))
            visitor->result = AUTH_REFUSED;
        arena_reset(arena);
    }
    return NULL;
}

static void everybody_stays_themselves(void **state)
{
    struct oidc_times times = lasting;
    struct visitor visitors[THREADS];
    struct scene scene;

    times.fresh = 0;
    times.pause = 0;
    times.user = 1;
    scene = open_scene(state, &times);
    for (size_t i = 0; i < THREADS; i++) {
        visitors[i].user = arena_format(scene.arena, "user%zu", i / 2);
        visitors[i].token = token_of(&scene, visitors[i].user);
        stand_in_add_user(scene.provider, visitors[i].token,
                          arena_format(scene.arena, "{\"sub\":\"%s\",\"group_membership\":[\"vo.one\"]}",
                                       visitors[i].user));
    }
    for (size_t i = 0; i < THREADS; i++)
        start_visitor(&visitors[i], &scene, visitors[i].token, visit_often);
    for (size_t i = 0; i < THREADS; i++) {
        end_visitor(&visitors[i]);
        assert_int_equal(visitors[i].result, AUTH_PASSED);
    }
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_provider_that_fails_is_left_alone_for_a_while),
        cmocka_unit_test(a_provider_that_is_back_is_asked_again),
        cmocka_unit_test(keys_that_cannot_be_renewed_are_used_for_a_time),
        cmocka_unit_test(a_remembered_token_outlives_its_provider),
        cmocka_unit_test(what_userinfo_says_decides),
        cmocka_unit_test(a_refusal_is_soon_forgotten),
        cmocka_unit_test(a_user_of_very_many_groups_is_asked_for_each_time),
        cmocka_unit_test(who_goes_away_is_not_waited_for),
        cmocka_unit_test(a_deadline_ends_the_waiting),
        cmocka_unit_test(who_wants_the_same_asks_once),
        cmocka_unit_test(SLOW(what_hangs_is_not_waited_for)),
        cmocka_unit_test(SLOW(keys_that_hang_are_not_waited_for)),
        cmocka_unit_test(SLOW(users_that_hang_are_not_waited_for)),
        cmocka_unit_test(a_user_s_question_without_an_answer_is_tried_again_one_at_a_time),
        cmocka_unit_test(keys_are_used_while_they_are_read_again),
        cmocka_unit_test(SLOW(everybody_stays_themselves)),
    };

    return cmocka_run_group_tests(tests, make_keys, free_keys);
}
