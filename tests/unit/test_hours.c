/* Hours in parts and pieces: which queries are asked, that they cover everything once, and what is said when
 * some of them fail. */
#include "unit.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hours_fixture.h"
#include "http_server.h"
#include "net/fetch.h"
#include "util/arena.h"
#include "util/timestamp.h"

#define OK "HTTP/1.1 200 OK\r\n\r\n"
#define TOO_MANY                                                                                             \
    "HTTP/1.1 422 Unprocessable Entity\r\n\r\n{\"status\":\"error\",\"errorType\":\"execution\",\"error\":"  \
    "\"query processing would load too many samples into memory in query execution\"}"
#define TIMED_OUT                                                                                            \
    "HTTP/1.1 503 Service Unavailable\r\n\r\n{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":"     \
    "\"query timed out in expression evaluation\"}"
#define INCREASE "sum(increase(x{s=~\"{{service}}\"}[{{range}}])) / 3600"
#define SAMPLES  "sum(sum_over_time(x{s=~\"{{service}}\"}[{{range}}]))"
#define MINUTE   ((int64_t)60 * 1000)
#define HOUR     (60 * MINUTE)

enum { DAY_START = 1767225600, DAY_END = DAY_START + 86400, SPANS_MAX = 512, NAMES = 10000 };

/* A Prometheus that knows a range's length, and says it: as many hours as the range has milliseconds, for
 * each service that is asked for. */
struct fake {
    int64_t refuse_ms;    /* ranges that long or longer get `refusal` */
    const char *refusal;  /* NULL: never any answer */
    int64_t broken_until; /* seconds: ranges that begin before get HTTP 500 */
    int64_t silent_from;  /* seconds: ranges that begin there or later get no answer; 0: none */
    const char *points;   /* what the question after the ends of a range gets */
    size_t asked, probes;
    int64_t shortest; /* of the ranges asked for */
    struct span {
        int64_t from, to;
    } spans[SPANS_MAX]; /* that were answered */
    size_t answered;
    bool seen[NAMES];
    size_t longest; /* of the names in one query */
    char query[192 * 1024], reply[256];
};

static unsigned hex(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* The query of a form, its escapes undone; what follows it is given. */
static const char *decode_query(struct fake *fake, const char *request)
{
    const char *at = strstr(request, "\r\n\r\nquery=");
    size_t length = 0;

    assert_non_null(at);
    for (at += strlen("\r\n\r\nquery="); *at && *at != '&'; at++, length++) {
        assert_true(length + 1 < sizeof(fake->query));
        fake->query[length] = *at;
        if (*at == '%') {
            fake->query[length] = (char)(hex(at[1]) * 16 + hex(at[2]));
            at += 2;
        }
    }
    fake->query[length] = '\0';
    return at;
}

static int64_t number_at(const char *at)
{
    int64_t number = 0;

    for (; *at >= '0' && *at <= '9'; at++)
        number = number * 10 + (*at - '0');
    return number;
}

/* The milliseconds of "&time=1767225600.000". */
static int64_t time_of(const char *form)
{
    assert_int_equal(strncmp(form, "&time=", 6), 0);
    return number_at(form + 6) * 1000 + number_at(strchr(form, '.') + 1);
}

static int64_t range_of(const char *query)
{
    const char *at = strchr(query, '['), *unit;

    assert_non_null(at);
    unit = at + 1 + strspn(at + 1, "0123456789");
    return number_at(at + 1) * (strncmp(unit, "ms]", 3) == 0 ? 1 : 1000);
}

static const char *answer_with(struct fake *fake, const char *number)
{
    snprintf(fake->reply, sizeof(fake->reply),
             OK "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"%s\"]}}",
             number);
    return fake->reply;
}

static const char *choose(void *context, const char *request)
{
    struct fake *fake = context;
    int64_t to = time_of(decode_query(fake, request)), range;
    char number[32];

    if (strstr(fake->query, "vector(1)[1s:1s]")) {
        fake->probes++;
        assert_int_equal(to % 1000, 0);
        return answer_with(fake, fake->points);
    }
    range = range_of(fake->query);
    if (fake->asked++ == 0 || range < fake->shortest)
        fake->shortest = range;
    if (fake->refuse_ms > 0 && range >= fake->refuse_ms)
        return fake->refusal;
    if (fake->silent_from > 0 && to - range >= fake->silent_from * 1000)
        return NULL;
    if (to - range < fake->broken_until * 1000)
        return "HTTP/1.1 500 No\r\n\r\n";
    assert_true(fake->answered < SPANS_MAX);
    fake->spans[fake->answered++] = (struct span){to - range, to};
    snprintf(number, sizeof(number), "%" PRId64, range);
    return answer_with(fake, number);
}

static int by_time(const void *a, const void *b)
{
    const struct span *left = a, *right = b;

    return left->from < right->from ? -1 : left->from > right->from;
}

/* Every instant of the range is in one piece alone: they follow each other at that distance. */
static void check_cover(struct fake *fake, int64_t from, int64_t to, int64_t distance)
{
    qsort(fake->spans, fake->answered, sizeof(fake->spans[0]), by_time);
    assert_int_equal(fake->spans[0].from, from);
    assert_int_equal(fake->spans[fake->answered - 1].to, to);
    for (size_t i = 1; i < fake->answered; i++)
        assert_int_equal(fake->spans[i].from, fake->spans[i - 1].to + distance);
}

/* A day of all services with that template for CPU; GPU is not wanted. */
static void ask_a_day(struct fixture *f, struct fake *fake, const char *template, int64_t deadline_ms)
{
    static const struct hours_part all = {.service_count = 0};
    struct http_server *server = http_server_start_choosing(choose, fake);

    set_up(f, &(struct variables){.url = http_server_url(server), .cpu = template});
    f->context.start = (struct instant){DAY_START, 0};
    f->context.end = (struct instant){DAY_END, 0};
    f->context.deadline = clock_ms() + deadline_ms;
    start_parts(f, true, false, &all, 1);
    run_to_the_end(f);
    http_server_stop(server);
}

static void halves_cover_the_whole(void **state)
{
    static const struct {
        const char *template, *points, *refusal;
        int64_t refuse_ms;
        size_t pieces, probes;
        int64_t distance;
        int line;
    } rows[] = {
        {INCREASE, "?", TOO_MANY, 24 * HOUR, 2, 0, 0, __LINE__},
        {INCREASE, "?", TIMED_OUT, 24 * HOUR, 2, 0, 0, __LINE__},
        {INCREASE, "?", "HTTP/1.1 504 Gateway Timeout\r\n\r\n<html>", 24 * HOUR, 2, 0, 0, __LINE__},
        {INCREASE, "?", TOO_MANY, 24 * HOUR + 1, 1, 0, 0, __LINE__},
        {INCREASE, "?", TOO_MANY, HOUR, 32, 0, 0, __LINE__},
        {INCREASE, "?", TOO_MANY, 12 * MINUTE, 128, 0, 0, __LINE__},
        {SAMPLES, "1", TOO_MANY, HOUR, 32, 1, 0, __LINE__},     /* the beginning of a range is not in it */
        {SAMPLES, "2", TOO_MANY, HOUR, 32, 1, 1, __LINE__},     /* it is: a millisecond between pieces */
        {SAMPLES, "?", TOO_MANY, 25 * HOUR, 1, 0, 0, __LINE__}, /* nobody asks without need */
    };

    (void)state;
    /* What was refused teaches: at most eight queries, as many as run at once, for each of seven halvings. */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake *fake = calloc(1, sizeof(*fake));
        int64_t whole = 24 * HOUR - (int64_t)(rows[i].pieces - 1) * rows[i].distance;
        struct fixture f;

        fake->refuse_ms = rows[i].refuse_ms;
        fake->refusal = rows[i].refusal;
        fake->points = rows[i].points;
        ask_a_day(&f, fake, rows[i].template, 30000);
        if (f.hours.status.level != STATUS_OK || (int64_t)f.hours.value[HOURS_CPU] != whole ||
            fake->answered != rows[i].pieces || fake->probes != rows[i].probes ||
            fake->asked > rows[i].pieces + 8 * 7)
            fail_msg("row of line %d: %s, pieces: %zu, probes: %zu, asked: %zu", rows[i].line, outcome(&f),
                     fake->answered, fake->probes, fake->asked);

        check_cover(fake, DAY_START * 1000L, DAY_END * 1000L, rows[i].distance);
        tear_down(&f);
        free(fake);
    }
}

#define TOO_MANY_NOTE                                                                                        \
    "missing 0 0 CPU query: HTTP 422: execution: query processing would load too many samples into memory "  \
    "in query execution; CPU query: it was not cut into shorter ranges: "

static void what_does_not_add_up_is_missing(void **state)
{
    static const struct {
        const char *template, *points, *outcome;
        size_t asked;
        int line;
    } rows[] = {
        {"sum(avg_over_time(x[{{range}}]))", "1",
         TOO_MANY_NOTE "the query template is none that adds up over time", 1, __LINE__},
        {"max(increase(x[{{range}}]))", "1",
         TOO_MANY_NOTE "the query template is none that adds up over time", 1, __LINE__},
        {SAMPLES, "3", TOO_MANY_NOTE "the server does not say which samples a range has at its ends", 2,
         __LINE__},
        {SAMPLES, "0", TOO_MANY_NOTE "the server does not say which samples a range has at its ends", 2,
         __LINE__},
        {SAMPLES, "x", TOO_MANY_NOTE "the server does not say which samples a range has at its ends", 2,
         __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fake *fake = calloc(1, sizeof(*fake));
        struct fixture f;

        fake->refuse_ms = 1;
        fake->refusal = TOO_MANY;
        fake->points = rows[i].points;
        ask_a_day(&f, fake, rows[i].template, 30000);
        if (strcmp(outcome(&f), rows[i].outcome) != 0 || fake->asked != rows[i].asked)
            fail_msg("row of line %d: %s, asked: %zu", rows[i].line, outcome(&f), fake->asked);
        tear_down(&f);
        free(fake);
    }
}

static void pieces_have_a_floor(void **state)
{
    struct fake *fake = calloc(1, sizeof(*fake));
    struct fixture f;

    (void)state;
    fake->refuse_ms = 1;
    fake->refusal = TOO_MANY;
    ask_a_day(&f, fake, INCREASE, 30000);
    assert_string_equal(outcome(&f), TOO_MANY_NOTE "a shorter range is not asked for");
    assert_int_equal(fake->shortest, 675000); /* 86400 s / 128, its half would be under ten minutes */
    tear_down(&f);
    free(fake);
}

static void the_half_that_came_counts(void **state)
{
    struct fake *fake = calloc(1, sizeof(*fake));
    struct fixture f;

    (void)state;
    fake->refuse_ms = 12 * HOUR;
    fake->refusal = TOO_MANY;
    fake->broken_until = DAY_START + 12 * 3600;
    ask_a_day(&f, fake, INCREASE, 30000);
    assert_string_equal(outcome(&f), "partial 4.32e+07 0 read CPU query: not in the sum: all services, "
                                     "2026-01-01T00:00:00Z to 2026-01-01T06:00:00Z, and more; CPU query: "
                                     "HTTP 500");
    check_cover(fake, (DAY_START + 12 * 3600) * 1000L, DAY_END * 1000L, 0);
    tear_down(&f);
    free(fake);
}

/* The whole gets half of the time; then come eighths. */
static void what_takes_too_long_is_asked_in_eighths(void **state)
{
    struct fake *fake = calloc(1, sizeof(*fake));
    struct fixture f;

    (void)state;
    fake->refuse_ms = 24 * HOUR;
    ask_a_day(&f, fake, INCREASE, 3000);
    assert_string_equal(outcome(&f), "ok 8.64e+07 0 read ");
    assert_int_equal(fake->answered, 8);
    check_cover(fake, DAY_START * 1000L, DAY_END * 1000L, 0);
    tear_down(&f);
    free(fake);
}

static void nothing_comes_before_the_deadline(void **state)
{
    struct fake *fake = calloc(1, sizeof(*fake));
    struct fixture f;

    (void)state;
    fake->refuse_ms = 3 * HOUR;
    ask_a_day(&f, fake, INCREASE, 1000);
    assert_string_equal(outcome(&f), "missing 0 0 CPU query: no answer before the deadline");
    assert_int_equal(fake->asked, 9);
    tear_down(&f);
    free(fake);
}

static void the_deadline_names_what_is_missing(void **state)
{
    struct fake *fake = calloc(1, sizeof(*fake));
    struct fixture f;

    (void)state;
    fake->refuse_ms = 24 * HOUR;
    fake->refusal = TOO_MANY;
    fake->silent_from = DAY_START + 12 * 3600;
    ask_a_day(&f, fake, INCREASE, 2000);
    assert_string_equal(outcome(&f), "partial 4.32e+07 0 read CPU query: not in the sum: all services, "
                                     "2026-01-01T12:00:00Z to 2026-01-01T13:30:00Z, and more; CPU query: no "
                                     "answer before the deadline");
    check_cover(fake, DAY_START * 1000L, (DAY_START + 12 * 3600) * 1000L, 0);
    tear_down(&f);
    free(fake);
}

static void a_busy_server_is_asked_once_more(void **state)
{
    static const struct http_reply busy[] = {
        {.bytes = "HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\n\r\n"},
        {.bytes = OK "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"7\"]}}"}};
    static const struct http_reply busier[] = {{.bytes = "HTTP/1.1 503 No\r\n\r\n"},
                                               {.bytes = "HTTP/1.1 503 No\r\n\r\n"}};
    static const struct http_reply late = {.bytes = "HTTP/1.1 503 No\r\nRetry-After: 20\r\n\r\n"};
    static const struct {
        const struct http_reply *replies;
        size_t count;
        int64_t pause;
        const char *outcome;
    } rows[] = {
        {busy, 2, 1000, "ok 7 0 read "},
        {busier, 2, 1000, "missing 0 0 CPU query: HTTP 503"},
        {&late, 1, 0, "missing 0 0 CPU query: HTTP 503"}, /* over half of the time that is left */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct http_server *server = http_server_start(rows[i].replies, rows[i].count, 0);
        int64_t began = clock_ms();
        struct fixture f;

        set_up(&f, &(struct variables){.url = http_server_url(server)});
        start(&f, true, false);
        run_to_the_end(&f);
        assert_string_equal(outcome(&f), rows[i].outcome);
        assert_true(clock_ms() - began >= rows[i].pause);
        tear_down(&f);
        http_server_stop(server);
    }
}

static const char *refuse_and_count(void *context, const char *request)
{
    atomic_int *asked = context;

    (void)request;
    atomic_fetch_add(asked, 1);
    return "HTTP/1.1 503 No\r\n\r\n";
}

/* Of twelve queries that a busy server refuses. */
static void no_more_than_eight_are_asked_once_more(void **state)
{
    static const struct text names[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1}, {"e", 1}, {"f", 1},
                                        {"g", 1}, {"h", 1}, {"i", 1}, {"j", 1}, {"k", 1}, {"l", 1}};
    static const struct hours_part part = {.services = names, .service_count = COUNT_OF(names)};
    atomic_int asked = 0;
    struct http_server *server = http_server_start_choosing(refuse_and_count, &asked);
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.url = http_server_url(server), .cpu = "x{s=\"{{service}}\"}"});
    start_parts(&f, true, false, &part, 1);
    run_to_the_end(&f);
    assert_int_equal(f.hours.status.level, STATUS_MISSING);
    assert_int_equal(atomic_load(&asked), 12 + 8);
    tear_down(&f);
    http_server_stop(server);
}

static void of_no_part_nothing_is_asked(void **state)
{
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.url = "http://127.0.0.1:9"});
    start_parts(&f, true, true, NULL, 0);
    assert_int_equal(fetcher_running(f.context.fetcher), 0);
    assert_int_equal(f.job->ops->step(f.job), JOB_DONE);
    assert_string_equal(outcome(&f), "ok 0 0 read ");
    assert_int_equal(f.hours.status.last_updated.seconds, 1767312000);
    tear_down(&f);
}

/* Parts that have their own figures, by the namespace or the service in the query. */
struct figures {
    struct fake fake;
    size_t asked;
    char queries[8][256];
};

static const char *choose_by_part(void *context, const char *request)
{
    struct figures *figures = context;

    decode_query(&figures->fake, request);
    assert_true(figures->asked < COUNT_OF(figures->queries));
    assert_true(strlen(figures->fake.query) < sizeof(figures->queries[0]));
    memcpy(figures->queries[figures->asked++], figures->fake.query, strlen(figures->fake.query));
    if (strstr(figures->fake.query, "\"one\""))
        return answer_with(&figures->fake, "1");
    if (strstr(figures->fake.query, "\"two\""))
        return answer_with(&figures->fake, "20");
    if (strstr(figures->fake.query, "bad"))
        return "HTTP/1.1 500 No\r\n\r\n";
    return answer_with(&figures->fake, "300");
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static const struct text a_to_c[] = {{"a.b", 3}, {"b", 1}, {"c", 1}};
static const struct text bad[] = {{"bad\n", 4}, {"worse", 5}};
static const struct hours_part parts[] = {
    {.services = a_to_c, .service_count = 2, .namespace = {"one", 3}},
    {.namespace = {"two", 3}},
    {.services = a_to_c + 2, .service_count = 1},
    {.services = bad, .service_count = 2, .namespace = {"three", 5}},
};

static void ask_parts(struct fixture *f, struct figures *figures, const char *template, size_t count)
{
    struct http_server *server = http_server_start_choosing(choose_by_part, figures);

    set_up(f, &(struct variables){.url = http_server_url(server), .cpu = template});
    start_parts(f, true, false, parts, count);
    run_to_the_end(f);
    http_server_stop(server);
    qsort(figures->queries, figures->asked, sizeof(figures->queries[0]), by_text);
}

static void parts_are_added_up(void **state)
{
    struct figures *figures = calloc(1, sizeof(*figures));
    struct fixture f;

    (void)state;
    ask_parts(&f, figures, "x{n=~\"{{namespace}}\",s=~\"{{service}}\"}", 3);
    assert_string_equal(outcome(&f), "ok 321 0 read ");
    assert_int_equal(figures->asked, 3);
    assert_string_equal(figures->queries[0], "x{n=~\"one\",s=~\"a\\\\.b|b\"}");
    assert_string_equal(figures->queries[1], "x{n=~\"oscar-svc.*\",s=~\"c\"}");
    assert_string_equal(figures->queries[2], "x{n=~\"two\",s=~\".*\"}");
    tear_down(&f);
    free(figures);
}

static void parts_that_fail_are_named(void **state)
{
    struct figures *figures = calloc(1, sizeof(*figures));
    struct fixture f;

    (void)state;
    ask_parts(&f, figures, "x{n=~\"{{namespace}}\",s=~\"{{service}}\"}", 4);
    assert_string_equal(outcome(&f),
                        "partial 321 0 read CPU query: not in the sum: bad  and 1 more services in "
                        "the namespace three; CPU query: HTTP 500");
    tear_down(&f);
    free(figures);
}

static void a_long_name_is_cut_in_a_note(void **state)
{
    char name[PROMETHEUS_SHOWN_MAX_BYTES + 2], cut[256];

    (void)state;
    memset(name, 'n', sizeof(name));
    memcpy(name, "bad", 3);
    for (size_t more = 0; more <= 1; more++) {
        struct text service = {name, PROMETHEUS_SHOWN_MAX_BYTES + more};
        const struct hours_part both[] = {{.services = &service, .service_count = 1, .namespace = service},
                                          parts[1]};
        struct figures *figures = calloc(1, sizeof(*figures));
        struct http_server *server = http_server_start_choosing(choose_by_part, figures);
        struct fixture f;

        set_up(&f, &(struct variables){.url = http_server_url(server),
                                       .cpu = "x{n=~\"{{namespace}}\",s=~\"{{service}}\"}"});
        start_parts(&f, true, false, both, COUNT_OF(both));
        run_to_the_end(&f);
        http_server_stop(server);
        snprintf(cut, sizeof(cut), "not in the sum: %.64s%s in the namespace %.64s%s;", name,
                 more ? "..." : "", name, more ? "..." : "");
        assert_non_null(strstr(outcome(&f), cut));
        tear_down(&f);
        free(figures);
    }
}

/* "=" cannot ask for several: a query for each; and for all it cannot ask. */
static void each_service_alone_where_the_template_is_exact(void **state)
{
    struct figures *figures = calloc(1, sizeof(*figures));
    struct fixture f;

    (void)state;
    ask_parts(&f, figures, "x{n=\"{{namespace}}\",s=\"{{service}}\"}", 3);
    assert_string_equal(outcome(&f), "partial 302 0 read CPU query: not in the sum: all services in the "
                                     "namespace two; CPU query: the query template matches one service "
                                     "exactly (\"=\") and cannot ask for all");
    assert_int_equal(figures->asked, 3);
    assert_string_equal(figures->queries[0], "x{n=\"one\",s=\"a.b\"}");
    assert_string_equal(figures->queries[1], "x{n=\"one\",s=\"b\"}");
    assert_string_equal(figures->queries[2], "x{n=\"oscar-svc\",s=\"c\"}");
    tear_down(&f);
    free(figures);
}

static void a_template_that_cannot_be_limited_is_not_asked(void **state)
{
    struct figures *figures = calloc(1, sizeof(*figures));
    struct fixture f;

    (void)state;
    ask_parts(&f, figures, "x{n=~\"{{namespace}}\"}", 1);
    assert_string_equal(outcome(&f),
                        "missing 0 0 CPU query: the query template does not select by {{service}} and cannot "
                        "be limited to a service");
    assert_int_equal(figures->asked, 0);
    tear_down(&f);
    free(figures);
}

/* The server answers none before it has read all eight. */
static void queries_of_services_run_side_by_side(void **state)
{
    static const struct text names[] = {{"a", 1}, {"b", 1}, {"c", 1}, {"d", 1},
                                        {"e", 1}, {"f", 1}, {"g", 1}, {"h", 1}};
    static const struct hours_part part = {.services = names, .service_count = COUNT_OF(names)};
    static const char one[] =
        OK "{\"status\":\"success\",\"data\":{\"resultType\":\"scalar\",\"result\":[1,\"1\"]}}";
    struct http_reply replies[COUNT_OF(names)];
    struct http_server *server;
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++)
        replies[i] = (struct http_reply){.bytes = one};
    server = http_server_start(replies, COUNT_OF(names), COUNT_OF(names));
    set_up(&f, &(struct variables){.url = http_server_url(server), .cpu = "x{s=\"{{service}}\"}"});
    start_parts(&f, true, false, &part, 1);
    run_to_the_end(&f);
    assert_string_equal(outcome(&f), "ok 8 0 read ");
    tear_down(&f);
    http_server_stop(server);
}

/* Names are numbers with points between their digits, filled up: "0.1.2.3.4.x.x.x...". */
static const char *choose_by_names(void *context, const char *request)
{
    struct fake *fake = context;
    struct text rest;
    char number[32];
    size_t count = 0, bytes = 0;

    decode_query(fake, request);
    rest = text_of(strstr(fake->query, "s=~\""));
    rest = text_skip(rest, strlen("s=~\""));
    rest = text_cut(&rest, '"');
    for (; rest.length > 0; count++) {
        struct text name = text_cut(&rest, '|');
        size_t value = 0, length = 0;

        for (size_t i = 0; i < name.length; i++) {
            if (name.data[i] >= '0' && name.data[i] <= '9')
                value = value * 10 + (size_t)(name.data[i] - '0');
            length += name.data[i] != '\\';
        }
        assert_true(value < NAMES && !fake->seen[value]);
        fake->seen[value] = true;
        assert_int_equal(length, 253);
        bytes += length + 1;
    }
    if (bytes > fake->longest)
        fake->longest = bytes;
    fake->asked++;
    snprintf(number, sizeof(number), "%zu", count);
    return answer_with(fake, number);
}

static void ten_thousand_long_names_are_many_queries(void **state)
{
    struct text *names = calloc(NAMES, sizeof(*names));
    char(*bytes)[254] = calloc(NAMES, sizeof(*bytes));
    struct fake *fake = calloc(1, sizeof(*fake));
    struct http_server *server = http_server_start_choosing(choose_by_names, fake);
    struct hours_part part = {.services = names, .service_count = NAMES};
    struct fixture f;

    (void)state;
    for (size_t i = 0; i < NAMES; i++) {
        size_t digits = i;

        for (size_t j = 0; j < 253; j++)
            bytes[i][j] = j % 2 ? '.' : 'x';
        for (size_t j = 0; j < 6; j++, digits /= 10)
            bytes[i][10 - 2 * j] = (char)('0' + digits % 10);
        names[i] = (struct text){bytes[i], 253};
    }
    set_up(&f, &(struct variables){.url = http_server_url(server), .cpu = "x{s=~\"{{service}}\"}"});
    start_parts(&f, true, false, &part, 1);
    run_to_the_end(&f);
    http_server_stop(server);
    assert_string_equal(outcome(&f), "ok 10000 0 read ");
    assert_true(fake->longest <= PROMETHEUS_NAMES_MAX_BYTES + 1);
    assert_int_equal(fake->asked, 157); /* 64 names a query: 64 * 253 bytes and the bars between them */
    tear_down(&f);
    free(fake);
    free(bytes);
    free(names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_cover_the_whole),
        cmocka_unit_test(what_does_not_add_up_is_missing),
        cmocka_unit_test(pieces_have_a_floor),
        cmocka_unit_test(the_half_that_came_counts),
        cmocka_unit_test(what_takes_too_long_is_asked_in_eighths),
        cmocka_unit_test(nothing_comes_before_the_deadline),
        cmocka_unit_test(the_deadline_names_what_is_missing),
        cmocka_unit_test(a_busy_server_is_asked_once_more),
        cmocka_unit_test(no_more_than_eight_are_asked_once_more),
        cmocka_unit_test(of_no_part_nothing_is_asked),
        cmocka_unit_test(parts_are_added_up),
        cmocka_unit_test(parts_that_fail_are_named),
        cmocka_unit_test(a_long_name_is_cut_in_a_note),
        cmocka_unit_test(each_service_alone_where_the_template_is_exact),
        cmocka_unit_test(a_template_that_cannot_be_limited_is_not_asked),
        cmocka_unit_test(queries_of_services_run_side_by_side),
        cmocka_unit_test(SLOW(ten_thousand_long_names_are_many_queries)),
    };

    return cmocka_run_group_tests(tests, init_library, cleanup_library);
}
