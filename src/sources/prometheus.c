/* A kind of hours (CPU, GPU) is a sum of pieces: some services over some time, one query each. Pieces are
 * made as they are asked, a piece that is too much for the server becomes two, and at the end what came is
 * added up in their order (sums of doubles depend on it). Each answer is read when it comes; the job itself
 * only keeps PROMETHEUS_AT_ONCE_MAX queries of each kind running. */
#include "sources/prometheus.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "caps.h"
#include "net/fetch.h"
#include "net/form.h"
#include "settings.h"
#include "sources/additive.h"
#include "sources/note.h"
#include "sources/template.h"
#include "util/arena.h"
#include "util/buf.h"

enum { FORM_SIZE = 4 * TEMPLATE_MAX_BYTES }; /* fits the longest query, each byte escaped */

struct prometheus_job;
struct kind;

/* The services of one query. */
struct selection {
    struct hours_part part;
    int64_t too_much_ms; /* as long or longer: cut before it is asked */
    bool hurried;        /* was cut because no answer came in half of the time */
};

enum piece_state { PIECE_OPEN, PIECE_ANSWERED, PIECE_FAILED };

struct piece {
    struct piece *next;  /* in the order of services and of time */
    struct piece *below; /* of those to be asked */
    struct selection *selection;
    int64_t from, to; /* milliseconds since 1970 */
    double value;
    enum piece_state state;
    bool retried;
};

struct ask {
    struct kind *kind;
    struct piece *piece; /* NULL: nothing is asked */
    bool hurried;        /* with less than all of the time left */
};

/* Does a range of the server hold a sample at its very beginning? Before Prometheus 3 it did: of two pieces
 * that share a point both have the sample there. */
enum border { BORDER_UNKNOWN, BORDER_ASKED, BORDER_SHARED, BORDER_OWN, BORDER_HIDDEN };

struct kind {
    struct prometheus_job *job;
    bool wanted;
    const char *what, *template;
    enum additive additive;
    enum border border;
    size_t part, service;       /* what is not yet in a piece begins there */
    struct piece *first, *last; /* all */
    struct piece *waiting;      /* a stack of those to be asked, the earliest on top */
    struct ask asks[PROMETHEUS_AT_ONCE_MAX];
    size_t running, answered, retries;
    int64_t paused_until;        /* clock_ms() */
    struct source_status status; /* its own notes: joined at the end, CPU's first whichever came first */
};

struct prometheus_job {
    struct job job; /* first */
    const struct source_context *context;
    struct hours_query query; /* its own copy: the caller's may be gone */
    struct hours *out;
    const char *url;
    int64_t from, to; /* milliseconds since 1970 */
    struct kind kinds[HOURS_KINDS];
    bool settled; /* what still comes is not looked at */
};

static const struct {
    const char *what;
    enum setting query;
} kind_rows[] = {
    [HOURS_CPU] = {"CPU", PROMETHEUS_CPU_QUERY},
    [HOURS_GPU] = {"GPU", PROMETHEUS_GPU_QUERY},
};

bool prometheus_can_limit(const struct settings *settings, const struct hours_query *query)
{
    for (size_t kind = 0; kind < HOURS_KINDS; kind++)
        if (query->wanted[kind] && strstr(settings_text(settings, kind_rows[kind].query), "{{namespace}}"))
            return true;
    return false;
}

/* Pieces. */

static void push(struct kind *kind, struct piece *piece)
{
    piece->below = kind->waiting;
    kind->waiting = piece;
}

/* The next services that are in no piece yet, over the whole range; NULL when all are. */
static struct piece *new_piece(struct kind *kind)
{
    const struct hours_query *query = &kind->job->query;
    struct arena *arena = kind->job->context->arena;
    const struct hours_part *part = &query->parts[kind->part];
    struct selection *selection;
    struct piece *piece;

    if (kind->part >= query->part_count)
        return NULL;
    selection = ARENA_NEW(arena, struct selection);
    *selection = (struct selection){.part = *part, .too_much_ms = INT64_MAX};
    if (part->service_count > 0) {
        selection->part.services += kind->service;
        selection->part.service_count =
            prometheus_group(kind->template, selection->part.services, part->service_count - kind->service);
        kind->service += selection->part.service_count;
    }
    if (kind->service >= part->service_count) {
        kind->part++;
        kind->service = 0;
    }
    piece = ARENA_NEW(arena, struct piece);
    *piece = (struct piece){.selection = selection, .from = kind->job->from, .to = kind->job->to};
    if (kind->last)
        kind->last->next = piece;
    else
        kind->first = piece;
    kind->last = piece;
    return piece;
}

static bool can_be_cut(const struct kind *kind, const struct piece *piece)
{
    return kind->additive != ADDITIVE_NOT && kind->border != BORDER_HIDDEN &&
           piece->to - piece->from >= 2 * PROMETHEUS_PIECE_MIN_MS;
}

/* The piece becomes its first half; the second is the next to be asked. */
static void cut(struct kind *kind, struct piece *piece)
{
    struct piece *second = ARENA_NEW(kind->job->context->arena, struct piece);
    int64_t middle = piece->from + (piece->to - piece->from) / 2000 * 1000;

    *second = *piece;
    second->from = middle;
    piece->to = kind->border == BORDER_SHARED ? middle - 1 : middle;
    piece->next = second;
    if (kind->last == piece)
        kind->last = second;
    push(kind, second);
}

static struct piece *next_piece(struct kind *kind)
{
    struct piece *piece = kind->waiting;

    if (piece == NULL)
        return new_piece(kind);
    kind->waiting = piece->below;
    while (piece->to - piece->from >= piece->selection->too_much_ms && can_be_cut(kind, piece))
        cut(kind, piece);
    return piece;
}

/* Asking. */

static const char *query_url(const struct source_context *context)
{
    struct text url = text_of(settings_text(context->settings, PROMETHEUS_URL));

    while (url.length > 0 && url.data[url.length - 1] == '/')
        url.length--;
    return arena_format(context->arena, "%.*s/api/v1/query", (int)url.length, url.data);
}

/* Seconds with milliseconds, as Prometheus reads a time; also before 1970. */
static const char *query_time(struct arena *arena, int64_t ms)
{
    int64_t size = ms < 0 ? -ms : ms;

    return arena_format(arena, "%s%" PRId64 ".%03" PRId64, ms < 0 ? "-" : "", size / 1000, size % 1000);
}

static void send_query(struct prometheus_job *job, struct arena *arena, const char *promql, int64_t time_ms,
                       int64_t deadline, fetch_done *done, void *context)
{
    const struct settings *settings = job->context->settings;
    const struct fetch_access access = {
        .token = settings_text(settings, PROMETHEUS_TOKEN),
        .username = settings_text(settings, PROMETHEUS_USERNAME),
        .password = settings_text(settings, PROMETHEUS_PASSWORD),
        .ca_file = settings_text(settings, PROMETHEUS_CA_FILE),
    };
    struct buf form;

    buf_init(&form, FORM_SIZE);
    form_add(&form, "query", text_of(promql));
    form_add(&form, "time", text_of(query_time(arena, time_ms)));
    fetch_start(job->context->fetcher,
                &(struct fetch_request){.backend = BACKEND_PROMETHEUS,
                                        .url = job->url,
                                        .access = &access,
                                        .body = buf_text(&form),
                                        .max_bytes = PROMETHEUS_ANSWER_MAX_BYTES,
                                        .deadline = deadline},
                done, context);
    buf_free(&form);
}

static void take_border(void *context, const struct fetch_answer *answer)
{
    struct kind *kind = context;
    struct source_status unheard;
    double points = 0;

    status_init(&unheard, kind->job->context->arena, "prometheus");
    kind->border = BORDER_HIDDEN;
    if (answer->outcome != FETCH_ANSWERED ||
        prometheus_read(answer->body, answer->status, kind->what, &points, &unheard) != PROMETHEUS_VALUE)
        return;
    if (points > 1.5 && points < 2.5)
        kind->border = BORDER_SHARED;
    else if (points > 0.5 && points < 1.5)
        kind->border = BORDER_OWN;
}

/* A point a second: a range of one second that begins and ends at a point holds two where both its ends
 * count, else one. */
static void ask_border(struct kind *kind)
{
    struct prometheus_job *job = kind->job;

    kind->border = BORDER_ASKED;
    send_query(job, job->context->arena, "count_over_time(vector(1)[1s:1s])", job->to / 1000 * 1000,
               job->context->deadline, take_border, kind);
}

static void fail(struct kind *kind, struct piece *piece, const struct source_status *why)
{
    piece->state = PIECE_FAILED;
    status_join(&kind->status, why);
}

/* Back to be asked again, in halves; false when it cannot be. */
static bool take_back_to_cut(struct kind *kind, struct piece *piece, int64_t too_much_ms)
{
    if (!can_be_cut(kind, piece))
        return false;
    if (too_much_ms < piece->selection->too_much_ms)
        piece->selection->too_much_ms = too_much_ms;
    push(kind, piece);
    if (kind->additive == ADDITIVE_SAMPLES && kind->border == BORDER_UNKNOWN)
        ask_border(kind);
    return true;
}

static void note_uncut(struct kind *kind, const struct piece *piece, struct source_status *status)
{
    const char *why = "a shorter range is not asked for";

    if (kind->additive == ADDITIVE_NOT)
        why = "the query template is none that adds up over time";
    else if (piece->to - piece->from >= 2 * PROMETHEUS_PIECE_MIN_MS)
        why = "the server does not say which samples a range has at its ends";
    status_note(status, STATUS_PARTIAL, "%s query: it was not cut into shorter ranges: %s", kind->what, why);
}

/* Back to be asked once more after a pause; false when there is no more patience or time. */
static bool take_back_to_retry(struct kind *kind, struct piece *piece, int64_t pause_ms)
{
    int64_t now = clock_ms(), left = kind->job->context->deadline - now;

    if (pause_ms <= 0)
        pause_ms = PROMETHEUS_RETRY_MS;
    if (piece->retried || kind->retries >= PROMETHEUS_RETRIES_MAX || pause_ms > left / 2)
        return false;
    piece->retried = true;
    kind->retries++;
    if (now + pause_ms > kind->paused_until)
        kind->paused_until = now + pause_ms;
    push(kind, piece);
    return true;
}

static void take_answer(void *context, const struct fetch_answer *answer)
{
    struct ask *ask = context;
    struct kind *kind = ask->kind;
    struct piece *piece = ask->piece;
    int64_t length = piece->to - piece->from;
    enum prometheus_result result = PROMETHEUS_FAILED;
    struct source_status status;

    ask->piece = NULL;
    kind->running--;
    if (kind->job->settled)
        return;
    status_init(&status, kind->job->context->arena, "prometheus");
    if (answer->outcome == FETCH_ANSWERED)
        result = prometheus_read(answer->body, answer->status, kind->what, &piece->value, &status);
    else
        status_note(&status, STATUS_PARTIAL, "%s query: %s", kind->what, answer->why);

    if (result == PROMETHEUS_VALUE) {
        piece->state = PIECE_ANSWERED;
        kind->answered++;
        status_read_at(&status, kind->job->context->now);
        status_join(&kind->status, &status);
    } else if (answer->outcome == FETCH_TIMEOUT && ask->hurried) {
        piece->selection->hurried = true;
        if (!take_back_to_cut(kind, piece, length * 3 / (2 * PROMETHEUS_LATE_PIECES_MAX)))
            push(kind, piece); /* as it is, with all the time that is left */
    } else if (result == PROMETHEUS_TOO_MUCH) {
        if (take_back_to_cut(kind, piece, length))
            return;
        note_uncut(kind, piece, &status);
        fail(kind, piece, &status);
    } else if (result != PROMETHEUS_BUSY || !take_back_to_retry(kind, piece, answer->retry_after_ms)) {
        fail(kind, piece, &status);
    }
}

static void start_ask(struct kind *kind, struct ask *ask, struct piece *piece)
{
    struct prometheus_job *job = kind->job;
    const struct source_context *context = job->context;
    struct arena *arena = arena_new(); /* a query may have 64 KB, and there may be thousands */
    const char *why, *promql;
    int64_t now = clock_ms(), deadline = context->deadline;

    promql = prometheus_fill(arena, kind->template, &piece->selection->part,
                             settings_text(context->settings, OSCAR_SERVICES_NAMESPACE),
                             piece->to - piece->from, &why);
    if (promql) {
        *ask = (struct ask){
            .kind = kind, .piece = piece, .hurried = !piece->selection->hurried && can_be_cut(kind, piece)};
        if (ask->hurried)
            deadline = now + (deadline - now) / 2;
        kind->running++;
        send_query(job, arena, promql, piece->to, deadline, take_answer, ask);
    } else {
        piece->state = PIECE_FAILED;
        status_note(&kind->status, STATUS_PARTIAL, "%s query: %s", kind->what, why);
    }
    arena_free(arena);
}

static struct ask *free_ask(struct kind *kind)
{
    for (size_t i = 0; i < PROMETHEUS_AT_ONCE_MAX; i++)
        if (kind->asks[i].piece == NULL)
            return &kind->asks[i];
    return NULL;
}

/* As many queries as may run. True while the kind is at work. */
static bool move_kind(struct kind *kind)
{
    struct ask *ask;
    struct piece *piece;

    if (kind->border == BORDER_ASKED || clock_ms() < kind->paused_until)
        return true;
    while ((ask = free_ask(kind)) && (piece = next_piece(kind)))
        start_ask(kind, ask, piece);
    return kind->running > 0;
}

/* The end. */

/* "yolo and 3 more services in the namespace oscar-svc-a, 2026-01-01T00:00:00Z to 2026-01-01T12:00:00Z". */
static void name_piece(const struct prometheus_job *job, const struct piece *piece, struct buf *out)
{
    const struct hours_part *part = &piece->selection->part;
    struct arena *arena = job->context->arena;
    char from[TIMESTAMP_SIZE], to[TIMESTAMP_SIZE];

    buf_add_string(out, part->service_count == 0
                            ? "all services"
                            : note_words(arena, part->services[0], PROMETHEUS_SHOWN_MAX_BYTES));
    if (part->service_count > 1)
        buf_format(out, " and %zu more services", part->service_count - 1);
    if (part->namespace.length > 0)
        buf_format(out, " in the namespace %s",
                   note_words(arena, part->namespace, PROMETHEUS_SHOWN_MAX_BYTES));
    if (piece->from == job->from && piece->to == job->to)
        return;
    instant_format_seconds((struct instant){.seconds = piece->from / 1000}, from);
    instant_format_seconds((struct instant){.seconds = piece->to / 1000}, to);
    buf_format(out, ", %s to %s", from, to);
}

static void note_missing(struct kind *kind, const struct piece *missing, size_t count)
{
    struct buf words;

    buf_init(&words, STATUS_NOTE_MAX_BYTES);
    name_piece(kind->job, missing, &words);
    if (count > 1)
        buf_add_string(&words, ", and more");
    status_note(&kind->job->out->status, STATUS_PARTIAL, "%s query: not in the sum: %s", kind->what,
                words.data);
    buf_free(&words);
}

static void settle_kind(struct kind *kind, double *value)
{
    const struct piece *missing = NULL;
    size_t count = 0;

    new_piece(kind); /* what was not even asked is missing, too */
    for (const struct piece *piece = kind->first; piece; piece = piece->next) {
        if (piece->state == PIECE_ANSWERED && isfinite(*value + piece->value)) {
            *value += piece->value;
            continue;
        }
        if (piece->state == PIECE_ANSWERED)
            status_note(&kind->status, STATUS_PARTIAL, "%s query: the sum is too large", kind->what);
        if (count++ == 0)
            missing = piece;
    }
    if (missing && kind->answered > 0)
        note_missing(kind, missing, count);
    status_join(&kind->job->out->status, &kind->status);
}

/* With no value at all the source is missing, whatever the notes of the single queries said. */
static void settle(struct prometheus_job *job)
{
    bool asked = false, answered = false;

    for (size_t i = 0; i < HOURS_KINDS; i++) {
        struct kind *kind = &job->kinds[i];

        if (!kind->wanted)
            continue;
        settle_kind(kind, &job->out->value[i]);
        asked = asked || kind->first != NULL;
        answered = answered || kind->answered > 0;
    }
    if (asked && !answered)
        job->out->status.level = STATUS_MISSING;
    job->settled = true;
}

static enum job_state prometheus_step(struct job *base)
{
    struct prometheus_job *job = (struct prometheus_job *)base;
    int64_t now = clock_ms();
    bool working = false;

    job->job.wake_at = 0;
    for (size_t i = 0; i < HOURS_KINDS; i++) {
        struct kind *kind = &job->kinds[i];

        if (!kind->wanted || !move_kind(kind))
            continue;
        working = true;
        if (kind->paused_until > now && (job->job.wake_at == 0 || kind->paused_until < job->job.wake_at))
            job->job.wake_at = kind->paused_until;
    }
    if (working)
        return JOB_WAITING;
    settle(job);
    return JOB_DONE;
}

/* Is there something of it that was not answered, and did not fail either? */
static bool is_unfinished(const struct kind *kind)
{
    return kind->running > 0 || kind->waiting != NULL || kind->part < kind->job->query.part_count;
}

static void prometheus_stop(struct job *base, enum job_stop why)
{
    struct prometheus_job *job = (struct prometheus_job *)base;

    if (why == JOB_DEADLINE)
        for (size_t i = 0; i < HOURS_KINDS; i++)
            if (job->kinds[i].wanted && is_unfinished(&job->kinds[i]))
                status_note(&job->kinds[i].status, STATUS_PARTIAL, "%s query: no answer before the deadline",
                            job->kinds[i].what);
    settle(job);
}

/* Whole seconds between the two, rounded down. */
static int64_t range_of(struct instant start, struct instant end)
{
    return end.seconds - start.seconds - (end.nanoseconds < start.nanoseconds ? 1 : 0);
}

/* False when nothing is to be asked; the status then says why, if it is not as it should be. */
static bool has_questions(const struct prometheus_job *job, int64_t range_seconds)
{
    struct source_status *status = &job->out->status;

    if (text_is(text_of(settings_text(job->context->settings, PROMETHEUS_URL)), "none")) {
        status_turned_off(status);
        return false;
    }
    if (range_seconds < 1) {
        status_note_open(status, STATUS_MISSING, "invalid time range");
        return false;
    }
    if (job->query.part_count == 0)
        status_read_at(status, job->context->now);
    return job->query.part_count > 0;
}

static void start_kind(struct prometheus_job *job, size_t i)
{
    struct kind *kind = &job->kinds[i];

    *kind = (struct kind){
        .job = job,
        .wanted = true,
        .what = kind_rows[i].what,
        .template = settings_text(job->context->settings, kind_rows[i].query),
    };
    kind->additive = additive_of(text_of(kind->template));
    status_init(&kind->status, job->context->arena, "prometheus");
    (void)move_kind(kind);
}

struct job *prometheus_start(const struct source_context *context, const struct hours_query *query,
                             struct hours *out)
{
    static const struct job_ops ops = {prometheus_step, prometheus_stop};
    struct prometheus_job *job = ARENA_NEW(context->arena, struct prometheus_job);
    int64_t range = range_of(context->start, context->end);

    *out = (struct hours){.value = {0}};
    status_init(&out->status, context->arena, "prometheus");
    *job = (struct prometheus_job){
        .job = {.ops = &ops}, .context = context, .query = *query, .out = out, .url = query_url(context)};
    job->to = context->end.seconds * 1000 + context->end.nanoseconds / 1000000;
    job->from = job->to - range * 1000;
    if (has_questions(job, range))
        for (size_t i = 0; i < HOURS_KINDS; i++)
            if (query->wanted[i])
                start_kind(job, i);
    return &job->job;
}
