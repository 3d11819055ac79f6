/* Requests from Loki: against a server that knows its entries, and fails as a test wants. */
#include "unit.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "http_server.h"
#include "net/fetch.h"
#include "settings.h"
#include "sources/loki.h"
#include "sources/loki_job.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/claims.h"

/* Time that passes without anybody waiting: before the C library's, for all that is linked. */
static atomic_llong ahead_us, stands_at_us; /* 0: it does not */
static atomic_llong tick_us;                /* that pass with each look at it */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    int64_t stood = atomic_load(&stands_at_us), us = (int64_t)now->tv_sec * 1000000 + now->tv_nsec / 1000;

    if (clock != CLOCK_MONOTONIC)
        return (int)result;
    us = (stood ? stood : us) + atomic_fetch_add(&ahead_us, atomic_load(&tick_us));
    now->tv_sec = us / 1000000;
    now->tv_nsec = us % 1000000 * 1000;
    return (int)result;
}

static void pass(int64_t ms)
{
    atomic_fetch_add(&ahead_us, ms * 1000);
}

static void stand_still(int64_t tick)
{
    atomic_store(&stands_at_us, clock_us() - atomic_load(&ahead_us));
    atomic_store(&tick_us, tick);
}

static void go_on(void)
{
    atomic_store(&tick_us, 0);
    atomic_store(&stands_at_us, 0);
}

#define HOUR  LOKI_HOUR
#define START ((int64_t)494000 * HOUR) /* in 2026 */

enum {
    ENTRIES_MAX = 4096,
    READS_MAX = 512,
    BODY_MAX = 16 * 1024 * 1024,
    NOW_HOUR = 500000, /* everything has settled */
    MEMORY = 64 * 1024 * 1024,
};

/* ---- the server ---- */

struct reading {
    int64_t from, to, limit;
    size_t entries;
    bool counts; /* answered with fewer than the limit */
};

struct fake {
    int64_t times[ENTRIES_MAX]; /* sorted */
    size_t count;
    int64_t limit, length;
    bool no_index;
    uint64_t volume;       /* bytes that the index gives for each entry hour by hour; 0: it does not */
    uint64_t rounded;      /* of entries in the index: so many fewer than there are */
    int64_t matches_from;  /* entries before that are no requests: the query's filter leaves them out */
    bool no_first;         /* the selector alone is refused */
    const char *faults[8]; /* whole answers to the next query_range requests, each once */
    const char *always;    /* to all of them */
    const char *warnings;
    atomic_int hold_after; /* query_range requests that are answered before none is; -1: all are */
    /* What was asked. */
    struct reading reads[READS_MAX];
    size_t read_count, fault_count, index_count;
    char last[8192];
    char *answered;
    pthread_mutex_t lock;
};

static struct fake *fake_new(void)
{
    struct fake *loki = calloc(1, sizeof(*loki));

    assert_non_null(loki);
    loki->limit = 5000;
    loki->length = 721 * HOUR;
    loki->hold_after = -1;
    pthread_mutex_init(&loki->lock, NULL);
    return loki;
}

static void fake_free(struct fake *loki)
{
    pthread_mutex_destroy(&loki->lock);
    free(loki->answered);
    free(loki);
}

static void add_entries(struct fake *loki, int64_t time, size_t count)
{
    assert_true(loki->count + count <= ENTRIES_MAX);
    for (size_t i = 0; i < count; i++)
        loki->times[loki->count++] = time;
}

static int64_t number_of(const char *request, const char *name)
{
    const char *at = strstr(request, name);

    return at ? strtoll(at + strlen(name), NULL, 10) : -1;
}

static char *answer_with(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *answer_with(const char *format, ...)
{
    va_list args;
    char *out;

    va_start(args, format);
    if (vasprintf(&out, format, args) < 0)
        abort();
    va_end(args);
    return out;
}

#define OK      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
#define REFUSED "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\r\n"

static char *entries_of(struct fake *loki, struct reading *read, bool filters)
{
    int64_t from = filters && loki->matches_from > read->from ? loki->matches_from : read->from;
    struct buf body;
    char *out;

    buf_init(&body, BODY_MAX);
    buf_format(&body,
               OK "{\"status\":\"success\",%s\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{"
                  "\"app\":\"oscar\",\"country\":\"ES\"},\"values\":[",
               loki->warnings ? loki->warnings : "");
    for (size_t i = 0; i < loki->count && read->entries < (size_t)read->limit; i++) {
        if (loki->times[i] < from || loki->times[i] >= read->to)
            continue;
        buf_format(&body,
                   "%s[\"%" PRId64
                   "\",\"[GIN-EXECUTIONS-LOGGER] 2026-05-01T10:00:00Z | 200 | 1ms | 10.0.0.1 | "
                   "POST    /run/yolo | a1@egi.eu\"]",
                   read->entries++ ? "," : "", loki->times[i]);
    }
    buf_add_string(&body, "]}]}}");
    read->counts = read->entries < (size_t)read->limit;
    out = answer_with("%s", body.data);
    buf_free(&body);
    return out;
}

/* What the server has in a range, both ends included. */
static uint64_t within(const struct fake *loki, int64_t from, int64_t last)
{
    uint64_t count = 0;

    for (size_t i = 0; i < loki->count; i++)
        count += loki->times[i] >= from && loki->times[i] <= last;
    return count;
}

/* One series, an hour a step. */
static char *volumes_of(const struct fake *loki, int64_t from, int64_t to)
{
    const char *comma = "";
    struct buf body;
    char *out;

    buf_init(&body, BODY_MAX);
    buf_add_string(&body, OK
                   "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{},"
                   "\"values\":[");
    for (int64_t hour = from; hour < to; hour += HOUR) {
        uint64_t entries = within(loki, hour, hour + HOUR - 1);

        if (entries == 0)
            continue;
        buf_format(&body, "%s[%" PRId64 ",\"%" PRIu64 "\"]", comma, hour / LOKI_SECOND,
                   entries * loki->volume);
        comma = ",";
    }
    buf_add_string(&body, "]}]}}");
    out = answer_with("%s", body.data);
    buf_free(&body);
    return out;
}

static char *answer_index(const struct fake *loki, const char *request, int64_t from, int64_t to)
{
    uint64_t entries = 0;

    if (loki->no_index)
        return answer_with("HTTP/1.1 404 Not Found\r\n\r\nnot found");
    if (to - from > loki->length)
        return answer_with(
            REFUSED "the query time range exceeds the limit (query length: 1488h0m0s, limit: %" PRId64 "s)",
            loki->length / LOKI_SECOND);
    if (strstr(request, "volume_range"))
        return loki->volume ? volumes_of(loki, from, to)
                            : answer_with("HTTP/1.1 500 No\r\n\r\nno volumes here");
    entries = within(loki, from, to);
    entries -= entries < loki->rounded ? entries : loki->rounded;
    return answer_with(OK "{\"streams\":1,\"chunks\":1,\"bytes\":%" PRIu64 ",\"entries\":%" PRIu64 "}",
                       entries * 100, entries);
}

static char *answer_range(struct fake *loki, const char *request, int64_t from, int64_t to, int64_t limit)
{
    bool filters = strstr(request, "%20%7C~%20") != NULL;
    struct reading *read = &loki->reads[loki->read_count];

    if (loki->read_count == READS_MAX) /* not cmocka's: another thread */
        abort();
    if (loki->hold_after == 0)
        return NULL;
    if (loki->hold_after > 0)
        loki->hold_after--;
    *read = (struct reading){.from = from, .to = to, .limit = limit};
    loki->read_count++;
    if (loki->fault_count < COUNT_OF(loki->faults) && loki->faults[loki->fault_count])
        return answer_with("%s", loki->faults[loki->fault_count++]);
    if (loki->always)
        return answer_with("%s", loki->always);
    if (limit > loki->limit)
        return answer_with(REFUSED
                           "max entries limit per query exceeded, limit > max_entries_limit_per_query "
                           "(%" PRId64 " > %" PRId64 ")",
                           limit, loki->limit);
    if (to - from > loki->length)
        return answer_with(
            REFUSED "the query time range exceeds the limit (query length: 1488h0m0s, limit: %" PRId64 "s)",
            loki->length / LOKI_SECOND);
    if (loki->no_first && !filters)
        return answer_with("HTTP/1.1 403 Forbidden\r\n\r\nnot for you");
    return entries_of(loki, read, filters);
}

/* The bytes are good until the next request. */
static const char *answer(void *context, const char *request)
{
    struct fake *loki = context;
    int64_t from = number_of(request, "start="), to = number_of(request, "end=");
    char *out;

    pthread_mutex_lock(&loki->lock);
    snprintf(loki->last, sizeof(loki->last), "%s", request);
    if (strncmp(request, "POST /loki/api/v1/query_range ", 30) == 0) {
        out = answer_range(loki, request, from, to, number_of(request, "limit="));
    } else {
        loki->index_count++;
        out = answer_index(loki, request, from, to);
    }
    free(loki->answered);
    loki->answered = out;
    pthread_mutex_unlock(&loki->lock);
    return out;
}

/* The windows that counted tell the range, without a gap and without an overlap. */
static void assert_read_once(struct fake *loki, int64_t from, int64_t to)
{
    int64_t at = from;

    while (at < to) {
        const struct reading *found = NULL;

        for (size_t i = 0; i < loki->read_count; i++)
            if (loki->reads[i].counts && loki->reads[i].from == at) {
                assert_null(found);
                found = &loki->reads[i];
            }
        if (found == NULL)
            fail_msg("nobody read from %" PRId64, at);
        at = found->to;
    }
    assert_true(at == to);
}

/* ---- a report ---- */

struct variables {
    const char *url, *parallel, *query, *exposed_query, *subdomain, *memory, *token, *tenant;
};

static const char *look_up(void *context, const char *name)
{
    const struct variables *variables = context;
    const struct variable rows[] = {
        {"OSCAR_USERNAME", "oscar"},
        {"OSCAR_PASSWORD", "oscar"},
        {"LOKI_URL", variables->url},
        {"LOKI_PARALLEL", variables->parallel},
        {"LOKI_QUERY", variables->query},
        {"LOKI_EXPOSED_QUERY", variables->exposed_query},
        {"LOKI_TOKEN", variables->token},
        {"LOKI_TENANT", variables->tenant},
        {"OSCAR_METRICS_MEMORY", variables->memory},
        {"EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE", variables->subdomain},
    };

    return variable_of(rows, COUNT_OF(rows), name);
}

struct fixture {
    struct fake *loki;
    struct http_server *server;
    struct settings *settings;
    struct cache *cache;
    struct claims *claims;
};

struct report {
    struct arena *arena;
    struct source_context context;
    struct usage *usage;
    struct source_status status;
    struct job *job;
};

static void set_up(struct fixture *f, const struct variables *variables)
{
    struct variables copy = *variables;

    *f = (struct fixture){
        .loki = fake_new(), .cache = cache_new(MEMORY, 24 * 3600 * 1000), .claims = claims_new()};
    f->server = http_server_start_choosing(answer, f->loki);
    if (copy.url == NULL)
        copy.url = http_server_url(f->server);
    f->settings = settings_read(look_up, &copy, stderr);
    assert_non_null(f->settings);
}

static void tear_down(struct fixture *f)
{
    http_server_stop(f->server);
    fake_free(f->loki);
    settings_release(f->settings);
    cache_free(f->cache);
    claims_free(f->claims);
}

static struct instant instant_of(int64_t time)
{
    return (struct instant){time / LOKI_SECOND, (int32_t)(time % LOKI_SECOND)};
}

/* Both ends included. */
static void begin(struct fixture *f, struct report *report, enum logline_kind kind, int64_t from,
                  int64_t last)
{
    report->arena = arena_new();
    report->usage = usage_new(MEMORY);
    report->context = (struct source_context){.arena = report->arena,
                                              .fetcher = fetcher_new(NULL),
                                              .settings = f->settings,
                                              .remembered = f->cache,
                                              .claims = f->claims,
                                              .start = instant_of(from),
                                              .end = instant_of(last),
                                              .now = {(int64_t)NOW_HOUR * 3600, 0},
                                              .deadline = clock_ms() + 60000};
    status_init(&report->status, report->arena, "loki");
    report->job = loki_start(&report->context, kind, (struct text){NULL, 0}, report->usage, &report->status);
}

static void run(struct report *report)
{
    enum job_state state;

    while ((state = report->job->ops->step(report->job)) != JOB_DONE) {
        int64_t wake_at = report->job->wake_at, now = clock_ms();

        assert_true(now < report->context.deadline);
        if (state == JOB_WAITING)
            fetcher_wait(report->context.fetcher, -1,
                         wake_at == 0    ? 1000
                         : wake_at > now ? (int)(wake_at - now)
                                         : 0);
    }
}

static void stop(struct report *report, enum job_stop why)
{
    report->job->ops->stop(report->job, why);
    fetcher_cancel(report->context.fetcher);
}

static uint64_t counted(const struct report *report)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < usage_row_count(report->usage); i++)
        sum += usage_row(report->usage, i).count;
    return sum;
}

static void end(struct report *report)
{
    fetcher_free(report->context.fetcher);
    usage_free(report->usage);
    arena_free(report->arena);
}

/* "count level notes" of a whole report. */
static const char *outcome(const struct report *report, char out[1024])
{
    const char *notes = status_notes(&report->status);

    snprintf(out, 1024, "%" PRIu64 " %s %s", counted(report), status_level_name(report->status.level),
             notes ? notes : "");
    return out;
}

static const char *ask(struct fixture *f, int64_t from, int64_t last, char out[1024])
{
    struct report report;

    begin(f, &report, LOGLINE_REQUESTS, from, last);
    run(&report);
    assert_int_equal(fetcher_running(report.context.fetcher), 0);
    outcome(&report, out);
    end(&report);
    return out;
}

/* ---- exactness ---- */

/* A server that gives ten at once; an hour with so many, elsewhere one an hour. */
static void windows_at_the_limit(void **state)
{
    static const size_t counts[] = {0, 1, 8, 9, 10, 11, 19, 20, 21, 100};
    char expected[64], out[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(counts); i++) {
        struct fixture f;

        set_up(&f, &(struct variables){.parallel = "1"});
        f.loki->limit = 10;
        add_entries(f.loki, START - 1, 1);
        for (size_t n = 0; n < counts[i]; n++)
            add_entries(f.loki, START + (int64_t)n * (HOUR / 128), 1);
        for (int hour = 1; hour < 20; hour++)
            add_entries(f.loki, START + hour * HOUR, 1);
        snprintf(expected, sizeof(expected), "%zu ok ", counts[i] + 19);
        assert_string_equal(ask(&f, START, START + 20 * HOUR - 1, out), expected);
        assert_read_once(f.loki, START, START + 20 * HOUR);
        tear_down(&f);
    }
}

static void many_in_one_nanosecond(void **state)
{
    static const struct {
        size_t burst;
        const char *outcome;
        int line;
    } rows[] = {
        {9, "12 ok ", __LINE__},
        {10,
         "13 partial more entries in one nanosecond, at 2026-05-10T08:20:34Z, than Loki gives at once: "
         "counted 10",
         __LINE__},
        {150,
         "13 partial more entries in one nanosecond, at 2026-05-10T08:20:34Z, than Loki gives at once: "
         "counted 10",
         __LINE__},
    };
    char out[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct report report;

        set_up(&f, &(struct variables){.parallel = "2"});
        f.loki->limit = 10;
        add_entries(f.loki, START, 1);
        add_entries(f.loki, START + 20 * 60 * LOKI_SECOND + 34 * LOKI_SECOND + 5, rows[i].burst);
        add_entries(f.loki, START + 3 * HOUR, 2);
        if (strcmp(ask(&f, START, START + 30 * HOUR - 1, out), rows[i].outcome) != 0)
            fail_msg("row of line %d: %s", rows[i].line, out);
        if (f.loki->read_count > 80)
            fail_msg("row of line %d: %zu reads", rows[i].line, f.loki->read_count);
        /* The hour is read again when it was not whole, and only that. */
        f.loki->read_count = 0;
        f.loki->limit = 5000;
        begin(&f, &report, LOGLINE_REQUESTS, START, START + 30 * HOUR - 1);
        run(&report);
        assert_true(report.status.level == STATUS_OK);
        assert_int_equal(counted(&report), 3 + rows[i].burst);
        for (size_t n = 0; n < f.loki->read_count; n++)
            assert_true(f.loki->reads[n].to <= START + HOUR);
        assert_true((f.loki->read_count > 0) == (rows[i].burst >= 10));
        end(&report);
        tear_down(&f);
    }
}

static void ends_are_inclusive_to_the_nanosecond(void **state)
{
    static const struct {
        int64_t from, last;
    } rows[] = {
        {0, 0},         {1, 1},
        {-1, 0},        {0, HOUR - 1},
        {0, HOUR},      {-1, HOUR + 1},
        {1, HOUR - 1},  {30 * 60 * LOKI_SECOND + 7, 5 * HOUR + 7},
        {1, 26 * HOUR}, {30 * 60 * LOKI_SECOND + 8, 30 * 60 * LOKI_SECOND + 8},
        {HOUR, HOUR},
    };
    char out[1024], expected[64];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "4"});
    add_entries(f.loki, START - HOUR, 1);
    for (int64_t at = -1; at <= 1; at++)
        add_entries(f.loki, START + at, 2);
    for (int64_t at = 6; at <= 8; at++)
        add_entries(f.loki, START + 30 * 60 * LOKI_SECOND + at, 3);
    for (int64_t hour = 1; hour <= 26; hour++)
        for (int64_t at = -1; at <= 1; at++)
            add_entries(f.loki, START + hour * HOUR + at, 1);
    for (int pass = 0; pass < 2; pass++) /* from Loki; from memory, as far as that goes */
        for (size_t i = 0; i < COUNT_OF(rows); i++) {
            int64_t from = START + rows[i].from, last = START + rows[i].last;

            snprintf(expected, sizeof(expected), "%" PRIu64 " ok ", within(f.loki, from, last));
            if (strcmp(ask(&f, from, last, out), expected) != 0)
                fail_msg("row %zu: %s, expected %s", i, out, expected);
        }
    tear_down(&f);
}

/* ---- what is asked ---- */

static void how_it_is_asked(void **state)
{
    char out[1024];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1", .token = "t0k", .tenant = "team-a"});
    add_entries(f.loki, START - HOUR, 1);
    add_entries(f.loki, START, 1);
    assert_string_equal(ask(&f, START, START + 5, out), "1 ok ");
    assert_int_equal(f.loki->read_count, 1);
    assert_non_null(strstr(f.loki->last, "\r\nAuthorization: Bearer t0k\r\n"));
    assert_non_null(strstr(f.loki->last, "\r\nX-Scope-OrgID: team-a\r\n"));
    assert_non_null(
        strstr(f.loki->last,
               "\r\n\r\nquery=%7Bnamespace%3D%22oscar%22%2C%20app%3D%22oscar%22%7D%20%7C~%20%22%2F%28job%"
               "7Crun%29%2F%22&limit=5000&direction=forward&start=1778400000000000000&end="
               "1778400000000000006"));
    tear_down(&f);
}

static const struct {
    const char *query, *selector;
    int line;
} selector_rows[] = {
    {"{a=\"b\"}", "{a=\"b\"}", __LINE__},
    {"{a=\"b\"} |~ \"{c}\" | json", "{a=\"b\"}", __LINE__},
    {"{a=\"}\", b=`}\\`, c='\\'}'} |= `{`", "{a=\"}\", b=`}\\`, c='\\'}'}", __LINE__},
    {"# {no}\n{a=~\"x{2}\"} # {c}", "{a=~\"x{2}\"}", __LINE__},
    {"{a=\"b", NULL, __LINE__},
    {"{a=\"b\"", NULL, __LINE__},
    {"\"{a}\"", NULL, __LINE__},
    {"", NULL, __LINE__},
};

static void the_selector_of_a_query(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(selector_rows); i++) {
        const char *selector = loki_selector(arena, selector_rows[i].query);

        if ((selector == NULL) != (selector_rows[i].selector == NULL) ||
            (selector && strcmp(selector, selector_rows[i].selector) != 0))
            fail_msg("row of line %d: %s", selector_rows[i].line, selector ? selector : "none");
    }
    arena_free(arena);
}

static void a_service_of_all_behind_an_equals_sign(void **state)
{
    struct fixture f;
    struct report report;

    (void)state;
    set_up(&f, &(struct variables){.query = "{app=\"oscar\", service=\"{{service}}\"}"});
    begin(&f, &report, LOGLINE_REQUESTS, START, START);
    assert_null(report.job);
    assert_int_equal(report.status.level, STATUS_MISSING);
    assert_string_equal(status_notes(&report.status),
                        "the query template matches one service exactly (\"=\") and cannot ask for all");
    end(&report);
    tear_down(&f);
}

static void exposed_services_with_host_names(void **state)
{
    static const struct {
        struct variables variables;
        const char *query;
    } rows[] = {
        {{.subdomain = "false"}, "ingress-nginx%22%7D%20%7C~%20%22%2Fsystem"},
        {{.subdomain = "true"}, "ingress-nginx%22%7D&limit="},
        {{.subdomain = "true", .exposed_query = "{a=\"b\"} |= \"c\""},
         "query=%7Ba%3D%22b%22%7D%20%7C%3D%20%22c%22&limit"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;
        struct report report;

        set_up(&f, &rows[i].variables);
        add_entries(f.loki, START, 1);
        begin(&f, &report, LOGLINE_EXPOSED, START, START);
        run(&report);
        if (strstr(f.loki->last, rows[i].query) == NULL)
            fail_msg("row %zu: %s", i, f.loki->last);
        end(&report);
        tear_down(&f);
    }
}

/* ---- what is refused, and what fails ---- */

static void limits_are_learned_once(void **state)
{
    char out[1024];
    struct fixture f;
    size_t refused = 0;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    f.loki->limit = 7;
    f.loki->length = 2 * HOUR;
    f.loki->no_index = true;
    for (int i = 0; i < 40; i++)
        add_entries(f.loki, START + i * HOUR / 2, 1);
    assert_string_equal(ask(&f, START, START + 20 * HOUR - 1, out), "40 ok ");
    for (size_t i = 0; i < f.loki->read_count; i++)
        refused += f.loki->reads[i].limit > 7 || f.loki->reads[i].to - f.loki->reads[i].from > 2 * HOUR;
    assert_int_equal(refused, 2);
    f.loki->read_count = 0;
    assert_string_equal(ask(&f, START - 40 * HOUR, START - 1, out), "0 ok ");
    for (size_t i = 0; i < f.loki->read_count; i++)
        assert_true(f.loki->reads[i].limit <= 7 && f.loki->reads[i].to - f.loki->reads[i].from <= 2 * HOUR);
    tear_down(&f);
}

#define LATER(status) "HTTP/1.1 " status "\r\n\r\nlater"
#define CUT           "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"status\":\"success\",\"data\":{\"resultTy"
#define HALF          OK "{\"status\":\"success\",\"data\":{\"resultTy"
#define HTML          "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Log in</html>"

static void what_passes_is_tried_again(void **state)
{
    static const char *const faults[][4] = {
        {LATER("429 Too Many Requests")},
        {LATER("500 Internal Server Error"), LATER("502 Bad Gateway")},
        {LATER("503 Service Unavailable"), LATER("504 Gateway Timeout"), LATER("503 Service Unavailable")},
        {"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n\r\n"},
        {CUT},
        {HALF, CUT},
        {HTML, "nothing like HTTP"},
        {OK "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[{\"stream\":{},"
            "\"values\":[["
            "\"1\",\"[GIN-EXECUTIONS-LOGGER]\"]]}]}}"},
    };
    char out[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(faults); i++) {
        struct fixture f;

        set_up(&f, &(struct variables){.parallel = "2"});
        add_entries(f.loki, START - 1, 1);
        for (int hour = 0; hour < 10; hour++)
            add_entries(f.loki, START + hour * HOUR, 3);
        memcpy(f.loki->faults, faults[i], sizeof(faults[i]));
        if (strcmp(ask(&f, START, START + 10 * HOUR - 1, out), "30 ok ") != 0)
            fail_msg("row %zu: %s", i, out);
        tear_down(&f);
    }
}

static void what_stays_is_said(void **state)
{
    static const struct {
        const char *always, *outcome;
        size_t reads;
        int line;
    } rows[] = {
        {"HTTP/1.1 401 Unauthorized\r\n\r\nno org id", "0 missing Loki: HTTP 401: no org id", 1, __LINE__},
        {"HTTP/1.1 404 Not Found\r\n\r\n404 page not found\n", "0 missing Loki: HTTP 404: 404 page not found",
         1, __LINE__},
        {REFUSED "parse error at line 1, col 19: syntax error",
         "0 missing Loki: HTTP 400: parse error at line 1, col 19: syntax error", 1, __LINE__},
        {HTML, NULL, 3, __LINE__},
        {HALF, NULL, 3, __LINE__},
        {CUT, NULL, 3, __LINE__},
        {REFUSED "max entries limit per query exceeded, limit > max_entries_limit_per_query (5000 > 5000)",
         NULL, 1, __LINE__},
    };
    char out[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;

        set_up(&f, &(struct variables){.parallel = "1"});
        add_entries(f.loki, START, 1);
        f.loki->always = rows[i].always;
        ask(&f, START, START + 2 * HOUR - 1, out);
        if ((rows[i].outcome && strcmp(out, rows[i].outcome) != 0) ||
            strncmp(out, "0 missing Loki: ", 16) != 0 || f.loki->read_count != rows[i].reads)
            fail_msg("row of line %d: %zu reads, %s", rows[i].line, f.loki->read_count, out);
        tear_down(&f);
    }
}

/* Ever shorter times are not asked for until the deadline. */
static void a_server_whose_answers_are_all_too_large(void **state)
{
    char out[1024];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    add_entries(f.loki, START, 1);
    f.loki->always = "HTTP/1.1 200 OK\r\nContent-Length: 17000000\r\n\r\n{";
    ask(&f, START, START + 2 * HOUR - 1, out);
    assert_string_equal(out,
                        "0 missing Loki: the answer is larger than 16777216 bytes, for however short a time");
    assert_int_equal(f.loki->read_count, 16);
    f.loki->always = NULL;
    assert_string_equal(ask(&f, START, START + 2 * HOUR - 1, out), "1 ok ");
    tear_down(&f);
}

static void a_server_that_is_not_there(void **state)
{
    char out[1024];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.url = "http://127.0.0.1:9"});
    assert_string_equal(ask(&f, START, START + 20 * HOUR, out), "0 missing Loki: connection refused");
    tear_down(&f);
}

/* An hour after it, the server wants to be asked again: nobody waits for that. */
static void a_pause_beyond_the_deadline(void **state)
{
    char out[1024];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    f.loki->always = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\n\r\nbusy";
    assert_string_equal(ask(&f, START, START + HOUR, out),
                        "0 missing Loki: HTTP 429: busy, and wants to be left alone for 3600 s");
    tear_down(&f);
}

static void warnings_are_passed_on_and_not_remembered(void **state)
{
    char out[1024];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    add_entries(f.loki, START - 1, 1);
    add_entries(f.loki, START, 2);
    f.loki->warnings = "\"warnings\":[\"some shards are gone\"],";
    assert_string_equal(ask(&f, START, START + HOUR - 1, out), "2 partial Loki warns: some shards are gone");
    f.loki->warnings = NULL;
    add_entries(f.loki, START + 1, 1);
    assert_string_equal(ask(&f, START, START + HOUR - 1, out), "3 ok ");
    tear_down(&f);
}

/* ---- time ---- */

static void the_deadline_and_going_on_from_there(void **state)
{
    char out[1024];
    struct fixture f;
    struct report report;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    f.loki->no_index = true;
    add_entries(f.loki, START, 1);
    for (int hour = 0; hour < 30; hour++)
        add_entries(f.loki, START + hour * HOUR + 1, 1);
    f.loki->hold_after = 2; /* an hour, four hours */
    begin(&f, &report, LOGLINE_REQUESTS, START, START + 30 * HOUR - 1);
    while (counted(&report) < 6)
        if (report.job->ops->step(report.job) == JOB_WAITING && counted(&report) < 6)
            fetcher_wait(report.context.fetcher, -1, 1000);
    assert_int_equal(report.job->ops->step(report.job), JOB_WAITING);
    stop(&report, JOB_DEADLINE);
    assert_string_equal(outcome(&report, out),
                        "6 partial deadline passed: complete up to 2026-05-10T13:00:00Z, 5 of 30 hours read");
    assert_true(report.status.has_time);
    end(&report);

    f.loki->hold_after = -1;
    f.loki->read_count = 0;
    assert_string_equal(ask(&f, START, START + 30 * HOUR - 1, out), "31 ok ");
    assert_read_once(f.loki, START + 5 * HOUR, START + 30 * HOUR);
    tear_down(&f);
}

static void the_deadline_with_nothing(void **state)
{
    char out[1024];
    struct fixture f;
    struct report report;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    f.loki->hold_after = 0;
    begin(&f, &report, LOGLINE_REQUESTS, START, START + 2 * HOUR - 1);
    while (fetcher_running(report.context.fetcher) == 0)
        report.job->ops->step(report.job);
    stop(&report, JOB_DEADLINE);
    assert_string_equal(outcome(&report, out), "0 missing deadline passed: 0 of 2 hours read");
    end(&report);
    tear_down(&f);
}

/* ---- several reports ---- */

struct runner {
    struct fixture *fixture;
    int64_t from, last;
    char outcome[1024];
};

static void *run_thread(void *context)
{
    struct runner *runner = context;

    ask(runner->fixture, runner->from, runner->last, runner->outcome);
    return NULL;
}

static void reports_at_the_same_time_read_each_hour_once(void **state)
{
    enum { THREADS = 4 };
    struct runner runners[THREADS];
    pthread_t threads[THREADS];
    struct fixture f;

    (void)state;
    for (int round = 0; round < 5; round++) {
        set_up(&f, &(struct variables){.parallel = "2"});
        f.loki->limit = 20;
        add_entries(f.loki, START - HOUR, 1);
        for (int i = 0; i < 1000; i++)
            add_entries(f.loki, START + i * (HOUR / 20), 1); /* fifty hours */
        for (int i = 0; i < THREADS; i++) {
            runners[i] = (struct runner){&f, START + 7, START + 50 * HOUR - 1, ""};
            assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &runners[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            assert_string_equal(runners[i].outcome, "999 ok ");
        }
        assert_read_once(f.loki, START + 7, START + 50 * HOUR);
        tear_down(&f);
    }
}

/* The one that reads goes away; the one that waited for it reads the rest, and nothing twice. */
static void one_goes_away_and_the_other_goes_on(void **state)
{
    char out[1024];
    struct fixture f;
    struct report leaving, staying;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    f.loki->no_index = true;
    add_entries(f.loki, START, 1);
    for (int hour = 0; hour < 10; hour++)
        add_entries(f.loki, START + hour * HOUR + 1, 1);
    f.loki->hold_after = 1;
    begin(&f, &leaving, LOGLINE_REQUESTS, START, START + 10 * HOUR - 1);
    while (counted(&leaving) < 2)
        if (leaving.job->ops->step(leaving.job) == JOB_WAITING && counted(&leaving) < 2)
            fetcher_wait(leaving.context.fetcher, -1, 1000);
    assert_int_equal(leaving.job->ops->step(leaving.job), JOB_WAITING);
    begin(&f, &staying, LOGLINE_REQUESTS, START, START + 4 * HOUR - 1);
    for (int i = 0; i < 4; i++)
        staying.job->ops->step(staying.job);
    f.loki->hold_after = -1;
    stop(&leaving, JOB_GONE);
    run(&staying);
    assert_string_equal(outcome(&staying, out), "5 ok ");
    assert_read_once(f.loki, START, START + 4 * HOUR);
    end(&leaving);
    end(&staying);
    tear_down(&f);
}

/* Somebody lets go of something. */
static void wake_all(const struct fixture *f)
{
    claims_release(f->claims, claims_take(f->claims, TEXT_LITERAL("something")));
}

/* What others have read is not looked for all the time: a look goes through all pieces. */
static void who_waits_for_others_looks_every_20_ms(void **state)
{
    struct fixture f;
    struct report reading, waiting;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    f.loki->hold_after = 0;
    begin(&f, &reading, LOGLINE_REQUESTS, START, START + HOUR - 1);
    while (reading.job->ops->step(reading.job) == JOB_READY)
        continue;
    assert_int_equal(fetcher_running(reading.context.fetcher), 1);
    begin(&f, &waiting, LOGLINE_REQUESTS, START, START + HOUR - 1);
    while (waiting.job->ops->step(waiting.job) == JOB_READY)
        continue;
    assert_int_equal(fetcher_running(waiting.context.fetcher), 0);

    stand_still(0);
    pass(20);
    wake_all(&f);
    assert_int_equal(waiting.job->ops->step(waiting.job), JOB_WAITING);
    assert_int_equal(waiting.job->wake_at, 0);
    wake_all(&f);
    assert_int_equal(waiting.job->ops->step(waiting.job), JOB_WAITING);
    assert_int_equal(waiting.job->wake_at, clock_ms() + 20);
    pass(19);
    assert_int_equal(waiting.job->ops->step(waiting.job), JOB_WAITING);
    assert_int_equal(waiting.job->wake_at, clock_ms() + 1);
    pass(1);
    assert_int_equal(waiting.job->ops->step(waiting.job), JOB_WAITING);
    assert_int_equal(waiting.job->wake_at, 0);
    go_on();
    stop(&reading, JOB_GONE);
    stop(&waiting, JOB_GONE);
    end(&reading);
    end(&waiting);
    tear_down(&f);
}

/* What is remembered of very many hours is looked for in steps: on a clock on which a moment passes with each
 * look at it. */
static void what_is_remembered_is_looked_for_in_steps_of_5_ms(void **state)
{
    enum { HOURS = 1600, TICK_US = 50 };
    char out[1024];
    struct fixture f;
    struct report report;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    for (int hour = -1; hour < HOURS; hour++)
        add_entries(f.loki, START + hour * HOUR + 1, 1);
    assert_string_equal(ask(&f, START, START + HOURS * HOUR - 1, out), "1600 ok ");
    begin(&f, &report, LOGLINE_REQUESTS, START, START + HOURS * HOUR - 1);
    stand_still(TICK_US);
    for (int steps = 0; steps < 10; steps++) {
        int64_t began = clock_us(), took;

        assert_int_equal(report.job->ops->step(report.job), JOB_READY);
        took = clock_us() - began;
        assert_in_range(took, 4000, 6999); /* the clock of steps has milliseconds */
    }
    go_on();
    run(&report);
    assert_string_equal(outcome(&report, out), "1600 ok ");
    end(&report);
    tear_down(&f);
}

static void threads_while_hours_are_forgotten(void **state)
{
    enum { THREADS = 8 };
    struct runner runners[THREADS];
    pthread_t threads[THREADS];
    char expected[64];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "3"});
    cache_free(f.cache);
    f.cache = cache_new(20 * 1024, 24 * 3600 * 1000);
    f.loki->limit = 50;
    add_entries(f.loki, START - 24 * HOUR, 1);
    for (int i = 0; i < 1000; i++)
        add_entries(f.loki, START + i * (HOUR / 20), 1);
    for (int i = 0; i < THREADS; i++) {
        runners[i] = (struct runner){&f, START + i * 3 * HOUR, START + (i * 3 + 20) * HOUR - 1, ""};
        assert_int_equal(pthread_create(&threads[i], NULL, run_thread, &runners[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        snprintf(expected, sizeof(expected), "%" PRIu64 " ok ",
                 within(f.loki, runners[i].from, runners[i].last));
        assert_string_equal(runners[i].outcome, expected);
    }
    tear_down(&f);
}

/* ---- where the data begin ---- */

#define BEFORE(time)  "Loki has no data before " time
#define UNKNOWN(time) BEFORE(time) ", and where its data begin is not known"
#define NOTHING(time) "Loki has no data of {namespace=\"oscar\", app=\"oscar\"} up to " time

static void data_since(void **state)
{
    static const struct {
        int64_t entries[2]; /* hours after START */
        int64_t from, to;
        const char *outcome;
        size_t questions; /* of the index, at most */
        int line;
    } rows[] = {
        {{0, 1}, 0, 2, "2 ok ", 0, __LINE__},   /* the first hour has something */
        {{-50, 1}, 0, 2, "1 ok ", 1, __LINE__}, /* a quiet hour */
        {{-5000, 1}, 0, 2, "1 ok ", 8, __LINE__},
        {{3, 4}, 0, 4, "1 partial Loki has no data before 2026-05-10T11:00:00Z", 15, __LINE__},
        {{9, 9},
         0,
         4,
         "0 partial Loki has no data of {namespace=\"oscar\", app=\"oscar\"} up to 2026-05-10T12:00:00Z",
         15,
         __LINE__},
    };
    char out[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;

        set_up(&f, &(struct variables){.parallel = "1"});
        add_entries(f.loki, START + rows[i].entries[0] * HOUR, 1);
        add_entries(f.loki, START + rows[i].entries[1] * HOUR, 1);
        for (int again = 0; again < 2; again++) {
            ask(&f, START + rows[i].from * HOUR, START + rows[i].to * HOUR - 1, out);
            if (strcmp(out, rows[i].outcome) != 0 || f.loki->index_count > rows[i].questions)
                fail_msg("row of line %d: %zu questions, %s", rows[i].line, f.loki->index_count, out);
        }
        tear_down(&f);
    }
}

/* What a note says is true of the data, whatever the query finds in them, and whatever is remembered: two
 * reports say the same. */
static void data_since_whatever_the_query_finds(void **state)
{
    static const struct {
        int64_t first, last;      /* entries, one an hour, in hours after START */
        int64_t hours;            /* of the range */
        int64_t matches_from;     /* hours after START: what is before is no request */
        uint64_t volume, rounded; /* as the index counts */
        int64_t length;           /* hours: the longest query; 0: a month */
        const char *outcome;
        int line;
    } rows[] = {
        /* Hints that the first report forgets, hints that hold, none at all. */
        {480, 719, 720, 9999, 10800000, 0, 0, "0 partial " BEFORE("2026-05-30T08:00:00Z"), __LINE__},
        {480, 719, 720, 9999, 100, 0, 0, "0 partial " BEFORE("2026-05-30T08:00:00Z"), __LINE__},
        {480, 719, 720, 9999, 0, 0, 0, "0 partial " BEFORE("2026-05-30T08:00:00Z"), __LINE__},
        /* Some match. */
        {480, 719, 720, 700, 100, 0, 0, "20 partial " BEFORE("2026-05-30T08:00:00Z"), __LINE__},
        {480, 719, 720, 700, 0, 0, 0, "20 partial " BEFORE("2026-05-30T08:00:00Z"), __LINE__},
        /* Few hours. */
        {1, 2, 3, 9999, 100, 0, 0, "0 partial " BEFORE("2026-05-10T09:00:00Z"), __LINE__},
        {1, 2, 3, 2, 100, 0, 0, "1 partial " BEFORE("2026-05-10T09:00:00Z"), __LINE__},
        /* Nothing but behind the range, and nothing at all. */
        {30, 40, 20, 9999, 100, 0, 0, "0 partial " NOTHING("2026-05-11T04:00:00Z"), __LINE__},
        {0, -1, 20, 9999, 100, 0, 0, "0 partial " NOTHING("2026-05-11T04:00:00Z"), __LINE__},
        /* The index rounds down: to nothing before the range, and where the first entries are. */
        {-1, 10, 20, 9999, 0, 1, 0, "0 ok ", __LINE__},
        {40, 60, 80, 60, 0, 3, 0, "1 partial " BEFORE("2026-05-12T00:00:00Z"), __LINE__},
        /* Short questions, as many as there may be, and no more. */
        {10, 19, 20, 15, 0, 0, 2, "5 partial " BEFORE("2026-05-10T18:00:00Z"), __LINE__},
        {13, 29, 30, 25, 0, 0, 2, "5 partial " BEFORE("2026-05-10T21:00:00Z"), __LINE__},
        {14, 29, 30, 25, 0, 0, 2, "5 partial " UNKNOWN("2026-05-10T21:00:00Z"), __LINE__},
    };
    char out[1024];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture f;

        set_up(&f, &(struct variables){.parallel = "1"});
        for (int64_t hour = rows[i].first; hour <= rows[i].last; hour++)
            add_entries(f.loki, START + hour * HOUR, 1);
        f.loki->matches_from = START + rows[i].matches_from * HOUR;
        f.loki->volume = rows[i].volume;
        f.loki->rounded = rows[i].rounded;
        if (rows[i].length)
            f.loki->length = rows[i].length * HOUR;
        for (int again = 0; again < 2; again++) {
            ask(&f, START, START + rows[i].hours * HOUR - 1, out);
            /* What the first report did not get to, the second goes on with. */
            if (again && strstr(rows[i].outcome, "not known"))
                continue;
            if (strcmp(out, rows[i].outcome) != 0)
                fail_msg("row of line %d, report %d: %s", rows[i].line, again + 1, out);
        }
        tear_down(&f);
    }
}

static void where_the_data_begin_holds_for_other_ranges(void **state)
{
    static const struct {
        int64_t from, to;
        const char *outcome;
        int line;
    } rows[] = {
        {0, 50, "0 partial " BEFORE("2026-05-11T08:00:00Z"), __LINE__},
        {0, 30, "0 partial " BEFORE("2026-05-11T08:00:00Z"), __LINE__},
        {-9, 60, "0 partial " BEFORE("2026-05-11T08:00:00Z"), __LINE__},
        {0, 20, "0 partial " NOTHING("2026-05-11T04:00:00Z"), __LINE__},
        {30, 50, "0 ok ", __LINE__},
    };
    char out[1024];
    struct fixture f;
    size_t questions = 0;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    for (int hour = 24; hour < 80; hour++)
        add_entries(f.loki, START + hour * HOUR, 1);
    f.loki->matches_from = INT64_MAX;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t before = f.loki->index_count;

        ask(&f, START + rows[i].from * HOUR, START + rows[i].to * HOUR - 1, out);
        if (strcmp(out, rows[i].outcome) != 0)
            fail_msg("row of line %d: %s", rows[i].line, out);
        if (i > 0) /* hints alone */
            questions += f.loki->index_count - before;
    }
    assert_in_range(questions, 0, 2 * (COUNT_OF(rows) - 1));
    tear_down(&f);
}

/* The first entry cannot be had: what is said is true all the same, and more is said when it can. */
static void what_is_not_known_of_the_first_entry(void **state)
{
    char out[1024];
    struct fixture f;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    for (int hour = 5; hour < 20; hour++)
        add_entries(f.loki, START + hour * HOUR, 1);
    f.loki->matches_from = START + 10 * HOUR;
    f.loki->no_first = true;
    ask(&f, START, START + 20 * HOUR - 1, out);
    assert_string_equal(out, "10 partial " UNKNOWN("2026-05-10T08:00:00Z"));
    f.loki->no_first = false;
    ask(&f, START, START + 20 * HOUR - 1, out);
    assert_string_equal(out, "10 partial " BEFORE("2026-05-10T13:00:00Z"));
    tear_down(&f);
}

static void what_is_remembered_of_the_server_gets_old(void **state)
{
    char out[1024];
    struct fixture f;
    size_t questions;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    f.loki->limit = 7;
    for (int i = 0; i < 20; i++)
        add_entries(f.loki, START + i * HOUR, 1);
    f.loki->warnings = "\"warnings\":[\"some shards are gone\"],"; /* no hour is remembered then */
    ask(&f, START, START + 20 * HOUR - 1, out);
    assert_int_equal(f.loki->reads[0].limit, LOKI_LIMIT);
    questions = f.loki->index_count;
    assert_true(questions > 0);

    pass(LOKI_HINTS_MS - 60000);
    f.loki->read_count = 0;
    ask(&f, START, START + 20 * HOUR - 1, out);
    assert_int_equal(f.loki->index_count, questions);
    assert_true(f.loki->reads[0].limit < LOKI_LIMIT);
    pass(61000);
    ask(&f, START, START + 20 * HOUR - 1, out);
    assert_true(f.loki->index_count > questions);

    pass(LOKI_LESSONS_MS - LOKI_HINTS_MS - 60000);
    f.loki->read_count = 0;
    ask(&f, START, START + 20 * HOUR - 1, out);
    assert_true(f.loki->reads[0].limit < LOKI_LIMIT);
    pass(61000);
    f.loki->read_count = 0;
    ask(&f, START, START + 20 * HOUR - 1, out);
    assert_int_equal(f.loki->reads[0].limit, LOKI_LIMIT);
    tear_down(&f);
}

static void where_the_data_begin_is_remembered_for_a_while(void **state)
{
    char out[1024];
    struct fixture f;
    size_t questions;

    (void)state;
    set_up(&f, &(struct variables){.parallel = "1"});
    add_entries(f.loki, START + 3 * HOUR, 1);
    ask(&f, START, START + 4 * HOUR - 1, out);
    assert_string_equal(out, "1 partial Loki has no data before 2026-05-10T11:00:00Z");
    questions = f.loki->index_count;
    assert_in_range(questions, 1, LOKI_DATES_MAX + 1);
    pass(LOKI_DATED_MS - 60000);
    ask(&f, START, START + 4 * HOUR - 1, out);
    assert_int_equal(f.loki->index_count, questions);
    pass(61000);
    ask(&f, START, START + 4 * HOUR - 1, out);
    assert_true(f.loki->index_count > questions);
    tear_down(&f);
}

/* A month of next to nothing: several questions for hints, and no window is longer than a week. */
static void windows_and_hints_have_a_length(void **state)
{
    size_t questions[2];

    (void)state;
    for (int more = 0; more <= 1; more++) {
        char out[1024];
        struct fixture f;
        int64_t longest = 0;

        set_up(&f, &(struct variables){.parallel = "1"});
        add_entries(f.loki, START, 1);
        ask(&f, START, START + (LOKI_HINTS_SEGMENT_MAX_HOURS + 10 * more) * HOUR - 1, out);
        assert_string_equal(out, "1 ok ");
        questions[more] = f.loki->index_count;
        for (size_t i = 0; i < f.loki->read_count; i++)
            if (f.loki->reads[i].to - f.loki->reads[i].from > longest)
                longest = f.loki->reads[i].to - f.loki->reads[i].from;
        assert_true(longest == LOKI_WINDOW_MAX_HOURS * HOUR);
        tear_down(&f);
    }
    assert_true(questions[1] > questions[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_at_the_limit),
        cmocka_unit_test(many_in_one_nanosecond),
        cmocka_unit_test(ends_are_inclusive_to_the_nanosecond),
        cmocka_unit_test(how_it_is_asked),
        cmocka_unit_test(the_selector_of_a_query),
        cmocka_unit_test(a_service_of_all_behind_an_equals_sign),
        cmocka_unit_test(exposed_services_with_host_names),
        cmocka_unit_test(limits_are_learned_once),
        cmocka_unit_test(what_passes_is_tried_again),
        cmocka_unit_test(what_stays_is_said),
        cmocka_unit_test(a_server_whose_answers_are_all_too_large),
        cmocka_unit_test(a_server_that_is_not_there),
        cmocka_unit_test(a_pause_beyond_the_deadline),
        cmocka_unit_test(warnings_are_passed_on_and_not_remembered),
        cmocka_unit_test(the_deadline_and_going_on_from_there),
        cmocka_unit_test(the_deadline_with_nothing),
        cmocka_unit_test(reports_at_the_same_time_read_each_hour_once),
        cmocka_unit_test(one_goes_away_and_the_other_goes_on),
        cmocka_unit_test(who_waits_for_others_looks_every_20_ms),
        cmocka_unit_test(what_is_remembered_is_looked_for_in_steps_of_5_ms),
        cmocka_unit_test(threads_while_hours_are_forgotten),
        cmocka_unit_test(data_since),
        cmocka_unit_test(data_since_whatever_the_query_finds),
        cmocka_unit_test(where_the_data_begin_holds_for_other_ranges),
        cmocka_unit_test(what_is_not_known_of_the_first_entry),
        cmocka_unit_test(what_is_remembered_of_the_server_gets_old),
        cmocka_unit_test(where_the_data_begin_is_remembered_for_a_while),
        cmocka_unit_test(windows_and_hints_have_a_length),
    };

    return cmocka_run_group_tests(tests, init_library, cleanup_library);
}
