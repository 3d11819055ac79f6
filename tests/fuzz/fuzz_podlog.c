/* Any bytes as the log of a pod, read through the Kubernetes API as reports read it: every line of the range
 * that has the runtime's time and counts alone is counted once. What counts alone, a simple reading of the
 * whole says. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "net/fetch.h"
#include "server.h"
#include "settings.h"
#include "sources/podlogs.h"
#include "util/arena.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    CONTENT_MAX = 256 * 1024,
    MEMORY = 16 * 1024 * 1024,
    PLENTY_MS = 10000,
    STAMP_MAX = 39, /* no time is longer */
    ORDER_SECONDS = 60,
    PROBE_BYTES = 160,
};

/* A byte of the input that stands for many. */
enum { LONG_MARK = 0x01, LONG_RUN = LINEBUF_LINE_MAX_BYTES - 24 };

/* 2026-05-01T10:00:00.5Z to 11:00:00.25. */
static const struct instant range_start = {1777629600, 500000000}, range_end = {1777633200, 250000000};

#define POD                                                                                                  \
    "{\"kind\":\"PodList\",\"metadata\":{},\"items\":[{\"metadata\":{\"name\":\"oscar-1\",\"uid\":\"u\","    \
    "\"creationTimestamp\":\"2026-04-30T22:00:00Z\"},\"status\":{\"phase\":\"Running\","                     \
    "\"containerStatuses\":[{\"name\":\"oscar\",\"restartCount\":0,\"containerID\":\"containerd://a\","      \
    "\"state\":{\"running\":{\"startedAt\":\"2026-04-30T22:00:00Z\"}}}]}}]}"

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* ---- what is right ---- */

/* Lines come in order: long after the range none is looked for. False: there the reading ends. */
static bool expect_line(const struct logline_rules *rules, struct text line, uint64_t *counts)
{
    struct text reach = {line.data, line.length < STAMP_MAX + 1 ? line.length : STAMP_MAX + 1};
    struct text word = text_cut(&reach, ' ');
    struct timestamp time;
    struct logline_event event;

    if (!timestamp_parse(word, &time))
        return true;
    if (time.instant.seconds > range_end.seconds + ORDER_SECONDS)
        return false;
    if (instant_compare(time.instant, range_start) < 0 || instant_compare(time.instant, range_end) > 0 ||
        line.length > LINEBUF_LINE_MAX_BYTES)
        return true;
    line = text_skip(line, word.length < line.length ? word.length + 1 : word.length);
    if (logline_parse(rules, line, &time.instant, &event) == LOGLINE_COUNTS)
        counts[event.type]++;
    return true;
}

static void expect(const struct logline_rules *rules, struct text log, uint64_t *counts)
{
    const char *end;

    while (log.length > 0 && (end = memchr(log.data, '\n', log.length))) {
        struct text line = {log.data, (size_t)(end - log.data)};

        log = text_skip(log, line.length + 1);
        while (line.length > 0 && line.data[0] == '\0')
            line = text_skip(line, 1);
        if (!expect_line(rules, line, counts))
            return;
    }
}

/* ---- what is counted ---- */

struct scene {
    struct text log;
    char head[128];
};

static struct server_reply answer(void *context, struct text request)
{
    struct scene *scene = context;
    struct text line = text_cut(&request, '\n'), body = TEXT_LITERAL(POD);

    if (memmem(line.data, line.length, "/log?", 5))
        body = scene->log;
    if (memmem(line.data, line.length, "limitBytes=", 11) && body.length > PROBE_BYTES)
        body.length = PROBE_BYTES;
    snprintf(scene->head, sizeof(scene->head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body.length);
    return (struct server_reply){.head = text_of(scene->head), .body = body};
}

static const char *look_up(void *context, const char *name)
{
    if (strcmp(name, "OSCAR_METRICS_KUBE_URL") == 0)
        return context;
    return strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0 ? "oscar" : NULL;
}

static void read_log(struct scene *scene, const struct logline_rules *rules, uint64_t *counts)
{
    static struct server *server;
    static struct settings *settings;
    struct arena *arena = arena_new();
    struct usage *usage = usage_new(MEMORY);
    struct source_context context = {.arena = arena, .start = range_start, .end = range_end};
    struct source_status status;
    enum job_state state;
    struct job *job;

    if (server == NULL) {
        must(fetch_library_init());
        server = server_start();
        settings = settings_read(look_up, (void *)(uintptr_t)server_url(server), stderr);
        must(settings != NULL);
    }
    context.settings = settings;
    context.fetcher = fetcher_new(NULL);
    context.deadline = clock_ms() + PLENTY_MS;
    context.now = (struct instant){range_end.seconds + ORDER_SECONDS, 0};
    status_init(&status, arena, "request-logs");
    job = podlogs_start(&context, rules, usage, &status);
    while ((state = job->ops->step(job)) != JOB_DONE) {
        fetcher_wait(context.fetcher, server_watched(server), state == JOB_READY ? 0 : PLENTY_MS);
        server_turn(server, answer, scene);
    }
    for (size_t i = 0; i < usage_row_count(usage); i++)
        counts[usage_row(usage, i).type] += usage_row(usage, i).count;
    must((status.level == STATUS_OK) == (status_notes(&status) == NULL));
    fetcher_free(context.fetcher);
    server_forget(server);
    usage_free(usage);
    arena_free(arena);
}

static struct buf content_of(const uint8_t *data, size_t size)
{
    static char run[LONG_RUN];
    struct buf content;

    memset(run, 'x', sizeof(run));
    buf_init(&content, CONTENT_MAX);
    for (size_t i = 0; i < size; i++) {
        if (data[i] == LONG_MARK)
            buf_add(&content, (struct text){run, sizeof(run)});
        else
            buf_add_char(&content, (char)data[i]);
    }
    return content;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct logline_rules rules = {.services_namespace = "oscar-svc"};
    uint64_t right[USAGE_TYPES] = {0}, found[USAGE_TYPES] = {0};
    struct scene scene;
    struct buf content;

    if (size < 1)
        return 0;
    rules.kind = data[0] & 1 ? LOGLINE_EXPOSED : LOGLINE_REQUESTS;
    content = content_of(data + 1, size - 1);
    scene.log = buf_text(&content);
    expect(&rules, scene.log, right);
    read_log(&scene, &rules, found);
    must(memcmp(right, found, sizeof(right)) == 0);
    buf_free(&content);
    return 0;
}
