/* The figures of requests and reports: counted once, under labels of a table, exact from many threads. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>

#include "http/counters.h"
#include "report/report.h"

enum { THREADS = 8, TURNS = 5000 };

static void answers_are_counted_by_route_and_status(void **state)
{
    struct counters *counters = counters_new();
    struct counters_view view;

    (void)state;
    counters_answer(counters, ROUTE_SUMMARY, 200, 4000, 100);
    counters_answer(counters, ROUTE_SUMMARY, 200, 2000, 50);
    counters_answer(counters, ROUTE_SUMMARY, STATUS_CLIENT_GONE, 1000, 0);
    counters_answer(counters, ROUTE_OTHER, 404, 10, 9);
    counters_refuse(counters);
    counters_look(counters, &view);
    assert_int_equal(view.requests[ROUTE_SUMMARY][http_status_row(200)], 2);
    assert_int_equal(view.requests[ROUTE_SUMMARY][http_status_row(499)], 1);
    assert_int_equal(view.requests[ROUTE_OTHER][http_status_row(404)], 1);
    assert_int_equal(view.requests[ROUTE_BREAKDOWN][http_status_row(200)], 0);
    assert_int_equal(view.times[ROUTE_SUMMARY].sum, 7000);
    assert_int_equal(view.bytes[ROUTE_SUMMARY], 150);
    assert_int_equal(view.bytes[ROUTE_OTHER], 9);
    assert_int_equal(view.refused, 1);
    counters_free(counters);
}

/* Every status that an answer may have has a row of its own. */
static void statuses_have_rows(void **state)
{
    static const int statuses[] = {200, 400, 401, 403, 404, 405, 499, 500, 503};

    (void)state;
    assert_int_equal(COUNT_OF(statuses), HTTP_STATUSES);
    for (size_t i = 0; i < COUNT_OF(statuses); i++) {
        char number[4];

        snprintf(number, sizeof(number), "%d", statuses[i]);
        assert_string_equal(http_status_number(http_status_row(statuses[i])), number);
    }
    assert_string_equal(http_status_reason(404), "Not Found");
    assert_string_equal(http_status_number(http_status_row(418)), "500");
}

static void reports_are_counted_with_their_sources(void **state)
{
    struct source_status whole = {.name = "prometheus", .level = STATUS_OK},
                         cut = {.name = "loki", .level = STATUS_PARTIAL},
                         gone = {.name = "prometheus", .level = STATUS_MISSING},
                         off = {.name = "prometheus", .level = STATUS_MISSING, .off = true},
                         stranger = {.name = "somebody", .level = STATUS_OK};
    struct report good = {.sources = {[SOURCE_HOURS] = &whole}},
                  bad = {.sources = {[SOURCE_HOURS] = &whole, [SOURCE_REQUESTS] = &cut}},
                  lacking = {.sources = {[SOURCE_HOURS] = &gone}},
                  unwanted = {.sources = {[SOURCE_HOURS] = &off}},
                  odd = {.sources = {[SOURCE_HOURS] = &stranger}};
    struct counters *counters = counters_new();
    struct counters_view view;
    uint64_t all = 0;

    (void)state;
    counters_report(counters, &good);
    counters_report(counters, &bad);
    counters_report(counters, &lacking);
    counters_report(counters, &unwanted);
    counters_report(counters, &unwanted);
    counters_report(counters, &odd);
    counters_look(counters, &view);
    assert_int_equal(view.reports[true], 2);
    assert_int_equal(view.reports[false], 4);
    for (size_t i = 0; i < COUNTERS_SOURCES; i++)
        for (size_t j = 0; j < COUNTERS_STATUSES; j++)
            all += view.sources[i][j];
    assert_int_equal(all, 6);
    assert_string_equal(counters_source_name(1), "prometheus");
    assert_int_equal(view.sources[1][STATUS_OK], 2);
    assert_int_equal(view.sources[1][STATUS_MISSING], 1);
    assert_int_equal(view.sources[1][COUNTERS_OFF], 2);
    assert_string_equal(counters_status_name(STATUS_MISSING), "missing");
    assert_string_equal(counters_status_name(COUNTERS_OFF), "off");
    assert_string_equal(counters_source_name(2), "loki");
    assert_int_equal(view.sources[2][STATUS_PARTIAL], 1);
    counters_free(counters);
}

static void *answer_many(void *counters)
{
    for (int i = 0; i < TURNS; i++)
        counters_answer(counters, ROUTE_SERVICE, 200, 1, 3);
    return NULL;
}

/* At any moment what is seen fits together. */
static void nothing_is_lost_between_threads(void **state)
{
    struct counters *counters = counters_new();
    struct counters_view view;
    pthread_t threads[THREADS];
    size_t row = http_status_row(200);

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, answer_many, counters), 0);
    do {
        counters_look(counters, &view);
        assert_int_equal(view.times[ROUTE_SERVICE].sum, view.requests[ROUTE_SERVICE][row]);
        assert_int_equal(view.bytes[ROUTE_SERVICE], 3 * view.requests[ROUTE_SERVICE][row]);
    } while (view.requests[ROUTE_SERVICE][row] < THREADS * TURNS / 2);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    counters_look(counters, &view);
    assert_int_equal(view.requests[ROUTE_SERVICE][row], THREADS * TURNS);
    counters_free(counters);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_counted_by_route_and_status),
        cmocka_unit_test(statuses_have_rows),
        cmocka_unit_test(reports_are_counted_with_their_sources),
        cmocka_unit_test(nothing_is_lost_between_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
