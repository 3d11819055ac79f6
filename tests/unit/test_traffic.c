/* What became of requests to backends: every end has its outcome, and says how the backend is, or nothing. */
#include "unit.h"

#include "net/traffic.h"
#include "util/timestamp.h"

static const struct {
    enum backend backend;
    enum fetch_outcome outcome;
    long status;
    const char *name;
    enum traffic_health health;
    const char *reason;
    int line;
} rows[] = {
    {BACKEND_LOKI, FETCH_ANSWERED, 200, "ok", TRAFFIC_UP, "", __LINE__},
    {BACKEND_LOKI, FETCH_ANSWERED, 204, "ok", TRAFFIC_UP, "", __LINE__},
    {BACKEND_LOKI, FETCH_ANSWERED, 400, "status_4xx", TRAFFIC_UP, "", __LINE__},
    {BACKEND_LOKI, FETCH_ANSWERED, 429, "status_4xx", TRAFFIC_UP, "", __LINE__},
    {BACKEND_LOKI, FETCH_ANSWERED, 401, "status_4xx", TRAFFIC_FAILED, "HTTP status 401", __LINE__},
    {BACKEND_KUBERNETES, FETCH_ANSWERED, 403, "status_4xx", TRAFFIC_FAILED, "HTTP status 403", __LINE__},
    {BACKEND_OIDC, FETCH_ANSWERED, 401, "status_4xx", TRAFFIC_UP, "", __LINE__},
    {BACKEND_OIDC, FETCH_ANSWERED, 403, "status_4xx", TRAFFIC_UP, "", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_ANSWERED, 500, "status_5xx", TRAFFIC_FAILED, "HTTP status 500", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_ANSWERED, 503, "status_5xx", TRAFFIC_FAILED, "HTTP status 503", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_ANSWERED, 302, "status_other", TRAFFIC_FAILED, "HTTP status 302", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_ANSWERED, 102, "status_other", TRAFFIC_FAILED, "HTTP status 102", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_REFUSED, 0, "refused", TRAFFIC_FAILED, "words", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_TLS, 0, "tls", TRAFFIC_FAILED, "words", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_TIMEOUT, 0, "timeout", TRAFFIC_FAILED, "words", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_BROKEN, 0, "broken", TRAFFIC_FAILED, "words", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_TOO_LARGE, 0, "too_large", TRAFFIC_FAILED, "words", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_INVALID, 0, "invalid", TRAFFIC_FAILED, "words", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_ENOUGH, 0, "enough", TRAFFIC_UP, "", __LINE__},
    {BACKEND_PROMETHEUS, FETCH_CANCELLED, 0, "cancelled", TRAFFIC_UNKNOWN, "", __LINE__},
};

static void check(size_t i, const struct traffic_view *view)
{
    if (view->health != rows[i].health || strcmp(view->reason, rows[i].reason) != 0)
        fail_msg("line %d: %d, \"%s\"", rows[i].line, (int)view->health, view->reason);
    if ((view->last_answer.seconds > 0) != (rows[i].health == TRAFFIC_UP) ||
        (view->last_failure.seconds > 0) != (rows[i].health == TRAFFIC_FAILED))
        fail_msg("line %d: the times", rows[i].line);
    for (unsigned j = 0; j < TRAFFIC_OUTCOMES; j++)
        if (view->ended[j] != (strcmp(traffic_outcome_name((enum traffic_outcome)j), rows[i].name) == 0))
            fail_msg("line %d: %s is %d", rows[i].line, traffic_outcome_name((enum traffic_outcome)j),
                     (int)view->ended[j]);
}

static void every_end_has_its_outcome(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct traffic *traffic = traffic_new();
        const struct traffic_end end = {.backend = rows[i].backend,
                                        .outcome = rows[i].outcome,
                                        .status = rows[i].status,
                                        .why = "words",
                                        .tried = true,
                                        .took = 7};
        struct traffic_view view;

        traffic_begin(traffic, rows[i].backend);
        traffic_look(traffic, rows[i].backend, &view);
        assert_int_equal(view.running, 1);
        traffic_end(traffic, &end);
        traffic_look(traffic, rows[i].backend, &view);
        assert_int_equal(view.running, 0);
        assert_int_equal(view.times.sum, 7);
        check(i, &view);
        assert_int_equal(traffic_is_failure(&end), rows[i].health == TRAFFIC_FAILED);
        traffic_free(traffic);
    }
}

/* Each has figures of its own: how many, how long all took, and how many no longer than a bound. */
static void backends_have_times_of_their_own(void **state)
{
    static const int64_t took[BACKEND_COUNT][3] = {
        {1, 1, 1}, {999, 1000, 1001}, {0, 5000000, 60000000}, {200000, 250000, 250001}};
    static const struct {
        unsigned backend, le; /* places of the bounds 0.001, 0.25, 5 */
        uint64_t count;
    } bounds[] = {{0, 0, 3}, {1, 0, 2}, {1, 6, 3}, {2, 0, 1}, {2, 10, 2}, {3, 0, 0}, {3, 6, 2}, {3, 10, 3}};
    struct traffic *traffic = traffic_new();
    struct traffic_view view;

    (void)state;
    for (unsigned i = 0; i < BACKEND_COUNT * 3; i++) {
        const struct traffic_end end = {.backend = (enum backend)(i % BACKEND_COUNT),
                                        .outcome = FETCH_ANSWERED,
                                        .status = 200,
                                        .tried = true,
                                        .took = took[i % BACKEND_COUNT][i / BACKEND_COUNT]};

        traffic_begin(traffic, end.backend);
        traffic_end(traffic, &end);
    }
    for (unsigned i = 0; i < BACKEND_COUNT; i++) {
        traffic_look(traffic, (enum backend)i, &view);
        assert_int_equal(view.ended[TRAFFIC_OK], 3);
        assert_int_equal(view.times.sum, took[i][0] + took[i][1] + took[i][2]);
    }
    for (size_t i = 0; i < COUNT_OF(bounds); i++) {
        uint64_t count = 0;

        traffic_look(traffic, (enum backend)bounds[i].backend, &view);
        for (unsigned bucket = 0; bucket <= bounds[i].le; bucket++)
            count += view.times.counts[bucket];
        if (count != bounds[i].count)
            fail_msg("bound %zu: %d", i, (int)count);
    }
    traffic_free(traffic);
}

/* Not to be tried again yet is no news; it is counted all the same. */
static void what_was_not_tried_says_nothing_new(void **state)
{
    struct traffic *traffic = traffic_new();
    struct traffic_view view;

    (void)state;
    traffic_begin(traffic, BACKEND_LOKI);
    traffic_end(traffic,
                &(struct traffic_end){
                    .backend = BACKEND_LOKI, .outcome = FETCH_ANSWERED, .status = 200, .tried = true});
    traffic_begin(traffic, BACKEND_LOKI);
    traffic_end(traffic,
                &(struct traffic_end){
                    .backend = BACKEND_LOKI, .outcome = FETCH_REFUSED, .why = "refused", .tried = false});
    traffic_look(traffic, BACKEND_LOKI, &view);
    assert_int_equal(view.ended[TRAFFIC_REFUSED], 1);
    assert_int_equal(view.health, TRAFFIC_UP);
    assert_int_equal(view.last_failure.seconds, 0);
    traffic_look(traffic, BACKEND_OIDC, &view);
    assert_int_equal(view.health, TRAFFIC_UNKNOWN);
    traffic_free(traffic);
}

static void a_long_reason_is_cut(void **state)
{
    struct traffic *traffic = traffic_new();
    char why[TRAFFIC_REASON_MAX_BYTES + 1] = "";
    struct traffic_view view;

    (void)state;
    memset(why, 'w', TRAFFIC_REASON_MAX_BYTES);
    traffic_begin(traffic, BACKEND_LOKI);
    traffic_end(traffic, &(struct traffic_end){
                             .backend = BACKEND_LOKI, .outcome = FETCH_BROKEN, .why = why, .tried = true});
    traffic_look(traffic, BACKEND_LOKI, &view);
    assert_int_equal(strlen(view.reason), TRAFFIC_REASON_MAX_BYTES - 1);
    traffic_free(traffic);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_end_has_its_outcome),
        cmocka_unit_test(backends_have_times_of_their_own),
        cmocka_unit_test(what_was_not_tried_says_nothing_new),
        cmocka_unit_test(a_long_reason_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
