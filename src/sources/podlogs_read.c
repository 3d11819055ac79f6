/* Reading pods' logs: each line as it comes, nothing is kept. The API puts the runtime's time before each. */
#include <inttypes.h>

#include "caps.h"
#include "net/fetch.h"
#include "net/form.h"
#include "sources/geoip.h"
#include "sources/kube.h"
#include "sources/podlogs_job.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/memory.h"

enum { STAMP_SIZE = 40 }; /* fits a time as the API writes it, and the blank */

enum { PATH_SIZE = 4096 }; /* fits the longest name of a container, each byte escaped */

enum {
    /* Lines stand in the order in which they were written, but for two outputs of one program, and clocks
     * that are set back. */
    ORDER_SECONDS = 60,
};

/* ---- lines ---- */

/* Cuts the time before a line. False: it has none, so that it is no line of a log. */
static bool take_stamp(struct podlogs_stream *stream, struct text *line, struct instant *out)
{
    struct text reach = {line->data, line->length < STAMP_SIZE ? line->length : STAMP_SIZE}, word;

    word = text_cut(&reach, ' ');
    if (!timestamp_parse_cached(word, &stream->times.minute, out))
        return false;
    *line = text_skip(*line, word.length < line->length ? word.length + 1 : word.length);
    return true;
}

static bool in_range(const struct podlogs *logs, struct instant time)
{
    return instant_compare(time, logs->context->start) >= 0 && instant_compare(time, logs->context->end) <= 0;
}

static struct podlogs_log *log_of(struct podlogs_stream *stream)
{
    return &stream->reading->logs[stream->run];
}

static void see_first(struct podlogs_log *log, struct instant time)
{
    if (log->has_first)
        return;
    log->has_first = true;
    log->first = time;
}

static void count_line(struct podlogs_stream *stream, struct text line, const struct instant *time)
{
    struct podlogs *logs = stream->logs;
    struct logline_rules rules = logs->rules;
    struct logline_event event;
    enum logline_result result;

    rules.times = &stream->times;
    result = logline_parse(&rules, line, time, &event);
    logs->results[result]++;
    log_of(stream)->speaks |= result != LOGLINE_NO_PREFIX;
    if (result != LOGLINE_COUNTS)
        return;
    if (!usage_add(logs->usage,
                   &(struct usage_event){.type = event.type,
                                         .namespace = event.namespace,
                                         .service = event.service,
                                         .user = event.user,
                                         .country = geoip_country(logs->countries, event.client)},
                   1))
        logs->full = true;
}

/* False: no more is wanted. */
static bool take_line(struct podlogs_stream *stream, struct text line, bool is_long)
{
    struct podlogs *logs = stream->logs;
    struct instant time;

    if (!take_stamp(stream, &line, &time)) {
        stream->odd_lines++;
        return true;
    }
    see_first(log_of(stream), time);
    if (time.seconds > logs->context->end.seconds + ORDER_SECONDS)
        return false;
    if (!in_range(logs, time))
        return true;
    if (!is_long)
        count_line(stream, line, &time);
    else if (logline_might_count(&logs->rules, line))
        stream->long_lines++;
    return !logs->full;
}

static bool take_lines(struct podlogs_stream *stream)
{
    struct text line;

    for (;;) {
        enum linebuf_item item = linebuf_next(stream->lines, &line);

        if (item == LINEBUF_MORE)
            return true;
        if (!take_line(stream, line, item == LINEBUF_LONG))
            return false;
    }
}

static bool take_piece(void *context, struct text piece)
{
    struct podlogs_stream *stream = context;

    stream->bytes += piece.length;
    while (piece.length > 0) {
        size_t room;
        char *to = linebuf_room(stream->lines, &room);

        if (room > piece.length)
            room = piece.length;
        memcpy(to, piece.data, room);
        stream->lines->filled += room;
        piece = text_skip(piece, room);
        if (!take_lines(stream))
            return false;
    }
    return true;
}

/* ---- what went wrong ---- */

/* "pod oscar-5d9c" or, where that does not say it, "container x of pod y, the run before the last start". */
static const char *words_for(const struct podlogs_stream *stream)
{
    const struct podlogs_reading *reading = stream->reading;
    struct arena *arena = stream->logs->context->arena;
    const char *before = stream->run == POD_RUN_PREVIOUS ? " before its last restart" : "";

    if (reading->pod->pod->container_count == 1)
        return arena_format(arena, "pod %s%s", reading->pod->pod->name.data, before);
    return arena_format(arena, "container %s of pod %s%s", reading->container->name.data,
                        reading->pod->pod->name.data, before);
}

static void note_failure(struct podlogs_stream *stream, const struct fetch_answer *answer)
{
    struct podlogs *logs = stream->logs;
    struct arena *arena = logs->context->arena;
    long status = answer->outcome == FETCH_ANSWERED ? answer->status : 0;
    const char *what;

    logs->failed += !stream->probing;
    if (status == 404) {
        status_note(logs->status, STATUS_PARTIAL, "pod %s is gone, and its log with it",
                    stream->reading->pod->pod->name.data);
        return;
    }
    /* A missing permission is one thing to say, however many pods there are. */
    what = status == 401 || status == 403
               ? arena_format(arena, "get pods/log in namespace %s", logs->namespace)
               : arena_format(arena, "read the log of %s%s", words_for(stream),
                              stream->bytes > 0 ? " to its end" : "");
    status_note(logs->status, STATUS_PARTIAL, "%s", kube_fault(arena, answer, what));
}

static void note_lines(struct podlogs_stream *stream)
{
    struct podlogs *logs = stream->logs;

    if (stream->long_lines > 0)
        status_note(logs->status, STATUS_PARTIAL, "%" PRIu64 " lines longer than 64 KiB skipped of %s",
                    stream->long_lines, words_for(stream));
    /* What the kubelet has to say when it cannot go on stands among the lines. */
    if (stream->odd_lines > 0)
        status_note(logs->status, STATUS_PARTIAL, "the log of %s: %" PRIu64 " lines without a time",
                    words_for(stream), stream->odd_lines);
}

/* A last line without its end is still being written, or was cut. */
static void note_rest(struct podlogs_stream *stream)
{
    struct podlogs *logs = stream->logs;
    struct text rest = linebuf_rest(stream->lines);
    struct instant time;

    if (rest.length == 0)
        return;
    if (!take_stamp(stream, &rest, &time)) {
        stream->odd_lines++;
        return;
    }
    see_first(log_of(stream), time);
    if (in_range(logs, time) && logline_might_count(&logs->rules, rest))
        status_note(logs->status, STATUS_PARTIAL, "the log of %s ends in an unfinished line",
                    words_for(stream));
}

/* ---- requests ---- */

/* The log begins before the range if the run does: unless its beginning was rotated away. To be asked when
 * the reading is over: what was there then was there before. */
static bool needs_probe(struct podlogs_stream *stream)
{
    const struct pod_run *run = &stream->reading->container->runs[stream->run];

    return run->started.seconds < stream->logs->context->start.seconds;
}

static void take_end(void *context, const struct fetch_answer *answer)
{
    struct podlogs_stream *stream = context;
    struct podlogs *logs = stream->logs;

    if (logs->stopped)
        return;
    stream->asking = false;
    if (answer->outcome == FETCH_ENOUGH || (answer->outcome == FETCH_ANSWERED && answer->status == 200)) {
        if (answer->outcome == FETCH_ANSWERED)
            note_rest(stream);
        log_of(stream)->known = true;
        logs->read++;
    } else {
        note_failure(stream, answer);
    }
    note_lines(stream);
    stream->probing = log_of(stream)->known && needs_probe(stream);
    if (!stream->probing)
        stream->run++;
}

static void take_probe(void *context, const struct fetch_answer *answer)
{
    struct podlogs_stream *stream = context;
    struct podlogs_log *log = log_of(stream);
    struct text line = answer->body;

    if (stream->logs->stopped)
        return;
    stream->asking = false;
    if (answer->outcome != FETCH_ANSWERED || answer->status != 200) {
        note_failure(stream, answer);
        log->known = false;
    } else if (take_stamp(stream, &line, &log->first)) {
        log->has_first = true;
    } else if (line.length > 0) {
        stream->odd_lines = 1;
        note_lines(stream);
    }
    stream->probing = false;
    stream->run++;
}

static const char *path_of(const struct podlogs_stream *stream)
{
    const struct podlogs *logs = stream->logs;
    struct arena *arena = logs->context->arena;
    char since[TIMESTAMP_SIZE];
    struct buf query;
    const char *path;

    buf_init(&query, PATH_SIZE);
    form_add(&query, "container", stream->reading->container->name);
    form_add(&query, "timestamps", TEXT_LITERAL("true"));
    if (stream->run == POD_RUN_PREVIOUS)
        form_add(&query, "previous", TEXT_LITERAL("true"));
    instant_format_seconds(logs->context->start, since);
    if (stream->probing)
        form_add(&query, "limitBytes", text_of(arena_format(arena, "%d", PODLOGS_PROBE_MAX_BYTES)));
    else
        form_add(&query, "sinceTime", text_of(since));
    path = arena_format(arena, "/api/v1/namespaces/%s/pods/%s/log?%s", logs->namespace,
                        stream->reading->pod->pod->name.data, query.data);
    buf_free(&query);
    return path;
}

static void ask(struct podlogs_stream *stream)
{
    struct podlogs *logs = stream->logs;
    const struct kube_request request = {.path = path_of(stream),
                                         .max_bytes = PODLOGS_REFUSAL_MAX_BYTES,
                                         .deadline = logs->context->deadline,
                                         .take = stream->probing ? NULL : take_piece};
    const char *wrong;

    if (stream->lines == NULL)
        stream->lines = memory_new(1, sizeof(*stream->lines));
    linebuf_begin(stream->lines, 0);
    stream->bytes = stream->long_lines = stream->odd_lines = 0;
    stream->asking = true;
    wrong = kube_get(logs->kube, &request, stream->probing ? take_probe : take_end, stream);
    if (wrong == NULL)
        return;
    status_note(logs->status, STATUS_PARTIAL, "%s", wrong);
    logs->failed += !stream->probing;
    stream->asking = stream->probing = false;
    stream->run++;
}

/* Steps to what is to be asked next. False: there is nothing left for this place. */
static bool step_on(struct podlogs_stream *stream)
{
    struct podlogs *logs = stream->logs;

    if (logs->full)
        return false;
    for (;;) {
        while (stream->reading && stream->run < POD_RUNS && !log_of(stream)->wanted)
            stream->run++;
        if (stream->reading && stream->run < POD_RUNS)
            return true;
        stream->reading = logs->next_reading;
        if (stream->reading == NULL)
            return false;
        logs->next_reading = stream->reading->in_order;
        stream->run = 0;
    }
}

bool podlogs_read_on(struct podlogs *logs)
{
    bool busy = false;

    for (size_t i = 0; i < PODLOGS_STREAMS_MAX; i++) {
        struct podlogs_stream *stream = &logs->streams[i];

        stream->logs = logs;
        while (!stream->asking && step_on(stream))
            ask(stream);
        busy |= stream->asking;
    }
    return busy;
}

uint64_t podlogs_left(const struct podlogs *logs)
{
    uint64_t wanted = 0;

    for (const struct podlogs_reading *reading = logs->readings; reading; reading = reading->in_order)
        for (size_t i = 0; i < POD_RUNS; i++)
            wanted += reading->logs[i].wanted;
    return wanted - logs->read - logs->failed;
}
