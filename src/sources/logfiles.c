/* The job that reads log files. What can be lost is said, file by file: a file that cannot be read, one that
 * ends early or shrinks, lines that are too long or perhaps half written, files beyond a limit, what a
 * deadline left, and the time before the first line. What was lost where no request of the range can be is
 * not. */
#include "sources/logfiles.h"

#include <inttypes.h>
#include <string.h>

#include "sources/geoip.h"
#include "sources/logreader.h"
#include "sources/logset.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/timestamp.h"

enum {
    STEP_MS = 5,
    STEP_BYTES = 1024 * 1024,
    SETTLED_SECONDS = 60 /* a file that was not written to for so long has no line that is half written */
};

struct logfiles {
    struct job job;
    const struct source_context *context;
    struct logline_rules rules;
    struct timezone_cache zone;
    struct usage *usage;
    struct source_status *status;
    struct logfiles_tally *tally;
    struct geoip_reader *countries;

    struct logset *set;
    struct logreader *reader;
    bool complete, full; /* the set of files; the usage */

    size_t at;            /* the file being read */
    bool reading;         /* it was begun */
    struct buf pieces[2]; /* CRI: a line of standard output, of standard error, that goes on */
    uint64_t long_lines;  /* of this file, that could have counted */
    int64_t position;     /* in this file */
    bool has_oldest;
    struct instant oldest; /* of all lines */
};

static void release(struct logfiles *files)
{
    logset_close(files->set);
    logreader_free(files->reader);
    geoip_reader_free(files->countries);
    buf_free(&files->pieces[0]);
    buf_free(&files->pieces[1]);
}

static bool in_range(const struct logfiles *files, struct instant time)
{
    return instant_compare(time, files->context->start) >= 0 &&
           instant_compare(time, files->context->end) <= 0;
}

/* What a line adds to. */
static struct usage_event event_of(struct logfiles *files, const struct logline_event *line)
{
    return (struct usage_event){.hour = instant_hour(line->time),
                                .type = line->type,
                                .namespace = line->namespace,
                                .service = line->service,
                                .user = line->user,
                                .country = geoip_country(files->countries, line->client)};
}

static void count_line(struct logfiles *files, struct text line)
{
    struct logline_event event;
    enum logline_result result = logline_parse(&files->rules, line, NULL, &event);

    files->tally->lines++;
    if (event.timed && (!files->has_oldest || instant_compare(event.time, files->oldest) < 0)) {
        files->has_oldest = true;
        files->oldest = event.time;
    }
    if (event.timed && !in_range(files, event.time))
        return;
    files->tally->results[result]++;
    if (result == LOGLINE_COUNTS) {
        struct usage_event add = event_of(files, &event);

        if (!usage_add(files->usage, &add, 1))
            files->full = true;
    }
}

static void count_long_line(struct logfiles *files, struct text beginning)
{
    struct instant time;

    files->tally->lines++;
    if (logline_might_count(&files->rules, beginning) &&
        (!logline_time(&files->rules, beginning, &time) || in_range(files, time)))
        files->long_lines++;
}

static void count_pieces(struct logfiles *files, struct buf *pieces)
{
    if (pieces->full)
        count_long_line(files, buf_text(pieces));
    else
        count_line(files, buf_text(pieces));
    buf_clear(pieces);
}

/* CRI runtimes cut lines at some 16 KB and mark all pieces but the last; the time is the first one's. */
static void take_line(struct logfiles *files, struct text line)
{
    struct logline_piece piece;
    struct buf *pieces;

    if (!logline_piece(line, &piece)) {
        count_line(files, line);
        return;
    }
    pieces = &files->pieces[piece.is_stderr];
    if (!piece.continues && pieces->length == 0) {
        count_line(files, line);
        return;
    }
    buf_add(pieces, pieces->length == 0 ? line : piece.content);
    if (!piece.continues)
        count_pieces(files, pieces);
}

/* A last line without its end is whole when nobody is writing any more. */
static bool is_settled(const struct logfiles *files, const struct logfile *file)
{
    return file->gzip || files->context->now.seconds - file->modified >= SETTLED_SECONDS;
}

/* Lines are written when they happen: one that was begun long after the range cannot lie in it. */
static void note_unfinished(struct logfiles *files, const struct logfile *file)
{
    if (file->modified <= files->context->end.seconds + SETTLED_SECONDS)
        status_note(files->status, STATUS_PARTIAL, "%s ends in an unfinished line", file->path);
}

static void take_tail(struct logfiles *files, const struct logfile *file, struct text tail)
{
    if (is_settled(files, file))
        take_line(files, tail);
    else
        note_unfinished(files, file);
}

/* The pieces of a line whose last piece is not in the file. */
static void end_pieces(struct logfiles *files, const struct logfile *file, struct buf *pieces)
{
    if (pieces->length == 0)
        return;
    if (logreader_end(files->reader) == LOGREADER_WHOLE) {
        if (is_settled(files, file))
            count_pieces(files, pieces);
        else
            note_unfinished(files, file);
    }
    buf_clear(pieces);
}

static void note_end(struct logfiles *files, const struct logfile *file)
{
    struct source_status *status = files->status;
    char why[128];

    switch (logreader_end(files->reader)) {
    case LOGREADER_WHOLE:
        break;
    case LOGREADER_CUT:
        status_note(status, STATUS_PARTIAL, "%s ends early", file->path);
        break;
    case LOGREADER_DAMAGED:
        status_note(status, STATUS_PARTIAL, "%s is damaged", file->path);
        break;
    case LOGREADER_SHRUNK:
        status_note(status, STATUS_PARTIAL, "%s was cut while it was read", file->path);
        break;
    case LOGREADER_UNREADABLE:
        status_note(status, STATUS_PARTIAL, "cannot read %s: %s", file->path,
                    strerror_r(logreader_error(files->reader), why, sizeof(why)));
        break;
    }
    if (files->long_lines > 0)
        status_note(status, STATUS_PARTIAL, "%" PRIu64 " lines longer than 64 KiB skipped in %s",
                    files->long_lines, file->path);
}

static void begin_file(struct logfiles *files, const struct logfile *file)
{
    logreader_open(files->reader, file->fd, file->gzip, file->size);
    files->position = 0;
    files->long_lines = 0;
    files->reading = true;
}

static void end_file(struct logfiles *files, const struct logfile *file)
{
    end_pieces(files, file, &files->pieces[0]);
    end_pieces(files, file, &files->pieces[1]);
    note_end(files, file);
    files->tally->files++;
    files->reading = false;
    files->at++;
}

/* Takes what the reader holds, then lets it read once. False: the file has ended. */
static bool read_piece(struct logfiles *files, const struct logfile *file)
{
    struct text line;

    while (!files->full) {
        switch (logreader_next(files->reader, &line)) {
        case LOGREADER_LINE:
            take_line(files, line);
            break;
        case LOGREADER_LONG:
            count_long_line(files, line);
            break;
        case LOGREADER_TAIL:
            take_tail(files, file, line);
            break;
        case LOGREADER_MORE:
            return true;
        case LOGREADER_END:
            return false;
        }
    }
    return false;
}

/* Reads for one step; false: all is read, or no more fits. */
static bool read_some(struct logfiles *files)
{
    int64_t until = clock_ms() + STEP_MS, step_bytes = 0;

    while (!files->full && files->at < logset_count(files->set)) {
        const struct logfile *file = logset_file(files->set, files->at);
        int64_t before;
        bool more;

        if (!files->reading)
            begin_file(files, file);
        before = files->position;
        more = read_piece(files, file);
        files->position = logreader_position(files->reader);
        files->tally->bytes += (uint64_t)(files->position - before);
        /* gzip files may have grown. */
        files->job.done = files->tally->bytes < files->job.total ? files->tally->bytes : files->job.total;
        step_bytes += files->position - before;
        if (!more)
            end_file(files, file);
        if (step_bytes >= STEP_BYTES || clock_ms() >= until)
            return true;
    }
    return false;
}

static void finish(struct logfiles *files)
{
    char begin[TIMESTAMP_SIZE];

    if (files->has_oldest)
        status_read_at(files->status, files->context->now);
    if (files->full) {
        status_note(files->status, STATUS_PARTIAL, "memory limit reached (OSCAR_METRICS_MEMORY)");
    } else if (files->has_oldest && instant_compare(files->context->start, files->oldest) < 0) {
        instant_format_seconds(files->oldest, begin);
        status_note(files->status, STATUS_PARTIAL, "logs begin at %s", begin);
    } else if (!files->has_oldest && logset_count(files->set) > 0) {
        status_note(files->status, STATUS_MISSING, "no line with a time in the log files");
    }
    release(files);
}

static void complete_set(struct logfiles *files)
{
    files->complete = true;
    for (size_t i = 0; i < logset_count(files->set); i++)
        files->job.total += (uint64_t)logset_file(files->set, i)->size;
}

static enum job_state step(struct job *job)
{
    struct logfiles *files = (struct logfiles *)job;

    if (!files->complete) {
        if (!logset_step(files->set, files->reader, files->status))
            complete_set(files);
    } else if (!read_some(files)) {
        finish(files);
        return JOB_DONE;
    }
    return JOB_READY;
}

static void note_deadline(struct logfiles *files)
{
    const struct job *job = &files->job;

    if (!files->complete) {
        status_note(files->status, STATUS_PARTIAL, "deadline passed while log files were opened");
        return;
    }
    status_note(files->status, STATUS_PARTIAL, "deadline passed after %zu of %zu files (%d %%)", files->at,
                logset_count(files->set), job->total > 0 ? (int)(job->done * 100 / job->total) : 0);
}

static void stop(struct job *job, enum job_stop why)
{
    struct logfiles *files = (struct logfiles *)job;

    if (why == JOB_DEADLINE) {
        if (files->has_oldest)
            status_read_at(files->status, files->context->now);
        note_deadline(files);
    }
    release(files);
}

struct job *logfiles_start(const struct source_context *context, const char *globs,
                           const struct logline_rules *rules, struct usage *usage,
                           struct source_status *status, struct logfiles_tally *tally)
{
    static const struct job_ops ops = {step, stop};
    struct logfiles *files = ARENA_NEW(context->arena, struct logfiles);

    files->job.ops = &ops;
    files->context = context;
    files->rules = *rules;
    files->rules.zone = &files->zone;
    files->usage = usage;
    files->status = status;
    files->tally = tally;
    files->set = logset_new(context->arena, globs);
    files->reader = logreader_new();
    /* Exposed requests give no countries. */
    files->countries = geoip_reader_new(rules->kind == LOGLINE_REQUESTS ? context->geoip : NULL);
    buf_init(&files->pieces[0], LOGREADER_LINE_MAX);
    buf_init(&files->pieces[1], LOGREADER_LINE_MAX);
    *tally = (struct logfiles_tally){0};
    return &files->job;
}
