/* Hours: what is asked, how an answer is read, and what the status says. */
#include "unit.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "http_server.h"
#include "net/fetch.h"
#include "settings.h"
#include "sources/prometheus.h"
#include "util/arena.h"
#include "util/timestamp.h"

#define VECTOR(samples)                                                                                      \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":[" samples "]}}"
#define SAMPLE(value)  "{\"metric\":{},\"value\":[1767225600,\"" value "\"]}"
#define SCALAR(sample) "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":" sample "}}"
#define MATRIX(series) "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[" series "]}}"
#define NOT_JSON       "CPU query: the answer is not Prometheus' JSON"

static const struct {
    const char *body;
    long http;
    bool success;
    double value;
    const char *notes; /* NULL: all is well */
    int line;
} answer_rows[] = {
    {VECTOR(SAMPLE("2.5")), 200, true, 2.5, NULL, __LINE__},
    {VECTOR(SAMPLE("2.5") "," SAMPLE("1e-1")), 200, true, 2.6, NULL, __LINE__},
    {VECTOR(""), 200, true, 0, NULL, __LINE__},
    {VECTOR(SAMPLE("-0")), 200, true, 0, NULL, __LINE__},
    {VECTOR(SAMPLE("-1.5E+2")), 200, true, -150, NULL, __LINE__},
    {SCALAR("[1767225600.123,\"3\"]"), 200, true, 3, NULL, __LINE__},
    {MATRIX("{\"metric\":{},\"values\":[[1,\"1\"],[2,\"4\"]]},{\"metric\":{},\"values\":[[1,\"8\"]]}"), 200,
     true, 12, NULL, __LINE__},
    {MATRIX("{\"metric\":{},\"values\":[]}"), 200, true, 0, NULL, __LINE__},
    {VECTOR(SAMPLE("NaN") "," SAMPLE("+Inf") "," SAMPLE("2")), 200, true, 2,
     "CPU query: samples left out that are NaN or infinite: 2", __LINE__},
    {SCALAR("[1,\"NaN\"]"), 200, true, 0, "CPU query: samples left out that are NaN or infinite: 1",
     __LINE__},
    {VECTOR(SAMPLE("1e999") "," SAMPLE("2")), 200, true, 2,
     "CPU query: samples left out that are NaN or infinite: 1", __LINE__},
    {VECTOR(SAMPLE("1e308") "," SAMPLE("1e308")), 200, false, 0, "CPU query: the sum is too large", __LINE__},
    {VECTOR(SAMPLE("0x10")), 200, false, 0, "CPU query: the result is no number (vector)", __LINE__},
    {VECTOR(SAMPLE(" 1")), 200, false, 0, "CPU query: the result is no number (vector)", __LINE__},
    {VECTOR(SAMPLE("1.")), 200, false, 0, "CPU query: the result is no number (vector)", __LINE__},
    {VECTOR(SAMPLE("")), 200, false, 0, "CPU query: the result is no number (vector)", __LINE__},
    {VECTOR(SAMPLE("1\\u00002")), 200, false, 0, "CPU query: the result is no number (vector)", __LINE__},
    {VECTOR("{\"metric\":{},\"value\":[1,2]}"), 200, false, 0, "CPU query: the result is no number (vector)",
     __LINE__},
    {VECTOR("{\"metric\":{},\"histogram\":[1,{}]}"), 200, false, 0,
     "CPU query: the result is no number (vector)", __LINE__},
    {VECTOR("7"), 200, false, 0, "CPU query: the result is no number (vector)", __LINE__},
    {MATRIX("{\"metric\":{},\"values\":[[1,\"1\",\"2\"]]}"), 200, false, 0,
     "CPU query: the result is no number (matrix)", __LINE__},
    {"{\"status\":\"success\",\"data\":{\"resultType\":\"string\",\"result\":[1,\"2\"]}}", 200, false, 0,
     "CPU query: the result is no number (string)", __LINE__},
    {"{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":null}}", 200, false, 0,
     "CPU query: the result is no number (vector)", __LINE__},
    {"{\"status\":\"success\",\"data\":{}}", 200, false, 0, "CPU query: the answer has no result", __LINE__},
    {"{\"status\":\"success\"}", 200, false, 0, "CPU query: the answer has no result", __LINE__},
    {"{\"status\":\"success\",\"warnings\":[\"a\",\"b\\nc\",1],\"data\":{\"resultType\":\"scalar\","
     "\"result\":[1,\"2\"]}}",
     200, true, 2, "CPU query: warning: a; CPU query: warning: b c; CPU query: a warning", __LINE__},
    {"{\"status\":\"success\",\"infos\":[\"a\"],\"warnings\":[],\"data\":{\"resultType\":\"scalar\","
     "\"result\":[1,\"2\"]}}",
     200, true, 2, NULL, __LINE__},
    {"{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"parse\\terror\"}", 400, false, 0,
     "CPU query: HTTP 400: bad_data: parse error", __LINE__},
    {"{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"x\"}", 503, false, 0,
     "CPU query: HTTP 503: timeout: x", __LINE__},
    {"{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"x\"}", 200, false, 0,
     "CPU query: execution: x", __LINE__},
    {"{\"status\":\"error\"}", 422, false, 0, "CPU query: HTTP 422: error: no reason given", __LINE__},
    {VECTOR(SAMPLE("1")), 503, false, 0, "CPU query: HTTP 503", __LINE__},
    {"Unauthorized", 401, false, 0, "CPU query: HTTP 401", __LINE__},
    {"", 302, false, 0, "CPU query: HTTP 302: redirects are not followed", __LINE__},
    {"<html>Grafana</html>", 200, false, 0, NOT_JSON, __LINE__},
    {"", 200, false, 0, NOT_JSON, __LINE__},
    {"[]", 200, false, 0, NOT_JSON, __LINE__},
    {"{\"status\":\"success\",\"data\":{\"resultType\":\"sca", 200, false, 0, NOT_JSON, __LINE__},
    {"{'status':'success','data':{'resultType':'scalar','result':[1,'2']}}", 200, false, 0, NOT_JSON,
     __LINE__},
    {SCALAR("[NaN,\"1\"]"), 200, false, 0, NOT_JSON, __LINE__},
    {SCALAR("[1,\"1\"]") "x", 200, false, 0, NOT_JSON, __LINE__},
    {SCALAR("[1,\"\xff\"]"), 200, false, 0, NOT_JSON, __LINE__},
};

static void answers_are_read(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(answer_rows); i++) {
        struct source_status status;
        double value = 0;
        bool success;
        const char *notes;

        status_init(&status, arena, "prometheus");
        success = prometheus_read(text_of(answer_rows[i].body), answer_rows[i].http, "CPU", &value, &status);
        notes = status_notes(&status);
        if (success != answer_rows[i].success || memcmp(&value, &answer_rows[i].value, sizeof(value)) != 0 ||
            strcmp(notes ? notes : "", answer_rows[i].notes ? answer_rows[i].notes : "") != 0)
            fail_msg("row of line %d: %d %.17g %s", answer_rows[i].line, success, value, notes ? notes : "");
    }
    arena_free(arena);
}

static void long_errors_are_cut_between_characters(void **state)
{
    char body[1024] = "{\"status\":\"error\",\"errorType\":\"bad_data\",\"error\":\"x", expected[512] = "";
    struct arena *arena = arena_new();
    struct source_status status;
    double value = 0;

    (void)state;
    for (int i = 0; i < 200; i++)
        strcat(body, "\xc3\xa9");
    strcat(body, "\"}");
    strcat(expected, "GPU query: HTTP 400: bad_data: x");
    for (int i = 0; i < 99; i++)
        strcat(expected, "\xc3\xa9");
    strcat(expected, "...");
    status_init(&status, arena, "prometheus");
    assert_false(prometheus_read(text_of(body), 400, "GPU", &value, &status));
    assert_string_equal(status_notes(&status), expected);
    arena_free(arena);
}

/* What a report over Prometheus needs, and what it left behind. */
struct fixture {
    struct arena *arena;
    struct settings *settings;
    struct source_context context;
    struct hours hours;
    struct job *job;
};

struct variables {
    const char *url, *cpu, *token;
};

static const char *look_up(void *context, const char *name)
{
    const struct variables *variables = context;

    if (strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0)
        return "oscar";
    if (strcmp(name, "PROMETHEUS_URL") == 0)
        return variables->url;
    if (strcmp(name, "PROMETHEUS_CPU_QUERY") == 0)
        return variables->cpu;
    if (strcmp(name, "PROMETHEUS_TOKEN") == 0)
        return variables->token;
    return NULL;
}

static void set_up(struct fixture *f, const struct variables *variables)
{
    struct variables copy = *variables;

    *f = (struct fixture){.arena = arena_new(), .settings = settings_read(look_up, &copy, stderr)};
    assert_non_null(f->settings);
    f->context = (struct source_context){.arena = f->arena,
                                         .fetcher = fetcher_new(NULL),
                                         .settings = f->settings,
                                         .start = {1767222000, 0},
                                         .end = {1767225600, 999999999},
                                         .now = {1767312000, 0},
                                         .deadline = clock_ms() + 30000};
}

static void tear_down(struct fixture *f)
{
    fetcher_free(f->context.fetcher);
    settings_release(f->settings);
    arena_free(f->arena);
}

static void start(struct fixture *f, bool cpu, bool gpu)
{
    static const struct text yolo = {"yolo", 4};
    static const struct hours_part part = {.services = &yolo, .service_count = 1};
    const struct hours_query query = {.wanted = {cpu, gpu}, .parts = &part, .part_count = 1};

    f->job = prometheus_start(&f->context, &query, &f->hours);
}

static void run_to_the_end(struct fixture *f)
{
    enum job_state state;

    while ((state = f->job->ops->step(f->job)) != JOB_DONE)
        if (state == JOB_WAITING)
            fetcher_wait(f->context.fetcher, -1, 30000);
}

/* "level value value notes", what a test looks at. */
static const char *outcome(struct fixture *f)
{
    const char *notes = status_notes(&f->hours.status);

    return arena_format(f->arena, "%s %g %g %s%s", status_level_name(f->hours.status.level),
                        f->hours.value[HOURS_CPU], f->hours.value[HOURS_GPU],
                        f->hours.status.has_time ? "read " : "", notes ? notes : "");
}

#define CPU_FORM                                                                                             \
    "query=sum%28increase%28container_cpu_usage_seconds_total%7Bnamespace%3D~%22oscar-svc.%2A%22%2Cservice%" \
    "3D~"                                                                                                    \
    "%22yolo%22%7D%5B3600s%5D%29%29%20%2F%203600&time=1767225600.999"
#define GPU_FORM                                                                                             \
    "query=sum%28increase%28container_gpu_usage_seconds_total%7Bnamespace%3D~%22oscar-svc.%2A%22%2Cservice%" \
    "3D~"                                                                                                    \
    "%22yolo%22%7D%5B3600s%5D%29%29%20%2F%203600&time=1767225600.999"

static const char *body_of(const char *request)
{
    const char *end = strstr(request, "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

/* The server answers neither before it has read both: one after the other would never end. */
static void both_queries_run_side_by_side(void **state)
{
    static const struct http_reply replies[] = {{.bytes = "HTTP/1.1 200 OK\r\n\r\n" SCALAR("[1,\"2.5\"]")},
                                                {.bytes = "HTTP/1.1 200 OK\r\n\r\n" SCALAR("[1,\"2.5\"]")}};
    struct http_server *server = http_server_start(replies, 2, 2);
    char url[128];
    struct fixture f;
    const char *first = http_server_request(server, 0), *second = http_server_request(server, 1), *swap;

    (void)state;
    snprintf(url, sizeof(url), "%s/prom/", http_server_url(server));
    set_up(&f, &(struct variables){.url = url, .token = "t0k"});
    start(&f, true, true);
    run_to_the_end(&f);
    assert_string_equal(outcome(&f), "ok 2.5 2.5 read ");
    assert_int_equal(f.hours.status.last_updated.seconds, 1767312000);
    if (strstr(first, "gpu")) {
        swap = first;
        first = second;
        second = swap;
    }
    assert_int_equal(strncmp(first, "POST /prom/api/v1/query HTTP/1.1\r\n", 34), 0);
    assert_non_null(strstr(first, "Authorization: Bearer t0k\r\n"));
    assert_string_equal(body_of(first), CPU_FORM);
    assert_string_equal(body_of(second), GPU_FORM);
    tear_down(&f);
    http_server_stop(server);
}

static void one_of_two_fails(void **state)
{
    static const struct http_reply replies[] = {{.bytes = "HTTP/1.1 200 OK\r\n\r\n" SCALAR("[1,\"2.5\"]")}};
    struct http_server *server = http_server_start(replies, 1, 0);
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.url = http_server_url(server), .cpu = "a{{service}}"});
    start(&f, true, true);
    run_to_the_end(&f);
    assert_string_equal(outcome(&f),
                        "partial 0 2.5 read CPU query: the query template has {{service}} outside a string");
    tear_down(&f);
    http_server_stop(server);
}

static void all_that_is_wanted_fails(void **state)
{
    static const struct http_reply replies[] = {
        {.bytes = "HTTP/1.1 400 Bad Request\r\n\r\n{\"status\":\"error\",\"errorType\":\"bad_data\","
                  "\"error\":\"1:1: parse error\"}"}};
    struct http_server *server = http_server_start(replies, 1, 0);
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.url = http_server_url(server)});
    start(&f, false, true);
    run_to_the_end(&f);
    assert_string_equal(outcome(&f), "missing 0 0 GPU query: HTTP 400: bad_data: 1:1: parse error");
    tear_down(&f);
    http_server_stop(server);
}

static void notes_of_the_cpu_query_come_first(void **state)
{
    static const struct http_reply replies[] = {{.bytes = "HTTP/1.1 503 No\r\n\r\n"},
                                                {.bytes = "HTTP/1.1 503 No\r\n\r\n"}};

    (void)state;
    for (int i = 0; i < 8; i++) { /* whichever comes first */
        struct http_server *server = http_server_start(replies, 2, 2);
        struct fixture f;

        set_up(&f, &(struct variables){.url = http_server_url(server)});
        start(&f, true, true);
        run_to_the_end(&f);
        assert_string_equal(outcome(&f), "missing 0 0 CPU query: HTTP 503; GPU query: HTTP 503");
        tear_down(&f);
        http_server_stop(server);
    }
}

static void nothing_is_asked_when_it_cannot_be(void **state)
{
    static const struct {
        const char *url;
        struct instant start, end;
        const char *outcome;
        int line;
    } rows[] = {
        {"none", {0, 0}, {3600, 0}, "missing 0 0 not configured", __LINE__},
        {"http://127.0.0.1:9", {0, 0}, {0, 0}, "missing 0 0 invalid time range", __LINE__},
        {"http://127.0.0.1:9", {0, 1}, {1, 0}, "missing 0 0 invalid time range", __LINE__},
        {"http://127.0.0.1:9", {-1, 500000000}, {0, 499999999}, "missing 0 0 invalid time range", __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;

        set_up(&f, &(struct variables){.url = rows[i].url});
        f.context.start = rows[i].start;
        f.context.end = rows[i].end;
        start(&f, true, true);
        if (fetcher_running(f.context.fetcher) > 0 || f.job->ops->step(f.job) != JOB_DONE ||
            strcmp(outcome(&f), rows[i].outcome) != 0)
            fail_msg("row of line %d: %s", rows[i].line, outcome(&f));
        tear_down(&f);
    }
}

static void times_of_the_query(void **state)
{
    static const struct http_reply reply = {.bytes = "HTTP/1.1 200 OK\r\n\r\n" SCALAR("[1,\"1\"]")};
    static const struct {
        struct instant start, end;
        const char *form;
        int line;
    } rows[] = {
        {{0, 0}, {1, 0}, "query=x%5B1s%5D&time=1.000", __LINE__},
        {{0, 0}, {2, 999999999}, "query=x%5B2s%5D&time=2.999", __LINE__},
        {{-10, 0}, {-1, 500000000}, "query=x%5B9s%5D&time=-0.500", __LINE__},
        {{-86400, 0}, {-3600, 0}, "query=x%5B82800s%5D&time=-3600.000", __LINE__},
        {{0, 0}, {253402300799, 0}, "query=x%5B253402300799s%5D&time=253402300799.000", __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_server *server = http_server_start(&reply, 1, 0);
        struct fixture f;

        set_up(&f, &(struct variables){.url = http_server_url(server), .cpu = "x[{{range}}]"});
        f.context.start = rows[i].start;
        f.context.end = rows[i].end;
        start(&f, true, false);
        run_to_the_end(&f);
        if (strcmp(body_of(http_server_request(server, 0)), rows[i].form) != 0)
            fail_msg("row of line %d: %s", rows[i].line, http_server_request(server, 0));
        tear_down(&f);
        http_server_stop(server);
    }
}

static void the_deadline_keeps_what_came(void **state)
{
    static const struct http_reply replies[] = {{.bytes = "HTTP/1.1 200 OK\r\n\r\n" SCALAR("[1,\"2.5\"]")},
                                                {.bytes = NULL}};
    struct http_server *server = http_server_start(replies, 2, 2);
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.url = http_server_url(server)});
    start(&f, true, true);
    while (fetcher_running(f.context.fetcher) > 1)
        fetcher_wait(f.context.fetcher, -1, 30000);
    assert_int_equal(f.job->ops->step(f.job), JOB_WAITING);
    f.job->ops->stop(f.job, JOB_DEADLINE);
    fetcher_cancel(f.context.fetcher);
    if (f.hours.value[HOURS_CPU] > 0)
        assert_string_equal(outcome(&f), "partial 2.5 0 read GPU query: no answer before the deadline");
    else
        assert_string_equal(outcome(&f), "partial 0 2.5 read CPU query: no answer before the deadline");
    tear_down(&f);
    http_server_stop(server);
}

static void the_deadline_with_nothing(void **state)
{
    static const struct http_reply never[] = {{.bytes = NULL}, {.bytes = NULL}};
    struct http_server *server = http_server_start(never, 2, 0);
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.url = http_server_url(server)});
    start(&f, true, true);
    f.job->ops->stop(f.job, JOB_DEADLINE);
    fetcher_cancel(f.context.fetcher);
    assert_string_equal(outcome(&f),
                        "missing 0 0 CPU query: no answer before the deadline; GPU query: no answer "
                        "before the deadline");
    start(&f, true, true);
    f.job->ops->stop(f.job, JOB_GONE);
    fetcher_cancel(f.context.fetcher);
    tear_down(&f);
    http_server_stop(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_are_read),
        cmocka_unit_test(long_errors_are_cut_between_characters),
        cmocka_unit_test(both_queries_run_side_by_side),
        cmocka_unit_test(one_of_two_fails),
        cmocka_unit_test(all_that_is_wanted_fails),
        cmocka_unit_test(notes_of_the_cpu_query_come_first),
        cmocka_unit_test(nothing_is_asked_when_it_cannot_be),
        cmocka_unit_test(times_of_the_query),
        cmocka_unit_test(the_deadline_keeps_what_came),
        cmocka_unit_test(the_deadline_with_nothing),
    };

    return cmocka_run_group_tests(tests, init_library, cleanup_library);
}
