/* Requests from pods' logs: what is asked, what counts, and what is said of what is not there. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http_server.h"
#include "net/fetch.h"
#include "settings.h"
#include "sources/job.h"
#include "sources/podlogs.h"
#include "sources/pods.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/json.h"
#include <json-c/json.h>

enum { PLENTY_MS = 30000, ANSWERS_MAX = 8, ASKED_MAX = 64 * 1024, MEMORY = 1024 * 1024 };

/* The range of all tests, and when the pods' containers started: half a day before it. */
#define RANGE_START "2026-05-01T10:00:00.5Z"
#define RANGE_END   "2026-05-01T11:00:00.25Z"
#define BEFORE      "2026-04-30T22:00:00Z"

/* ---- what the API says ---- */

#define RUNNING(id, since)                                                                                   \
    "\"containerID\":\"containerd://" id "\",\"state\":{\"running\":{\"startedAt\":\"" since "\"}}"
#define ENDED(id, since, until)                                                                              \
    "{\"terminated\":{\"startedAt\":\"" since "\",\"finishedAt\":\"" until                                   \
    "\",\"containerID\":\"containerd://" id "\"}}"
#define CONTAINER(name, restarts, state) "{\"name\":\"" name "\",\"restartCount\":" restarts "," state "}"
#define POD_SINCE(name, created, containers)                                                                 \
    "{\"metadata\":{\"name\":\"" name "\",\"uid\":\"uid-" name "\",\"creationTimestamp\":\"" created         \
    "\"},\"status\":{\"phase\":\"Running\",\"containerStatuses\":[" containers "]}}"
#define POD(name, containers) POD_SINCE(name, BEFORE, containers)
#define PODS(items)           "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[" items "]}"
#define ONE                   PODS(POD("oscar-1", CONTAINER("oscar", "0", RUNNING("a", BEFORE))))

#define GIN(method, name)                                                                                    \
    "[GIN-EXECUTIONS-LOGGER] 2020-01-01T00:00:00Z | 200 | 1ms | 10.0.0.1 | POST    /" method "/" name        \
    " | u1\n"
#define RUN(time) time " " GIN("run", "yolo")
#define JOB(time) time " " GIN("job", "yolo")
#define OLD       BEFORE " [GIN-debug] Listening\n"

struct answer {
    const char *path;     /* contained in the request's; NULL: no more answers */
    const char *body;     /* NULL: never any answer */
    int status;           /* 0: 200 */
    bool cut;             /* the connection ends before the body does */
    size_t only, already; /* so many times; 0: always */
};

struct api {
    struct answer answers[ANSWERS_MAX];
    struct buf reply, asked; /* asked: each path on a line */
};

static const char *choose(void *context, const char *request)
{
    struct api *api = context;
    const char *line = strchr(request, ' ');
    struct text path;

    assert_non_null(line);
    path = (struct text){line + 1, strcspn(line + 1, " ")};
    buf_add(&api->asked, path);
    buf_add_char(&api->asked, '\n');
    for (struct answer *answer = api->answers; answer->path; answer++) {
        if (memmem(path.data, path.length, answer->path, strlen(answer->path)) == NULL ||
            (answer->only > 0 && answer->already >= answer->only))
            continue;
        if (answer->body == NULL)
            return NULL;
        answer->already++;
        buf_clear(&api->reply);
        buf_format(&api->reply, "HTTP/1.1 %d So\r\nContent-Length: %zu\r\n\r\n%s",
                   answer->status ? answer->status : 200, strlen(answer->body) + answer->cut * 10u,
                   answer->body);
        return api->reply.data;
    }
    return "HTTP/1.1 500 Not scripted\r\nContent-Length: 0\r\n\r\n";
}

/* ---- a report ---- */

struct fixture {
    struct arena *arena;
    struct settings *settings;
    struct source_context context;
    struct source_status status;
    struct usage *usage;
    struct api api;
    struct http_server *server;
    enum logline_kind kind;
};

static const char *look_up(void *context, const char *name)
{
    if (strcmp(name, "OSCAR_METRICS_KUBE_URL") == 0)
        return context;
    return strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0 ? "oscar" : NULL;
}

static struct instant instant_of(const char *text)
{
    struct timestamp time;

    assert_true(timestamp_parse(text_of(text), &time));
    return time.instant;
}

static struct fixture *set_up(const struct answer *answers, size_t count)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    memcpy(f->api.answers, answers, count * sizeof(*answers));
    buf_init(&f->api.reply, 16 * 1024 * 1024);
    buf_init(&f->api.asked, ASKED_MAX);
    f->server = http_server_start_choosing(choose, &f->api);
    f->arena = arena_new();
    f->settings = settings_read(look_up, (void *)(uintptr_t)http_server_url(f->server), stderr);
    assert_non_null(f->settings);
    f->context = (struct source_context){.arena = f->arena,
                                         .fetcher = fetcher_new(NULL),
                                         .settings = f->settings,
                                         .start = instant_of(RANGE_START),
                                         .end = instant_of(RANGE_END),
                                         .now = instant_of("2026-05-02T00:00:00Z"),
                                         .deadline = clock_ms() + PLENTY_MS};
    f->usage = usage_new(MEMORY);
    status_init(&f->status, f->arena, "request-logs");
    return f;
}

static struct job *begin(struct fixture *f)
{
    const struct logline_rules rules = {.kind = f->kind, .services_namespace = "oscar-svc"};

    return podlogs_start(&f->context, &rules, f->usage, &f->status);
}

static void read_all(struct fixture *f)
{
    struct job *job = begin(f);
    enum job_state state;

    while ((state = job->ops->step(job)) != JOB_DONE)
        fetcher_wait(f->context.fetcher, -1, state == JOB_READY ? 0 : PLENTY_MS);
    assert_int_equal(fetcher_running(f->context.fetcher), 0);
}

static void tear_down(struct fixture *f)
{
    fetcher_free(f->context.fetcher);
    http_server_stop(f->server);
    usage_free(f->usage);
    settings_release(f->settings);
    arena_free(f->arena);
    buf_free(&f->api.reply);
    buf_free(&f->api.asked);
    free(f);
}

static uint64_t count_of(const struct fixture *f, enum usage_type type)
{
    uint64_t count = 0;

    for (size_t i = 0; i < usage_row_count(f->usage); i++)
        count += usage_row(f->usage, i).type == type ? usage_row(f->usage, i).count : 0;
    return count;
}

static const char *notes_of(const struct fixture *f)
{
    const char *notes = status_notes(&f->status);

    return notes ? notes : "";
}

/* ---- rows ---- */

#define LINES_IN                                                                                             \
    RUN("2026-05-01T10:00:00.499999999Z")                                                                    \
    RUN("2026-05-01T10:00:00.5Z")                                                                            \
    JOB("2026-05-01T12:30:00.000000001+02:00")                                                               \
    RUN("2026-05-01T11:00:00.25Z") RUN("2026-05-01T11:00:00.250000001Z")

static const struct {
    struct answer answers[ANSWERS_MAX];
    uint64_t sync, async;
    const char *notes;
    int line;
} rows[] = {
    /* Both ends are part of the range. */
    {{{.path = "/pods?", .body = ONE},
      {.path = "limitBytes", .body = OLD},
      {.path = "/log?", .body = LINES_IN}},
     2,
     1,
     "",
     __LINE__},
    /* The run before the last restart, and of a container that waits to be started again the last one once.
     */
    {{{.path = "/pods?",
       .body = PODS(POD("oscar-1", CONTAINER("oscar", "1",
                                             RUNNING("b", "2026-05-01T10:30:00Z") ",\"lastState\":" ENDED(
                                                 "a", BEFORE, "2026-05-01T10:29:00Z"))))},
      {.path = "limitBytes", .body = OLD},
      {.path = "previous=true", .body = RUN("2026-05-01T10:10:00Z")},
      {.path = "/log?", .body = JOB("2026-05-01T10:30:00Z")}},
     1,
     1,
     "",
     __LINE__},
    {{{.path = "/pods?",
       .body = PODS(POD("oscar-1", CONTAINER("oscar", "0",
                                             "\"state\":{\"waiting\":{}},\"lastState\":" ENDED(
                                                 "a", BEFORE, "2026-05-01T10:29:00Z"))))},
      {.path = "limitBytes", .body = OLD},
      {.path = "previous=true", .body = RUN("2026-05-01T10:10:00Z")},
      {.path = "/log?", .body = RUN("2026-05-01T10:10:00Z")}},
     1,
     0,
     "",
     __LINE__},
    {{{.path = "/pods?",
       .body =
           PODS(POD("oscar-1",
                    CONTAINER("oscar", "0",
                              "\"state\":" ENDED("a", BEFORE, "2026-05-01T10:29:00Z") ",\"lastState\":" ENDED(
                                  "a", BEFORE, "2026-05-01T10:29:00Z"))))},
      {.path = "limitBytes", .body = OLD},
      {.path = "/log?", .body = RUN("2026-05-01T10:10:00Z")}},
     1,
     0,
     "",
     __LINE__},
    /* A run that ended before the range is not read: that the kubelet has lost it does not matter. */
    {{{.path = "/pods?",
       .body = PODS(POD("oscar-1", CONTAINER("oscar", "1",
                                             RUNNING("b", "2026-05-01T09:00:00Z") ",\"lastState\":" ENDED(
                                                 "a", BEFORE, "2026-05-01T08:00:00Z"))))},
      {.path = "limitBytes", .body = "2026-05-01T09:00:01Z x\n"},
      {.path = "previous=true", .body = "", .status = 400},
      {.path = "/log?", .body = RUN("2026-05-01T10:10:00Z")}},
     1,
     0,
     "",
     __LINE__},
    /* How far back. */
    {{{.path = "/pods?", .body = ONE},
      {.path = "limitBytes", .body = "2026-05-01T10:20:00.7Z x"},
      {.path = "/log?", .body = RUN("2026-05-01T10:30:00Z")}},
     1,
     0,
     "logs begin at 2026-05-01T10:20:00Z: older lines were rotated away",
     __LINE__},
    {{{.path = "/pods?",
       .body = PODS(POD_SINCE("oscar-1", "2026-05-01T10:15:00Z",
                              CONTAINER("oscar", "0", RUNNING("a", "2026-05-01T10:15:03Z"))))},
      {.path = "/log?", .body = "2026-05-01T10:15:04Z started\n" RUN("2026-05-01T10:30:00Z")}},
     1,
     0,
     "logs begin at 2026-05-01T10:15:00Z: what pods before that wrote is gone with them",
     __LINE__},
    {{{.path = "/pods?",
       .body = PODS(POD_SINCE("oscar-1", "2026-05-01T10:15:00Z",
                              CONTAINER("oscar", "0", RUNNING("a", "2026-05-01T10:15:03Z"))))},
      {.path = "/log?", .body = RUN("2026-05-01T10:30:00Z")}},
     1,
     0,
     "logs begin at 2026-05-01T10:30:00Z: older lines were rotated away",
     __LINE__},
    {{{.path = "/pods?",
       .body = PODS(POD("oscar-1", CONTAINER("oscar", "2",
                                             RUNNING("c", "2026-05-01T10:40:00Z") ",\"lastState\":" ENDED(
                                                 "b", "2026-05-01T10:20:00Z", "2026-05-01T10:40:00Z"))))},
      {.path = "previous=true", .body = "2026-05-01T10:20:01Z started\n" RUN("2026-05-01T10:30:00Z")},
      {.path = "/log?", .body = "2026-05-01T10:40:01Z started\n"}},
     1,
     0,
     "logs begin at 2026-05-01T10:20:00Z: a container was restarted more than once",
     __LINE__},
    /* Pods that came after the range had others before them, perhaps. */
    {{{.path = "/pods?",
       .body = PODS(POD_SINCE("oscar-1", "2026-05-01T12:00:00Z",
                              CONTAINER("oscar", "0", RUNNING("a", "2026-05-01T12:00:00Z"))))}},
     0,
     0,
     "logs begin at 2026-05-01T12:00:00Z: what pods before that wrote is gone with them",
     __LINE__},
    {{{.path = "/pods?", .body = ONE}, {.path = "/log?", .body = ""}},
     0,
     0,
     "the log of pod oscar-1 is empty",
     __LINE__},
    /* What stands beside the manager has nothing to lose. */
    {{{.path = "/pods?",
       .body = PODS(POD("oscar-1", CONTAINER("mesh", "0", RUNNING("m", BEFORE)) "," CONTAINER(
                                       "oscar", "0", RUNNING("a", BEFORE))))},
      {.path = "container=mesh&timestamps=true&limitBytes", .body = "2026-05-01T10:20:00Z x"},
      {.path = "limitBytes", .body = OLD},
      {.path = "container=mesh", .body = "2026-05-01T10:20:00Z {\"level\":\"info\"}\n"},
      {.path = "/log?", .body = RUN("2026-05-01T10:30:00Z")}},
     1,
     0,
     "",
     __LINE__},
    /* Pods that have nothing. */
    {{{.path = "/pods?", .body = PODS("")}}, 0, 0, "no pod with app=oscar in namespace oscar", __LINE__},
    {{{.path = "/pods?",
       .body = PODS("{\"metadata\":{\"name\":\"oscar-1\",\"creationTimestamp\":\"" BEFORE
                    "\"},\"status\":{\"phase\":\"Pending\"}}")}},
     0,
     0,
     "",
     __LINE__},
    {{{.path = "/pods?",
       .body = PODS("{\"metadata\":{\"name\":\"oscar-1\",\"creationTimestamp\":\"" BEFORE
                    "\"},\"status\":{\"phase\":\"Failed\"}}")}},
     0,
     0,
     "pod oscar-1 has no logs any more",
     __LINE__},
    {{{.path = "/pods?",
       .body = PODS("{\"metadata\":{\"name\":\"../x\",\"creationTimestamp\":\"" BEFORE "\"}}")}},
     0,
     0,
     "pods that cannot be made out in the list: 1",
     __LINE__},
    /* What fails. */
    {{{.path = "/pods?", .body = "{\"kind\":\"Status\",\"reason\":\"Forbidden\"}", .status = 403}},
     0,
     0,
     "may not list pods in namespace oscar: the Kubernetes API refuses it to this account (403)",
     __LINE__},
    {{{.path = "/pods?", .body = ONE}, {.path = "/log?", .body = "{}", .status = 403}},
     0,
     0,
     "may not get pods/log in namespace oscar: the Kubernetes API refuses it to this account (403); no log "
     "of a "
     "pod could be read",
     __LINE__},
    {{{.path = "/pods?", .body = ONE}, {.path = "/log?", .body = "{}", .status = 404}},
     0,
     0,
     "pod oscar-1 is gone, and its log with it; no log of a pod could be read",
     __LINE__},
    {{{.path = "/pods?", .body = ONE},
      {.path = "/log?", .body = RUN("2026-05-01T10:30:00Z") "2026-05-01T10:3", .cut = true}},
     1,
     0,
     "cannot read the log of pod oscar-1 to its end: the Kubernetes API: the connection broke: Transferred a "
     "partial file; no log of a pod could be read",
     __LINE__},
    {{{.path = "/pods?", .body = ONE},
      {.path = "limitBytes", .body = OLD},
      {.path = "/log?",
       .body = RUN("2026-05-01T10:30:00Z") "2026-05-01T10:31:00Z [GIN-EXECUTIONS-LOGGER] 2026-05"}},
     1,
     0,
     "the log of pod oscar-1 ends in an unfinished line",
     __LINE__},
    {{{.path = "/pods?", .body = ONE},
      {.path = "limitBytes", .body = OLD},
      {.path = "/log?",
       .body = RUN("2026-05-01T10:30:00Z") "unable to retrieve container logs for containerd://a\n"}},
     1,
     0,
     "the log of pod oscar-1: 1 lines without a time",
     __LINE__},
    {{{.path = "/pods?", .body = ONE},
      {.path = "limitBytes", .body = "", .status = 500},
      {.path = "/log?", .body = RUN("2026-05-01T10:30:00Z")}},
     1,
     0,
     "cannot read the log of pod oscar-1: the Kubernetes API answered 500",
     __LINE__},
    /* A restart between the two lists. */
    {{{.path = "/pods?", .body = ONE, .only = 1},
      {.path = "/pods?",
       .body = PODS(POD("oscar-1", CONTAINER("oscar", "1", RUNNING("b", "2026-05-01T23:59:59Z"))))},
      {.path = "limitBytes", .body = OLD},
      {.path = "/log?", .body = RUN("2026-05-01T10:30:00Z")}},
     1,
     0,
     "container oscar of pod oscar-1 was restarted while its log was read",
     __LINE__},
    {{{.path = "/pods?", .body = ONE, .only = 1},
      {.path = "/pods?", .body = PODS("")},
      {.path = "limitBytes", .body = OLD},
      {.path = "/log?", .body = LINES_IN}},
     2,
     1,
     "",
     __LINE__},
};

static void counts_what_pods_have_and_says_what_they_have_not(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture *f = set_up(rows[i].answers, ANSWERS_MAX);

        read_all(f);
        if (count_of(f, USAGE_SYNC) != rows[i].sync || count_of(f, USAGE_ASYNC) != rows[i].async ||
            strcmp(notes_of(f), rows[i].notes) != 0)
            fail_msg("row of line %d: %d sync, %d async, \"%s\"\n%s", rows[i].line,
                     (int)count_of(f, USAGE_SYNC), (int)count_of(f, USAGE_ASYNC), notes_of(f),
                     f->api.asked.data);
        tear_down(f);
    }
}

/* ---- what is asked ---- */

static void the_api_is_asked_for_the_range(void **state)
{
    static const struct answer answers[] = {{.path = "/pods?", .body = ONE},
                                            {.path = "limitBytes", .body = OLD},
                                            {.path = "/log?", .body = LINES_IN}};
    struct fixture *f = set_up(answers, COUNT_OF(answers));

    (void)state;
    read_all(f);
    assert_string_equal(
        f->api.asked.data,
        "/api/v1/namespaces/oscar/pods?limit=500&labelSelector=app%3Doscar\n"
        "/api/v1/namespaces/oscar/pods/oscar-1/log?container=oscar&timestamps=true&"
        "sinceTime=2026-05-01T10%3A00%3A00Z\n"
        "/api/v1/namespaces/oscar/pods/oscar-1/log?container=oscar&timestamps=true&limitBytes=160\n"
        "/api/v1/namespaces/oscar/pods?limit=500&labelSelector=app%3Doscar\n");
    tear_down(f);
}

static void exposed_requests_come_from_the_ingress_controller(void **state)
{
    static const struct answer answers[] = {
        {.path = "ingress-nginx/pods?limit=500&labelSelector=app.kubernetes.io%2Fname%3Dingress-nginx",
         .body = ONE},
        {.path = "limitBytes", .body = OLD},
        {.path = "/api/v1/namespaces/ingress-nginx/pods/oscar-1/log?",
         .body = "2026-05-01T10:30:00Z 10.0.0.1 - - [01/Jan/2020:00:00:00 +0000] \"GET "
                 "/system/services/nb/exposed/ "
                 "HTTP/1.1\" 200 1 \"-\" \"-\" 1 0.1 [oscar-svc-nb-svc-80]\n"}};
    struct fixture *f = set_up(answers, COUNT_OF(answers));

    (void)state;
    f->kind = LOGLINE_EXPOSED;
    read_all(f);
    assert_string_equal(notes_of(f), "");
    assert_int_equal(count_of(f, USAGE_EXPOSED), 1);
    tear_down(f);
}

/* ---- many, long, and late ---- */

static void many_pods_are_all_read(void **state)
{
    enum { PODS_COUNT = 50 };
    struct buf list;
    struct answer answers[] = {{.path = "/pods?", .body = NULL},
                               {.path = "limitBytes", .body = OLD},
                               {.path = "/log?", .body = RUN("2026-05-01T10:30:00Z")}};
    struct fixture *f;

    (void)state;
    buf_init(&list, 1024 * 1024);
    buf_add_string(&list, "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[");
    for (int i = 0; i < PODS_COUNT; i++)
        buf_format(
            &list,
            "%s{\"metadata\":{\"name\":\"oscar-%d\",\"uid\":\"u%d\",\"creationTimestamp\":\"" BEFORE
            "\"},\"status\":{\"containerStatuses\":[" CONTAINER("oscar", "0", RUNNING("a", BEFORE)) "]}}",
            i ? "," : "", i, i);
    buf_add_string(&list, "]}");
    answers[0].body = list.data;
    f = set_up(answers, COUNT_OF(answers));
    read_all(f);
    assert_string_equal(notes_of(f), "");
    assert_int_equal(count_of(f, USAGE_SYNC), PODS_COUNT);
    tear_down(f);
    buf_free(&list);
}

enum { LONG_LINES = 20000, TOO_LONG = 70000 };

/* More than any buffer holds; a line that is too long; and behind the range lines that nobody wants. */
static void a_log_of_any_length_is_read_in_pieces(void **state)
{
    struct answer answers[] = {{.path = "/pods?", .body = ONE},
                               {.path = "limitBytes", .body = OLD},
                               {.path = "/log?", .body = NULL}};
    struct buf log;
    struct fixture *f;
    char *path = calloc(1, TOO_LONG + 1);

    (void)state;
    assert_non_null(path);
    memset(path, 'x', TOO_LONG);
    buf_init(&log, 16 * 1024 * 1024);
    for (int i = 0; i < LONG_LINES; i++)
        buf_add_string(&log, RUN("2026-05-01T10:30:00.123456789Z"));
    buf_format(
        &log,
        "2026-05-01T10:30:01Z [GIN-EXECUTIONS-LOGGER] 2020-01-01T00:00:00Z | 200 | 1ms | 10.0.0.1 | POST "
        "/run/%s | u1\n",
        path);
    buf_add_string(&log, JOB("2026-05-01T10:30:02Z"));
    for (int i = 0; i < LONG_LINES; i++)
        buf_add_string(&log, RUN("2026-05-01T11:02:00Z"));
    assert_false(log.full);
    answers[2].body = log.data;
    f = set_up(answers, COUNT_OF(answers));
    read_all(f);
    assert_string_equal(notes_of(f), "1 lines longer than 64 KiB skipped of pod oscar-1");
    assert_int_equal(count_of(f, USAGE_SYNC), LONG_LINES);
    assert_int_equal(count_of(f, USAGE_ASYNC), 1);
    tear_down(f);
    buf_free(&log);
    free(path);
}

static void what_does_not_fit_into_memory_is_said(void **state)
{
    static const struct answer answers[] = {{.path = "/pods?", .body = ONE},
                                            {.path = "limitBytes", .body = OLD},
                                            {.path = "/log?", .body = LINES_IN}};
    struct fixture *f = set_up(answers, COUNT_OF(answers));

    (void)state;
    usage_free(f->usage);
    f->usage = usage_new(1);
    read_all(f);
    assert_string_equal(notes_of(f), "memory limit reached (OSCAR_METRICS_MEMORY)");
    tear_down(f);
}

static const struct {
    struct answer answers[2];
    enum status_level level;
    const char *notes;
} stops[] = {
    {{{.path = "/pods?"}}, STATUS_MISSING, "deadline passed while pods were listed"},
    {{{.path = "/pods?", .body = ONE}, {.path = "/log?"}},
     STATUS_MISSING,
     "deadline passed while pods' logs were read: 0 of 1 were read to their end"},
};

static void the_deadline_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(stops); i++) {
        struct fixture *f = set_up(stops[i].answers, COUNT_OF(stops[i].answers));
        struct job *job = begin(f);

        while (stops[i].answers[0].body && job->ops->step(job) != JOB_READY)
            fetcher_wait(f->context.fetcher, -1, PLENTY_MS);
        job->ops->step(job);
        job->ops->stop(job, JOB_DEADLINE);
        fetcher_cancel(f->context.fetcher);
        assert_int_equal(f->status.level, stops[i].level);
        assert_string_equal(notes_of(f), stops[i].notes);
        tear_down(f);
    }
}

static void a_client_that_went_away_ends_it(void **state)
{
    static const struct answer answers[] = {{.path = "/pods?", .body = ONE}};
    struct fixture *f = set_up(answers, COUNT_OF(answers));
    struct job *job = begin(f);

    (void)state;
    job->ops->step(job);
    job->ops->stop(job, JOB_GONE);
    fetcher_cancel(f->context.fetcher);
    tear_down(f);
}

static void words_of_a_refusal_are_bounded(void **state)
{
    static const char words[] = "{\"reason\":\"Oh\"}";
    static char body[PODLOGS_REFUSAL_MAX_BYTES + 2];

    (void)state;
    memset(body, ' ', sizeof(body) - 1);
    memcpy(body, words, strlen(words));
    for (size_t more = 0; more <= 1; more++) {
        const struct answer answers[] = {{.path = "/pods?", .body = ONE},
                                         {.path = "/log?", .body = body, .status = 500}};
        struct fixture *f = set_up(answers, COUNT_OF(answers));

        body[PODLOGS_REFUSAL_MAX_BYTES] = more ? ' ' : '\0';
        read_all(f);
        if (more)
            assert_null(strstr(notes_of(f), "Oh"));
        else
            assert_non_null(strstr(notes_of(f), "the Kubernetes API answered 500 Oh"));
        assert_int_equal(f->status.level, STATUS_MISSING);
        tear_down(f);
    }
}

static void restarts_are_numbers_that_can_be(void **state)
{
    static const struct {
        const char *pod;
        size_t containers;
    } pods[] = {
        {POD("p", CONTAINER("c", "1000000000", RUNNING("a", BEFORE))), 1},
        {POD("p", CONTAINER("c", "1000000001", RUNNING("a", BEFORE))), 0},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pods); i++) {
        struct json_object *item = json_read(text_of(pods[i].pod));
        struct pod *pod = pod_read(arena, item);

        assert_non_null(pod);
        assert_int_equal(pod->container_count, pods[i].containers);
        json_object_put(item);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_what_pods_have_and_says_what_they_have_not),
        cmocka_unit_test(the_api_is_asked_for_the_range),
        cmocka_unit_test(exposed_requests_come_from_the_ingress_controller),
        cmocka_unit_test(many_pods_are_all_read),
        cmocka_unit_test(a_log_of_any_length_is_read_in_pieces),
        cmocka_unit_test(what_does_not_fit_into_memory_is_said),
        cmocka_unit_test(the_deadline_is_said),
        cmocka_unit_test(a_client_that_went_away_ends_it),
        cmocka_unit_test(words_of_a_refusal_are_bounded),
        cmocka_unit_test(restarts_are_numbers_that_can_be),
    };

    return cmocka_run_group_tests(tests, init_library, cleanup_library);
}
