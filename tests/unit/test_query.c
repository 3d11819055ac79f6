/* Questions: what each parameter accepts, and in which order the errors come. Expected texts and times are
 * those of the API's description. */
#include "unit.h"

#include <string.h>

#include "http/query.h"
#include "util/arena.h"

/* 2026-02-01T08:00:00.5Z */
static const struct query_rules rules = {{1769932800, 500000000}, 400LL * 24 * 3600 * 1000};

static const char *ask(struct arena *arena, enum report_kind kind, const char *query,
                       struct question *question)
{
    *question = (struct question){.kind = kind};
    return query_parse(arena, text_of(query), &rules, question);
}

static void errors_and_their_order(void **state)
{
    static const struct {
        enum report_kind kind;
        const char *query, *error;
        int line;
    } rows[] = {
        {REPORT_SUMMARY, "", NULL, __LINE__},
        {REPORT_SUMMARY, "&&x=1&", NULL, __LINE__},
        {REPORT_SUMMARY, "end=x&start=x", "invalid end timestamp", __LINE__},
        {REPORT_SUMMARY, "start=x", "invalid start timestamp", __LINE__},
        {REPORT_SUMMARY, "start=2026-02-30T00:00:00Z", "invalid start timestamp", __LINE__},
        {REPORT_SUMMARY, "start=2026-01-02T00:00:00Z&end=2026-01-01T00:00:00Z", "end must be after start",
         __LINE__},
        {REPORT_SUMMARY, "start=2026-01-01T00:00:00Z&end=2026-01-01T00:00:00Z", NULL, __LINE__},
        {REPORT_SUMMARY, "start=2026-01-01T00:00:00.000000001Z&end=2026-01-01T00:00:00Z",
         "end must be after start", __LINE__},
        {REPORT_SUMMARY, "start=2025-01-01T00:00:00Z&end=2026-02-05T00:00:00Z", NULL,
         __LINE__}, /* 400 days */
        {REPORT_SUMMARY, "start=2025-01-01T00:00:00Z&end=2026-02-05T00:00:00.000000001Z",
         "time range too long", __LINE__},
        {REPORT_SUMMARY, "start=0000-01-01T00:00:00Z&end=9999-12-31T00:00:00Z", "time range too long",
         __LINE__},
        {REPORT_SUMMARY, "end=0000-01-01T00:00:00Z", "invalid start timestamp", __LINE__},
        {REPORT_SUMMARY, "end=1969-01-01T00:00:00Z", NULL, __LINE__},
        {REPORT_SUMMARY, "start=2026-01-01T00%3A00:00Z&end=2026-01-01T14:00:00%2b14:00", NULL, __LINE__},
        {REPORT_SUMMARY, "start=2026-01-01T00:00:00+01:00", "invalid start timestamp",
         __LINE__}, /* + is a space */
        {REPORT_SUMMARY, "start=%20%092026-01-31T12:00:00Z+", NULL, __LINE__},
        {REPORT_SUMMARY, "start=&start=x", NULL, __LINE__},
        {REPORT_SUMMARY, "start", NULL, __LINE__},
        {REPORT_SUMMARY, "start=%zz", "invalid start timestamp", __LINE__},
        {REPORT_SUMMARY, "start=%0", "invalid start timestamp", __LINE__},
        {REPORT_SUMMARY, "start=%", "invalid start timestamp", __LINE__},
        {REPORT_SUMMARY, "start=%00", "invalid start timestamp", __LINE__},
        {REPORT_SUMMARY, "end=%zz", "invalid end timestamp", __LINE__},
        {REPORT_SUMMARY, "other=%zz&%zz=1", NULL, __LINE__},
        {REPORT_SUMMARY, "group_by=x&format=x&metric=x", NULL, __LINE__},
        {REPORT_BREAKDOWN, "", "group_by is required", __LINE__},
        {REPORT_BREAKDOWN, "group_by=+", "group_by is required", __LINE__},
        {REPORT_BREAKDOWN, "group_by=x&format=x", "unsupported group_by", __LINE__},
        {REPORT_BREAKDOWN, "group_by=%zz", "unsupported group_by", __LINE__},
        {REPORT_BREAKDOWN, "group_by=services", "unsupported group_by", __LINE__},
        {REPORT_BREAKDOWN, "group_by=SerVice&format=x", "invalid format", __LINE__},
        {REPORT_BREAKDOWN, "group_by=user&format=%zz", "invalid format", __LINE__},
        {REPORT_BREAKDOWN, "group_by=service&format=CSV&include_users=True",
         "include_users is not supported for csv", __LINE__},
        {REPORT_BREAKDOWN, "group_by=user&format=csv&include_users=true", NULL, __LINE__},
        {REPORT_BREAKDOWN, "group_by=service&format=csv&include_users=1", NULL, __LINE__},
        {REPORT_BREAKDOWN, "start=x&group_by=x", "invalid start timestamp", __LINE__},
        {REPORT_SERVICE, "metric=cpu", "invalid metric key", __LINE__},
        {REPORT_SERVICE, "metric=%zz", "invalid metric key", __LINE__},
        {REPORT_SERVICE, "metric=CPU-hours", "invalid metric key", __LINE__},
        {REPORT_SERVICE, "metric=services-count", "unsupported metric for value query", __LINE__},
        {REPORT_SERVICE, "metric=requests-per-user", "unsupported metric for value query", __LINE__},
        {REPORT_SERVICE, "metric=countries-count", "unsupported metric for value query", __LINE__},
        {REPORT_SERVICE, "metric=countries-list", "unsupported metric for value query", __LINE__},
        {REPORT_SERVICE, "metric=users-per-service", NULL, __LINE__},
        {REPORT_SERVICE, "group_by=x", NULL, __LINE__},
    };
    struct arena *arena = arena_new();
    struct question question;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *error = ask(arena, rows[i].kind, rows[i].query, &question);

        if ((error == NULL) != (rows[i].error == NULL) || (error && strcmp(error, rows[i].error) != 0))
            fail_msg("row of line %d: %s", rows[i].line, error ? error : "no error");
    }
    arena_free(arena);
}

static void the_default_range_is_the_last_day_in_whole_seconds(void **state)
{
    struct arena *arena = arena_new();
    struct question question;

    (void)state;
    assert_null(ask(arena, REPORT_SUMMARY, "", &question));
    assert_int_equal(question.end.instant.seconds, 1769932800);
    assert_int_equal(question.end.instant.nanoseconds, 0);
    assert_int_equal(question.start.instant.seconds, 1769932800 - 86400);
    assert_null(ask(arena, REPORT_SUMMARY, "end=2026-01-02T00:00:00.25%2B02:00", &question));
    assert_int_equal(question.start.instant.seconds, question.end.instant.seconds - 86400);
    assert_int_equal(question.start.instant.nanoseconds, 250000000);
    assert_int_equal(question.start.offset, 7200);
    arena_free(arena);
}

static void values_are_taken_up(void **state)
{
    struct arena *arena = arena_new();
    struct question question;

    (void)state;
    assert_null(
        ask(arena, REPORT_BREAKDOWN, "group_by=country&group_by=user&format=CSV&owner=a%2Bb+c", &question));
    assert_int_equal(question.group_by, GROUP_BY_COUNTRY);
    assert_int_equal(question.format, FORMAT_CSV);
    assert_false(question.include_users);
    assert_true(text_is(question.owner, "a+b c"));
    assert_null(ask(arena, REPORT_BREAKDOWN, "group_by=service&include_users=TRUE", &question));
    assert_true(question.include_users);
    assert_int_equal(question.format, FORMAT_JSON);
    assert_null(ask(arena, REPORT_SERVICE, "metric=requests-exposed-per-service", &question));
    assert_int_equal(question.metric, METRIC_REQUESTS_EXPOSED);
    assert_null(ask(arena, REPORT_SERVICE, "", &question));
    assert_int_equal(question.metric, METRIC_ALL);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_and_their_order),
        cmocka_unit_test(the_default_range_is_the_last_day_in_whole_seconds),
        cmocka_unit_test(values_are_taken_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
