/* Times: strict RFC 3339, the two log forms, and their echo. Expected seconds are those of Python's datetime.
 */
#include "unit.h"

#include <string.h>

#include "util/timestamp.h"

static void rfc3339_accepts_and_refuses(void **state)
{
    static const struct {
        const char *text;
        bool valid;
        int64_t seconds;
        int32_t nanoseconds, offset;
        int line;
    } rows[] = {
        {"2026-01-01T00:00:00Z", true, 1767225600, 0, 0, __LINE__},
        {"2026-01-01T00:00:00.5Z", true, 1767225600, 500000000, 0, __LINE__},
        {"2026-05-01T10:00:00.123456789Z", true, 1777629600, 123456789, 0, __LINE__},
        {"2026-01-01T14:00:00+14:00", true, 1767225600, 0, 50400, __LINE__},
        {"2025-12-31T18:30:00-05:30", true, 1767225600, 0, -19800, __LINE__},
        {"2026-01-01T00:00:00-00:00", true, 1767225600, 0, 0, __LINE__},
        {"1969-12-31T23:59:59Z", true, -1, 0, 0, __LINE__},
        {"0001-01-01T00:00:00Z", true, -62135596800, 0, 0, __LINE__},
        {"9999-12-31T23:59:59Z", true, 253402300799, 0, 0, __LINE__},
        {"2024-02-29T00:00:00Z", true, 1709164800, 0, 0, __LINE__},
        {"2026-02-29T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-02-30T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"1900-02-29T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-13-01T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-00-01T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-01-00T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01T24:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:60:00Z", false, 0, 0, 0, __LINE__},
        {"2026-06-30T23:59:60Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01t00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00z", false, 0, 0, 0, __LINE__},
        {"2026-01-01 00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00,5Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00.Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00.1234567890Z", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00+24:00", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00+01:60", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00+0100", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00+01", false, 0, 0, 0, __LINE__},
        {"2026-01-01T00:00:00Zx", false, 0, 0, 0, __LINE__},
        {"2026-01-01", false, 0, 0, 0, __LINE__},
        {"+2026-01-01T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"20260-01-01T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"2026-1-01T00:00:00Z", false, 0, 0, 0, __LINE__},
        {"", false, 0, 0, 0, __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct timestamp t = {{0, 0}, 0};
        bool valid = timestamp_parse(text_of(rows[i].text), &t);

        if (valid != rows[i].valid ||
            (valid && (t.instant.seconds != rows[i].seconds || t.instant.nanoseconds != rows[i].nanoseconds ||
                       t.offset != rows[i].offset)))
            fail_msg("row of line %d: %s", rows[i].line, rows[i].text);
    }
}

static void times_of_one_minute_are_read_the_same(void **state)
{
    static const char *const texts[] = {
        "2026-05-01T10:00:00Z",      "2026-05-01T10:00:59.999999999Z", "2026-05-01T10:00:60Z",
        "2026-05-01T10:00:01+02:00", "2026-05-01T10:00:02Z",           "2026-05-01T10:00:0xZ",
        "2026-05-01T10:00:03.Z",     "2026-05-01T10:00:03Zx",          "2026-05-01T10:00:",
        "2026-05-01T10:01:00Z",      "1969-12-31T23:59:30Z",           "1969-12-31T23:59:31.5Z",
        "2026-05-01T10:00:00+00:00", "2026-05-01T10:00:07Z",           "2026-05-01T10:00:08-00:01",
        "2026-02-30T10:00:00Z",      "2026-02-30T10:00:01Z",
    };
    struct minute_cache cache = {.filled = false};

    (void)state;
    for (size_t round = 0; round < 2; round++)
        for (size_t i = 0; i < COUNT_OF(texts); i++) {
            struct instant cached = {0, 0};
            struct timestamp whole = {{0, 0}, 0};

            assert_int_equal(timestamp_parse_cached(text_of(texts[i]), &cache, &cached),
                             timestamp_parse(text_of(texts[i]), &whole));
            if (instant_compare(cached, whole.instant) != 0)
                fail_msg("%s", texts[i]);
        }
}

static void echo_is_the_same_instant_in_the_same_offset(void **state)
{
    static const struct {
        const char *in, *out;
        int line;
    } rows[] = {
        {"2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", __LINE__},
        {"2026-01-01T00:00:00+00:00", "2026-01-01T00:00:00Z", __LINE__},
        {"2026-01-01T00:00:00.100Z", "2026-01-01T00:00:00.1Z", __LINE__},
        {"2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00Z", __LINE__},
        {"2026-01-01T00:00:00.000000001+05:45", "2026-01-01T00:00:00.000000001+05:45", __LINE__},
        {"1960-02-29T23:59:59.999-11:30", "1960-02-29T23:59:59.999-11:30", __LINE__},
        {"0000-01-01T00:00:00+14:00", "0000-01-01T00:00:00+14:00", __LINE__},
        {"9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-14:00", __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char out[TIMESTAMP_SIZE];
        struct timestamp t;

        assert_true(timestamp_parse(text_of(rows[i].in), &t));
        if (!timestamp_format(t, out) || strcmp(out, rows[i].out) != 0)
            fail_msg("row of line %d: %s", rows[i].line, out);
    }
}

static void log_forms(void **state)
{
    struct instant at;

    (void)state;
    assert_true(timezone_use("UTC"));
    assert_true(timestamp_parse_gin(TEXT_LITERAL("2024/10/10 - 09:34:35"), &at));
    assert_int_equal(at.seconds, 1728552875);
    assert_false(timestamp_parse_gin(TEXT_LITERAL("2024/02/30 - 09:34:35"), &at));
    assert_false(timestamp_parse_gin(TEXT_LITERAL("2024/10/10 09:34:35"), &at));
    assert_true(timestamp_parse_clf(TEXT_LITERAL("12/Jan/2026:10:00:00 +0000"), &at));
    assert_int_equal(at.seconds, 1768212000);
    assert_true(timestamp_parse_clf(TEXT_LITERAL("12/Jan/2026:10:00:00 -0130"), &at));
    assert_int_equal(at.seconds, 1768217400);
    assert_false(timestamp_parse_clf(TEXT_LITERAL("12/jan/2026:10:00:00 +0000"), &at));
    assert_false(timestamp_parse_clf(TEXT_LITERAL("12/Jan/2026:10:00:00"), &at));
}

static void older_lines_are_read_in_the_zone_that_was_set(void **state)
{
    struct instant at;

    (void)state;
    assert_false(timezone_use("Nowhere/Atall"));
    assert_false(timezone_use("../../etc/passwd"));
    assert_false(timezone_use(""));
    assert_true(timezone_use("Europe/Madrid"));
    assert_true(timestamp_parse_gin(TEXT_LITERAL("2024/07/01 - 12:00:00"), &at)); /* summer: +02:00 */
    assert_int_equal(at.seconds, 1719828000);
    assert_true(timestamp_parse_gin(TEXT_LITERAL("2024/01/01 - 12:00:00"), &at)); /* winter: +01:00 */
    assert_int_equal(at.seconds, 1704106800);
    assert_true(timezone_use("UTC"));
}

static void a_remembered_offset_is_that_of_its_own_quarter_of_an_hour(void **state)
{
    static const struct {
        const char *zone, *text;
        int64_t seconds;
        int line;
    } rows[] = {
        {"Europe/Madrid", "2024/03/31 - 01:59:59", 1711846799, __LINE__}, /* the last second of winter */
        {"Europe/Madrid", "2024/03/31 - 03:00:00", 1711846800, __LINE__},
        {"Europe/Madrid", "2024/03/31 - 03:14:59", 1711847699, __LINE__},
        {"Europe/Madrid", "2024/10/27 - 01:59:59", 1729987199, __LINE__}, /* summer */
        {"Europe/Madrid", "2024/10/27 - 03:00:00", 1729994400, __LINE__},
        {"Pacific/Chatham", "2024/09/29 - 02:44:59", 1727531999, __LINE__},
        {"Pacific/Chatham", "2024/09/29 - 03:45:00", 1727532000, __LINE__},
    };
    struct timezone_cache cache = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct instant at;

        if (i == 0 || rows[i].zone != rows[i - 1].zone) {
            cache = (struct timezone_cache){0};
            assert_true(timezone_use(rows[i].zone));
        }
        if (!timestamp_parse_gin_cached(text_of(rows[i].text), &cache, &at) || at.seconds != rows[i].seconds)
            fail_msg("row of line %d: %lld", rows[i].line, (long long)at.seconds);
    }
    assert_true(timezone_use("UTC"));
}

static void hours_are_rounded_down(void **state)
{
    (void)state;
    assert_int_equal(instant_hour((struct instant){3600, 0}), 1);
    assert_int_equal(instant_hour((struct instant){3599, 999999999}), 0);
    assert_int_equal(instant_hour((struct instant){-1, 0}), -1);
    assert_int_equal(instant_hour((struct instant){-3600, 0}), -1);
}

static void compact_form(void **state)
{
    char out[TIMESTAMP_SIZE];

    (void)state;
    instant_format_compact((struct instant){1767225600, 999}, out);
    assert_string_equal(out, "20260101T000000Z");
    instant_format_seconds((struct instant){-1, 5}, out);
    assert_string_equal(out, "1969-12-31T23:59:59Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc3339_accepts_and_refuses),
        cmocka_unit_test(times_of_one_minute_are_read_the_same),
        cmocka_unit_test(echo_is_the_same_instant_in_the_same_offset),
        cmocka_unit_test(log_forms),
        cmocka_unit_test(older_lines_are_read_in_the_zone_that_was_set),
        cmocka_unit_test(a_remembered_offset_is_that_of_its_own_quarter_of_an_hour),
        cmocka_unit_test(hours_are_rounded_down),
        cmocka_unit_test(compact_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
