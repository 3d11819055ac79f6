/* Log lines: what counts, as what, when, and why not. Expected seconds are those of Python's datetime. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/logline.h"

#define GIN           "[GIN-EXECUTIONS-LOGGER] "
#define OWN           GIN "2026-05-01T10:00:00.123456789Z | 200 |  347.805334ms | 172.25.0.1 | "
#define NGINX         "172.18.0.1 - - [12/Jan/2026:10:00:00 +0000] "
#define REST          " HTTP/1.1\" 200 612 \"-\" \"curl/8.5\" 1 0.003 [oscar-svc-nb-svc-80]"
#define JSON(members) "{\"StartUTC\":\"2026-05-01T10:00:00.1Z\",\"ClientHost\":\"10.0.0.7\"," members "}"

enum { OWN_SECONDS = 1777629600 }; /* 2026-05-01T10:00:00Z */

static const struct logline_rules requests = {.kind = LOGLINE_REQUESTS, .services_namespace = "oscar-svc"};
static const struct logline_rules exposed = {.kind = LOGLINE_EXPOSED, .services_namespace = "oscar-svc"};

/* With literals NULs can stand in a line. */
#define LINE(s)         s, sizeof(s) - 1
#define REFUSED(result) result, NULL, NULL, NULL, USAGE_SYNC, __LINE__

struct row {
    const char *line;
    size_t length;
    enum logline_result result;
    const char *service, *user, *namespace;
    enum usage_type type;
    int row;
};

static bool as_expected(const struct logline_rules *rules, const struct row *row, enum logline_result *result)
{
    struct text line = {row->line, row->length};
    struct logline_event event;

    *result = logline_parse(rules, line, NULL, &event);
    if (*result != row->result)
        return false;
    return *result != LOGLINE_COUNTS ||
           (text_is(event.service, row->service) && text_is(event.user, row->user) &&
            text_is(event.namespace, row->namespace) && event.type == row->type);
}

static void check(const struct logline_rules *rules, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        enum logline_result result;

        if (!as_expected(rules, &rows[i], &result))
            fail_msg("row of line %d: %s: %s", rows[i].row, logline_result_name(result), rows[i].line);
    }
}

static void requests_count_by_their_fields(void **state)
{
    static const struct row rows[] = {
        {LINE(OWN "POST    /run/simple-test | oscar"), LOGLINE_COUNTS, "simple-test", "oscar", "", USAGE_SYNC,
         __LINE__},
        {LINE(OWN "POST    /job/yolo | 62bb@egi.eu"), LOGLINE_COUNTS, "yolo", "62bb@egi.eu", "", USAGE_ASYNC,
         __LINE__},
        {LINE(OWN "GET\t/job/yolo | a"), LOGLINE_COUNTS, "yolo", "a", "", USAGE_ASYNC, __LINE__},
        {LINE(OWN "POST /job/yolo | "), LOGLINE_COUNTS, "yolo", "", "", USAGE_ASYNC, __LINE__},
        {LINE(OWN "POST /job/yolo |"), LOGLINE_COUNTS, "yolo", "", "", USAGE_ASYNC, __LINE__},
        {LINE(OWN "POST /job/yolo | a\r"), LOGLINE_COUNTS, "yolo", "a", "", USAGE_ASYNC, __LINE__},
        {LINE(OWN "POST /job/yolo?x=/run/other | a"), LOGLINE_COUNTS, "yolo", "a", "", USAGE_ASYNC, __LINE__},
        {LINE(OWN "POST /run/a.b-c | nil"), LOGLINE_COUNTS, "a.b-c", "nil", "", USAGE_SYNC, __LINE__},
        {LINE(OWN "POST /run/yolo | \xff\xfe"), LOGLINE_COUNTS, "yolo", "\xff\xfe", "", USAGE_SYNC, __LINE__},
        {LINE(GIN "2026-05-01T10:00:00Z|500|1ms|::1|DELETE /run/yolo|a"), LOGLINE_COUNTS, "yolo", "a", "",
         USAGE_SYNC, __LINE__},
        {LINE("[GIN-EXECUTIONS-LOGGER]2026-05-01T10:00:00Z|401|1ms|::1|PUT /run/yolo|a"), LOGLINE_COUNTS,
         "yolo", "a", "", USAGE_SYNC, __LINE__},
        /* eight fields */
        {LINE(OWN "POST /job/by-path | b | yolo | oscar-svc-b2"), LOGLINE_COUNTS, "yolo", "b", "oscar-svc-b2",
         USAGE_ASYNC, __LINE__},
        {LINE(OWN "POST /run/yolo | b | yolo | oscar-svc"), LOGLINE_COUNTS, "yolo", "b", "oscar-svc",
         USAGE_SYNC, __LINE__},
        {LINE(OWN "POST /run/by-path |  |  | oscar-svc"), LOGLINE_COUNTS, "by-path", "", "oscar-svc",
         USAGE_SYNC, __LINE__},
        {LINE(OWN "POST /run/Not/A/Name | b | yolo | oscar-svc"), LOGLINE_COUNTS, "yolo", "b", "oscar-svc",
         USAGE_SYNC, __LINE__},
    };

    (void)state;
    check(&requests, rows, COUNT_OF(rows));
}

static void a_nul_is_part_of_a_field(void **state)
{
    static const char line[] = OWN "POST /run/yolo | a\0b";
    struct logline_event event;

    (void)state;
    assert_int_equal(logline_parse(&requests, TEXT_LITERAL(line), NULL, &event), LOGLINE_COUNTS);
    assert_true(text_equal(event.user, TEXT_LITERAL("a\0b")));
    assert_true(text_is(event.client, "172.25.0.1"));
}

static const struct row other_lines[] = {
    {LINE(""), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("\0\0\0"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("\r"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("["), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("[GIN-EXECUTIONS-LOGGER"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("[GIN] 2026/05/04 - 00:00:00 | 200 | 1ms | 10.0.0.1 | POST /job/yolo | a"),
     REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026/05/04 00:00:03 error calling /job/yolo: timeout"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE(" " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("x" OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("[GIN] x | " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("[GIN-EXECUTIONS-LOGGER]"), REFUSED(LOGLINE_FIELDS)},
    {LINE(GIN "||||"), REFUSED(LOGLINE_FIELDS)},
    {LINE(GIN "2026-05-04T00:00:02Z | 200 | 1ms | POST /job/yolo"), REFUSED(LOGLINE_FIELDS)},
    {LINE(OWN "POST /run/yolo | a | yolo"), REFUSED(LOGLINE_FIELDS)},
    {LINE(OWN "POST /run/yolo | a | yolo | oscar-svc | x"), REFUSED(LOGLINE_FIELDS)},
    {LINE(OWN "POST /run/yolo | a | yolo | oscar-svc | x | y | z"), REFUSED(LOGLINE_FIELDS)},
    {LINE(OWN "POST /run/yolo | a | yolo | oscar"), REFUSED(LOGLINE_NAMESPACE)},
    {LINE(OWN "POST /run/yolo | a | yolo | oscar-svcx"), REFUSED(LOGLINE_NAMESPACE)},
    {LINE(OWN "POST /run/yolo | a | yolo | x-oscar-svc"), REFUSED(LOGLINE_NAMESPACE)},
    {LINE(OWN "POST /run/yolo | a | yolo | "), REFUSED(LOGLINE_NAMESPACE)},
    /* a path with two '|', called by nobody and by somebody */
    {LINE(OWN "POST /run/x | victim | yolo | "), REFUSED(LOGLINE_NAMESPACE)},
    {LINE(OWN "POST /run/x | victim | yolo | a1@egi.eu"), REFUSED(LOGLINE_NAMESPACE)},
    {LINE(OWN "GET     /health | oscar"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "/run/yolo | oscar"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN " | oscar"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /run | a"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /run/ | a"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /job/?x=1 | a"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /x/run/yolo | a"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /RUN/yolo | a"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /health | a | yolo | oscar-svc"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /run/ | a | yolo | oscar-svc"), REFUSED(LOGLINE_PATH)},
    {LINE(OWN "POST /run/../../etc/passwd | a"), REFUSED(LOGLINE_SERVICE)},
    {LINE(OWN "POST /run/yolo/x | a"), REFUSED(LOGLINE_SERVICE)},
    {LINE(OWN "POST /run/Yolo | a"), REFUSED(LOGLINE_SERVICE)},
    {LINE(OWN "POST /run/yo lo | a"), REFUSED(LOGLINE_SERVICE)},
    {LINE(OWN "POST /run/yolo\0 | a"), REFUSED(LOGLINE_SERVICE)},
    {LINE(OWN "POST /run/yolo | a | Yolo | oscar-svc"), REFUSED(LOGLINE_SERVICE)},
    {LINE(OWN "POST /run/" GIN " | a"), REFUSED(LOGLINE_SERVICE)},
    {LINE(GIN "not-a-time | 200 | 1ms | ::1 | POST /run/yolo | a"), REFUSED(LOGLINE_TIME)},
    {LINE(GIN " | 200 | 1ms | ::1 | POST /run/yolo | a"), REFUSED(LOGLINE_TIME)},
    {LINE(GIN "2026/05/01 10:00:00 | 200 | 1ms | ::1 | POST /run/yolo | a"), REFUSED(LOGLINE_TIME)},
    /* what only looks like a runtime's prefix */
    {LINE("2026-05-01T10:00:00 stderr F " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z stderr X " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z stdlog F " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z stderr Fx " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z stderr " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z  " OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z stderr F"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z stderr "), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026-05-01T10:00:00Z"), REFUSED(LOGLINE_NO_PREFIX)},
};

static void other_lines_of_the_manager_do_not_count(void **state)
{
    const struct logline_rules nameless = {.kind = LOGLINE_REQUESTS, .services_namespace = ""};
    const struct row forged = {LINE(OWN "POST /run/x | victim | yolo | "), REFUSED(LOGLINE_NAMESPACE)};

    (void)state;
    check(&requests, other_lines, COUNT_OF(other_lines));
    check(&nameless, &forged, 1);
}

static const struct row exposed_lines[] = {
    {LINE(NGINX "\"GET /system/services/nb/exposed/lab" REST), LOGLINE_COUNTS, "nb", "", "oscar-svc",
     USAGE_EXPOSED, __LINE__},
    {LINE(NGINX "\"GET /system/services/nb/exposed" REST), LOGLINE_COUNTS, "nb", "", "oscar-svc",
     USAGE_EXPOSED, __LINE__},
    {LINE(NGINX "\"HEAD /system/services/nb/exposed?next=/system/services/o/exposed" REST), LOGLINE_COUNTS,
     "nb", "", "oscar-svc", USAGE_EXPOSED, __LINE__},
    {LINE(NGINX "\"GET /system/services/nb/exposed\""), LOGLINE_COUNTS, "nb", "", "", USAGE_EXPOSED,
     __LINE__},
    {LINE(NGINX "\"GET /system/services/nb/exposed" REST "\r"), LOGLINE_COUNTS, "nb", "", "oscar-svc",
     USAGE_EXPOSED, __LINE__},
    {LINE("2001:db8::1 - x] [y [1] [12/Jan/2026:10:00:00 +0000] \"GET /system/services/nb/exposed" REST),
     LOGLINE_COUNTS, "nb", "", "oscar-svc", USAGE_EXPOSED, __LINE__},
    {LINE("::1 - \\x22GET /system/services/evil/exposed HTTP/1.1\\x22 [12/Jan/2026:10:00:00 +0000] \"GET "
          "/ "
          "HTTP/1.1\" 200"),
     REFUSED(LOGLINE_PATH)},
    {LINE(NGINX "\"GET / HTTP/1.1\" 200 612 \"https://x/system/services/nb/exposed\" \"c\""),
     REFUSED(LOGLINE_PATH)},
    {LINE(NGINX "\"GET /?x=/system/services/nb/exposed" REST), REFUSED(LOGLINE_PATH)},
    {LINE(NGINX "\"GET /system/services/nb/exposedx" REST), REFUSED(LOGLINE_PATH)},
    {LINE(NGINX "\"GET /system/services/nb" REST), REFUSED(LOGLINE_PATH)},
    {LINE(NGINX "\"GET /system/services/nb/expose" REST), REFUSED(LOGLINE_PATH)},
    {LINE(NGINX "\"GET /system/services/a/b/exposed" REST), REFUSED(LOGLINE_PATH)},
    {LINE(NGINX "\"GET /system/services//exposed" REST), REFUSED(LOGLINE_SERVICE)},
    {LINE(NGINX "\"GET /system/services/Nb/exposed" REST), REFUSED(LOGLINE_SERVICE)},
    {LINE(NGINX "\"\\x16\\x03\\x01\" 400 150 \"-\" \"-\""), REFUSED(LOGLINE_FIELDS)},
    {LINE(NGINX "\"\" 400 0"), REFUSED(LOGLINE_FIELDS)},
    {LINE(NGINX "\"GET /system/services/nb/exposed"), REFUSED(LOGLINE_FIELDS)},
    {LINE(NGINX), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("12/Jan/2026:10:00:00 +0000] \"GET /system/services/nb/exposed HTTP/1.1\""),
     REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("1.1.1.1 [12/Jan/2026:10:00:00 +0000] \"GET /system/services/nb/exposed HTTP/1.1\""),
     REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("2026/01/12 10:00:00 [error] 31#31: *1 connect() failed, client: 1.1.1.1, request: \"GET "
          "/system/services/nb/exposed HTTP/1.1\""),
     REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("\""), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE(""), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("1.1.1.1 - - [12/Xxx/2026:10:00:00 +0000] \"GET /system/services/nb/exposed HTTP/1.1\""),
     REFUSED(LOGLINE_TIME)},
    /* Traefik */
    {LINE(JSON("\"RequestPath\":\"/system/services/nb/exposed/lab\"")), LOGLINE_COUNTS, "nb", "", "",
     USAGE_EXPOSED, __LINE__},
    {LINE(JSON("\"RequestPath\":\"/system/services/nb/exposed\",\"UA\":\"a\\u0000 and a\\\\u0000\"")),
     LOGLINE_COUNTS, "nb", "", "", USAGE_EXPOSED, __LINE__}, /* callers choose what they are called */
    {LINE(JSON("\"RequestPath\":\"\\/system\\/services\\/n\\u0062\\/exposed\"")), LOGLINE_COUNTS, "nb", "",
     "", USAGE_EXPOSED, __LINE__},
    {LINE(JSON("\"RequestPath\":\"/system/services/nb/exposed\"") "\r"), LOGLINE_COUNTS, "nb", "", "",
     USAGE_EXPOSED, __LINE__},
    {LINE(JSON("\"RequestPath\":\"/x\",\"r\":\"/system/services/nb/exposed\"")), REFUSED(LOGLINE_PATH)},
    {LINE(JSON("\"RequestPath\":7")), REFUSED(LOGLINE_PATH)},
    {LINE(JSON("\"RequestPath\":null")), REFUSED(LOGLINE_PATH)},
    {LINE(JSON("\"RequestPath\":{}")), REFUSED(LOGLINE_PATH)},
    {LINE(JSON("\"RequestPath\":\"/system/services/N/exposed\"")), REFUSED(LOGLINE_SERVICE)},
    {LINE("{}"), REFUSED(LOGLINE_PATH)},
    {LINE("{"), REFUSED(LOGLINE_FIELDS)},
    {LINE("{\"RequestPath\":\"/system/services/nb/exposed/\",\"StartUTC\":"), REFUSED(LOGLINE_FIELDS)},
    {LINE(JSON("\"RequestPath\":\"/system/services/nb/exposed\"") "{}"), REFUSED(LOGLINE_FIELDS)},
    {LINE(JSON("\"RequestPath\":\"/system/services/nb/exposed\"") " x"), REFUSED(LOGLINE_FIELDS)},
    {LINE(JSON("\"a\":\"\xff\",\"RequestPath\":\"/system/services/nb/exposed\"")), REFUSED(LOGLINE_FIELDS)},
    {LINE(JSON("\"RequestPath\\u0000\":\"/system/services/nb/exposed\"")), REFUSED(LOGLINE_FIELDS)},
    {LINE(JSON("\"RequestPath\":\"/system/services/n\0b/exposed\"")), REFUSED(LOGLINE_FIELDS)},
    {LINE("{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"),
     REFUSED(LOGLINE_FIELDS)},
    {LINE("[1,2]"), REFUSED(LOGLINE_NO_PREFIX)},
    {LINE("{\"RequestPath\":\"/system/services/nb/exposed\"}"), REFUSED(LOGLINE_TIME)},
    {LINE("{\"RequestPath\":\"/system/services/nb/exposed\",\"StartUTC\":7}"), REFUSED(LOGLINE_TIME)},
    {LINE("{\"RequestPath\":\"/system/services/nb/exposed\",\"StartUTC\":\"\"}"), REFUSED(LOGLINE_TIME)},
};

static void exposed_requests_count_by_their_own_path(void **state)
{
    (void)state;
    check(&exposed, exposed_lines, COUNT_OF(exposed_lines));
}

static void lines_of_the_other_kind_do_not_count(void **state)
{
    static const struct row lines[] = {
        {LINE(OWN "POST /run/yolo | a"), REFUSED(LOGLINE_NO_PREFIX)},
        {LINE(OWN "GET /system/services/nb/exposed | a"), REFUSED(LOGLINE_NO_PREFIX)},
    };
    static const struct row access[] = {
        {LINE(NGINX "\"GET /system/services/nb/exposed" REST), REFUSED(LOGLINE_NO_PREFIX)},
        {LINE(JSON("\"RequestPath\":\"/run/nb\"")), REFUSED(LOGLINE_NO_PREFIX)},
    };

    (void)state;
    check(&exposed, lines, COUNT_OF(lines));
    check(&requests, access, COUNT_OF(access));
}

static const struct {
    const struct logline_rules *rules;
    const char *line;
    bool counts;
    int64_t seconds;
    int32_t nanoseconds;
    int row;
} timed_lines[] = {
    {&requests, OWN "POST /run/yolo | a", true, OWN_SECONDS, 123456789, __LINE__},
    {&requests, GIN "2024/10/10 - 09:34:35 | 200 | 1ms | ::1 | POST /run/yolo | a", true, 1728552875, 0,
     __LINE__},
    {&requests, GIN "2026-05-01T12:00:00+02:00 | 200 | 1ms | ::1 | POST /run/yolo | a", true, OWN_SECONDS, 0,
     __LINE__},
    {&requests,
     "2024-10-10T09:34:35.919996606Z stderr F " GIN
     "2024/10/10 - 10:00:00 | 201 |  1.4s | 79.1.1.1 | POST    /job/yolo | 62bb",
     true, 1728552875, 919996606, __LINE__},
    {&requests, "2026-05-01T10:00:00.5Z " GIN "- | 201 |  1.4s | 79.1.1.1 | POST /job/yolo | a", true,
     OWN_SECONDS, 500000000, __LINE__},
    {&requests, "2026-05-01T12:00:00.5+02:00 stdout P " GIN "- | 201 | 1s | 79.1.1.1 | POST /job/yolo | a",
     true, OWN_SECONDS, 500000000, __LINE__},
    {&exposed, NGINX "\"GET /system/services/nb/exposed" REST, true, 1768212000, 0, __LINE__},
    {&exposed,
     "::1 - [01/Jan/2020:00:00:00 +0000] [12/Jan/2026:11:00:00 +0100] \"GET "
     "/system/services/nb/exposed\"",
     true, 1768212000, 0, __LINE__},
    {&exposed, "2026-05-01T10:00:00Z stdout F ::1 - - [?] \"GET /system/services/nb/exposed\"", true,
     OWN_SECONDS, 0, __LINE__},
    {&exposed, JSON("\"RequestPath\":\"/system/services/nb/exposed\""), true, OWN_SECONDS, 100000000,
     __LINE__},
    {&exposed,
     "{\"RequestPath\":\"/system/services/nb/exposed\",\"StartUTC\":\"15/Aug/2026:12:30:00 +0000\"}", true,
     1786797000, 0, __LINE__},
    {&exposed,
     "{\"RequestPath\":\"/system/services/nb/"
     "exposed\",\"time\":\"2026-05-01T12:00:00+02:00\",\"StartUTC\":\"?\"}",
     true, OWN_SECONDS, 0, __LINE__},
    {&exposed,
     "{\"RequestPath\":\"/system/services/nb/exposed\",\"time\":\"2020-01-01T00:00:00Z\","
     "\"StartUTC\":\"2026-05-01T10:00:00Z\"}",
     true, OWN_SECONDS, 0, __LINE__},
    {&exposed, "2026-05-01T10:00:00Z {\"RequestPath\":\"/system/services/nb/exposed\",\"StartUTC\":7}", true,
     OWN_SECONDS, 0, __LINE__},
    /* lines that do not count have their times too */
    {&requests, "2026-05-01T10:00:00Z stderr F anything", false, OWN_SECONDS, 0, __LINE__},
    {&requests, "2026-05-01T10:00:00Z", false, OWN_SECONDS, 0, __LINE__},
    {&requests, OWN "GET /health | a", false, OWN_SECONDS, 123456789, __LINE__},
    {&requests, OWN "POST /run/yolo | a | seven", false, OWN_SECONDS, 123456789, __LINE__},
    {&requests, "[GIN] 2024/10/10 - 09:34:35 | 200 | 1ms | ::1 | GET /health", false, 1728552875, 0,
     __LINE__},
    {&requests, "2024/10/10 - 09:34:35 | 200 | 1ms | ::1 | GET /health", false, 1728552875, 0, __LINE__},
    {&exposed, NGINX "\"GET / HTTP/1.1\" 200", false, 1768212000, 0, __LINE__},
    {&exposed, "{\"time\":\"2026-05-01T10:00:00Z\"}", false, OWN_SECONDS, 0, __LINE__},
};

static void the_time_is_when_the_line_was_written(void **state)
{
    (void)state;
    assert_true(timezone_use("UTC"));
    for (size_t i = 0; i < COUNT_OF(timed_lines); i++) {
        struct logline_event event;
        struct text line = text_of(timed_lines[i].line);
        bool counts = logline_parse(timed_lines[i].rules, line, NULL, &event) == LOGLINE_COUNTS;
        struct instant time = {0, 0};

        if (counts != timed_lines[i].counts || !event.timed || event.time.seconds != timed_lines[i].seconds ||
            event.time.nanoseconds != timed_lines[i].nanoseconds)
            fail_msg("row of line %d: %lld", timed_lines[i].row, (long long)event.time.seconds);
        if (!logline_time(timed_lines[i].rules, line, &time) || instant_compare(time, event.time) != 0)
            fail_msg("row of line %d: logline_time()", timed_lines[i].row);
    }
}

static void lines_without_a_time_have_none(void **state)
{
    static const struct {
        const struct logline_rules *rules;
        const char *line;
        int row;
    } rows[] = {
        {&requests, "", __LINE__},
        {&requests, "2026", __LINE__},
        {&requests, "panic at 2026-05-01T10:00:00Z", __LINE__},
        {&requests, "2026/05/04 00:00:03 error", __LINE__},
        {&requests, GIN "yesterday | 200", __LINE__},
        {&requests, "[2026-05-01T10:00:00Z", __LINE__},
        {&exposed, "{\"time\":1}", __LINE__},
        {&exposed, "{\"time\":\"2026-05-01T10:00:00Z\"", __LINE__},
        {&exposed, "1.1.1.1 - - [now] \"GET / HTTP/1.1\"", __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct instant time;

        if (logline_time(rows[i].rules, text_of(rows[i].line), &time))
            fail_msg("row of line %d", rows[i].row);
    }
}

static void a_time_from_outside_wins(void **state)
{
    static const char *const lines[] = {
        OWN "POST /run/yolo | a",
        GIN "? | 200 | 1ms | ::1 | POST /run/yolo | a",
        "2020-01-01T00:00:00Z stderr F " OWN "POST /run/yolo | a",
    };
    const struct instant written = {42, 7};
    struct logline_event event;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        assert_int_equal(logline_parse(&requests, text_of(lines[i]), &written, &event), LOGLINE_COUNTS);
        assert_int_equal(instant_compare(event.time, written), 0);
    }
    assert_int_equal(logline_parse(&exposed,
                                   TEXT_LITERAL("{\"RequestPath\":\"/system/services/nb/exposed\"}"),
                                   &written, &event),
                     LOGLINE_COUNTS);
    assert_int_equal(instant_compare(event.time, written), 0);
}

static void the_client_is_the_address_in_the_line(void **state)
{
    static const struct {
        const struct logline_rules *rules;
        const char *line, *client;
        int row;
    } rows[] = {
        {&requests, OWN "POST /run/yolo | a", "172.25.0.1", __LINE__},
        {&exposed, "2001:db8::1 - - [12/Jan/2026:10:00:00 +0000] \"GET /system/services/nb/exposed\"",
         "2001:db8::1", __LINE__},
        {&exposed, JSON("\"RequestPath\":\"/system/services/nb/exposed\""), "10.0.0.7", __LINE__},
        {&exposed,
         "{\"RequestPath\":\"/system/services/nb/"
         "exposed\",\"StartUTC\":\"2026-05-01T10:00:00Z\",\"ClientHost\":"
         "\"0123456789012345678901234567890123456789012345678901234567890123x\"}",
         "", __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct logline_event event;

        if (logline_parse(rows[i].rules, text_of(rows[i].line), NULL, &event) != LOGLINE_COUNTS ||
            !text_is(event.client, rows[i].client))
            fail_msg("row of line %d", rows[i].row);
    }
}

/* Names up to 253 bytes, from JSON too, where they are copied. */
static void names_are_limited_as_dns_limits_them(void **state)
{
    for (size_t length = 252; length <= 254; length++) {
        char name[300] = {0}, line[600];
        struct logline_event event;
        enum logline_result expected = length <= 253 ? LOGLINE_COUNTS : LOGLINE_SERVICE;

        memset(name, 'a', length);
        snprintf(line, sizeof(line), OWN "POST /run/%s | a", name);
        assert_int_equal(logline_parse(&requests, text_of(line), NULL, &event), expected);
        snprintf(line, sizeof(line), JSON("\"RequestPath\":\"/system/services/%s/exposed\""), name);
        assert_int_equal(logline_parse(&exposed, text_of(line), NULL, &event), expected);
        if (expected == LOGLINE_COUNTS)
            assert_true(text_is(event.service, name));
    }
    (void)state;
}

/* Every beginning of a line, in a buffer that ends where the line does: a read too far is seen by the
 * sanitizer. */
static void cut_lines_are_read_within_their_bounds(void **state)
{
    static const char *const lines[] = {
        "2024-10-10T09:34:35.919996606Z stderr F " GIN
        "2024/10/10 - 09:34:35 | 201 | 1s | 79.1.1.1 | POST    /job/yolo | a | yolo | oscar-svc",
        "2026-05-01T10:00:00Z stdout P " NGINX "\"GET /system/services/nb/exposed" REST,
        JSON("\"RequestPath\":\"/system/services/nb/exposed\""),
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        for (size_t length = 0; length <= strlen(lines[i]); length++) {
            char *cut = malloc(length + (length == 0));
            struct text line = {cut, length};
            struct logline_event event;
            struct logline_piece piece;

            assert_non_null(cut);
            memcpy(cut, lines[i], length);
            logline_parse(&requests, line, NULL, &event);
            logline_parse(&exposed, line, NULL, &event);
            logline_piece(line, &piece);
            logline_might_count(&exposed, line);
            free(cut);
        }
    }
}

static void pieces_of_a_line_are_known_by_the_runtimes_tag(void **state)
{
    static const struct {
        const char *line;
        bool is_piece, is_stderr, continues;
        const char *content;
        int row;
    } rows[] = {
        {"2026-05-01T10:00:00Z stdout F x", true, false, false, "x", __LINE__},
        {"2026-05-01T10:00:00Z stderr P  x ", true, true, true, " x ", __LINE__},
        {"2026-05-01T10:00:00Z stderr P ", true, true, true, "", __LINE__},
        {"2026-05-01T10:00:00Z stderr F", true, true, false, "", __LINE__},
        {"2026-05-01T10:00:00Z x", false, false, false, "", __LINE__},
        {"2026-05-01T10:00:00Z stderr", false, false, false, "", __LINE__},
        {"2026-05-01T10:00:00 stderr P x", false, false, false, "", __LINE__},
        {"x stderr P x", false, false, false, "", __LINE__},
        {"", false, false, false, "", __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct logline_piece piece;
        bool is_piece = logline_piece(text_of(rows[i].line), &piece);

        if (is_piece != rows[i].is_piece ||
            (is_piece && (piece.is_stderr != rows[i].is_stderr || piece.continues != rows[i].continues ||
                          !text_is(piece.content, rows[i].content))))
            fail_msg("row of line %d", rows[i].row);
    }
}

static void the_beginning_of_a_long_line_tells_whether_it_could_count(void **state)
{
    (void)state;
    assert_true(logline_might_count(&requests, TEXT_LITERAL(OWN "POST /run/xxxx")));
    assert_true(logline_might_count(&requests, TEXT_LITERAL("2026-05-01T10:00:00Z stderr P " OWN)));
    assert_false(logline_might_count(&requests, TEXT_LITERAL("goroutine 1 " OWN)));
    assert_true(logline_might_count(&exposed, TEXT_LITERAL(NGINX "\"GET /system/services/nb/exposed?xxx")));
    assert_true(
        logline_might_count(&exposed, TEXT_LITERAL("{\"a\":1,\"RequestPath\":\"/system/services/nb/e")));
    assert_false(logline_might_count(&exposed, TEXT_LITERAL(NGINX "\"GET /xxx")));
    assert_false(logline_might_count(&exposed, TEXT_LITERAL("")));
}

static void a_cache_of_the_zone_changes_nothing(void **state)
{
    struct logline_times times = {0};
    const struct logline_rules cached = {
        .kind = LOGLINE_REQUESTS, .services_namespace = "oscar-svc", .times = &times};

    (void)state;
    assert_true(timezone_use("Europe/Madrid"));
    for (int minute = 0; minute < 6 * 60; minute++) {
        struct logline_event plain, fast;
        char line[200];

        snprintf(line, sizeof(line), GIN "2024/03/31 - %02d:%02d:07 | 200 | 1s | ::1 | POST /run/yolo | a",
                 minute / 60, minute % 60);
        assert_int_equal(logline_parse(&requests, text_of(line), NULL, &plain), LOGLINE_COUNTS);
        assert_int_equal(logline_parse(&cached, text_of(line), NULL, &fast), LOGLINE_COUNTS);
        if (instant_compare(plain.time, fast.time) != 0)
            fail_msg("%s: %lld, %lld", line, (long long)plain.time.seconds, (long long)fast.time.seconds);
    }
    assert_true(timezone_use("UTC"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_count_by_their_fields),
        cmocka_unit_test(a_nul_is_part_of_a_field),
        cmocka_unit_test(other_lines_of_the_manager_do_not_count),
        cmocka_unit_test(exposed_requests_count_by_their_own_path),
        cmocka_unit_test(lines_of_the_other_kind_do_not_count),
        cmocka_unit_test(the_time_is_when_the_line_was_written),
        cmocka_unit_test(lines_without_a_time_have_none),
        cmocka_unit_test(a_time_from_outside_wins),
        cmocka_unit_test(the_client_is_the_address_in_the_line),
        cmocka_unit_test(names_are_limited_as_dns_limits_them),
        cmocka_unit_test(cut_lines_are_read_within_their_bounds),
        cmocka_unit_test(pieces_of_a_line_are_known_by_the_runtimes_tag),
        cmocka_unit_test(the_beginning_of_a_long_line_tells_whether_it_could_count),
        cmocka_unit_test(a_cache_of_the_zone_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
