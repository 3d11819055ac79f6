/* The job that reads log files. What can be lost is said, file by file: a file that cannot be read, one that
 * ends early or shrinks, lines that are too long or perhaps half written, files beyond a limit, what a
 * deadline left, and the time before the first line. What was lost where no request of the range can be is
 * not.
 *
 * A file is read in passes. Where files are remembered (logblock.h), a new one is read whole into a block, a
 * grown one from where its block ends; the report takes the whole hours from the block, and lines of a cut
 * hour, of which only a part lies in the range, are read by themselves. Where they are not, one pass counts
 * what lies in the range. */
#include "sources/logfiles.h"

#include <inttypes.h>
#include <string.h>

#include "caps.h"
#include "sources/geoip.h"
#include "sources/logblock.h"
#include "sources/logreader.h"
#include "sources/logscan.h"
#include "sources/logset.h"
#include "sources/uncounted.h"
#include "util/arena.h"
#include "util/timestamp.h"

enum {
    PASSES = 4,
    STEP_PIECE = 1024 * 1024, /* before the clock is looked at */
    SETTLED_SECONDS = 60, /* a file that was not written to for so long has no line that is half written */
};

enum pass_kind {
    PASS_ALL,   /* count what lies in the range */
    PASS_BUILD, /* into the block; and count what lies in the range's part of a cut hour */
    PASS_HOUR,  /* count what lies in the range's part of one hour */
};

struct pass {
    enum pass_kind kind;
    int64_t from, to; /* offsets; to 0: the end */
    int64_t hour;     /* PASS_HOUR */
};

/* The file that is being read. */
struct current {
    const struct logfile *file; /* NULL: none */
    struct pass passes[PASSES];
    size_t pass_count, pass_at;
    bool in_pass;
    struct logblock_builder *builder;
    const struct logblock *old; /* held: what is remembered of it */
    struct usage *cut;          /* from PASS_BUILD; thrown away with the builder */
    uint64_t long_lines;        /* in the range, that could have counted */
    uint64_t cut_long_lines;    /* of them, from PASS_BUILD */
    int64_t position;           /* in the file */
};

struct logfiles {
    struct job job;
    const struct source_context *context;
    struct logline_rules rules;
    struct logline_times times;
    struct usage *usage;
    struct source_status *status;
    struct logfiles_tally *tally;
    struct geoip_reader *countries;
    size_t block_bytes;

    struct logset *set;
    struct logreader *reader;
    struct logscan *scan;
    bool complete, full; /* the set of files; the usage */
    struct hour_range whole;

    size_t at;               /* in the set */
    uint64_t finished_bytes; /* of the files before that */
    struct current now;
    bool has_oldest;
    struct instant oldest; /* of all lines */
};

/* The hours that lie in the range from their first nanosecond to their last. */
static struct hour_range whole_hours(struct instant start, struct instant end)
{
    struct hour_range whole = {instant_hour(start), instant_hour(end)};

    if (whole.first * 3600 != start.seconds || start.nanoseconds != 0)
        whole.first++;
    if (whole.last * 3600 + 3599 != end.seconds || end.nanoseconds != 999999999)
        whole.last--;
    return whole;
}

static bool in_range(const struct logfiles *files, struct instant time)
{
    return instant_compare(time, files->context->start) >= 0 &&
           instant_compare(time, files->context->end) <= 0;
}

static bool in_cut_hour(const struct logfiles *files, struct instant time)
{
    int64_t hour = instant_hour(time);

    return in_range(files, time) && (hour < files->whole.first || hour > files->whole.last);
}

static void forget_file(struct current *now)
{
    logblock_abandon(now->builder);
    cache_value_release((struct cache_value *)(uintptr_t)now->old);
    usage_free(now->cut);
    *now = (struct current){0};
}

static void release(struct logfiles *files)
{
    forget_file(&files->now);
    logscan_free(files->scan);
    logreader_free(files->reader);
    logset_close(files->set);
    geoip_reader_free(files->countries);
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

static void see_time(struct logfiles *files, struct instant time)
{
    if (files->has_oldest && instant_compare(time, files->oldest) >= 0)
        return;
    files->has_oldest = true;
    files->oldest = time;
}

/* The block got too large, or too many hours: the file is read once more, for this report alone. */
static void read_without_block(struct current *now)
{
    logblock_abandon(now->builder);
    now->builder = NULL;
    usage_free(now->cut);
    now->cut = NULL;
    now->long_lines -= now->cut_long_lines;
    now->cut_long_lines = 0;
    now->passes[0] = (struct pass){.kind = PASS_ALL};
    now->pass_count = 1;
    now->pass_at = 0;
    now->in_pass = false;
}

static bool counts_in_pass(const struct logfiles *files, const struct pass *pass, struct instant time)
{
    switch (pass->kind) {
    case PASS_ALL:
        return in_range(files, time);
    case PASS_BUILD:
        return in_cut_hour(files, time);
    case PASS_HOUR:
        return instant_hour(time) == pass->hour && in_range(files, time);
    }
    return false;
}

/* A line that counts in the pass. */
static void add_to_report(struct logfiles *files, const struct pass *pass, const struct usage_event *event)
{
    struct usage_event without_hour = *event;

    without_hour.hour = 0; /* nothing asks a report for its hours */
    if (pass->kind == PASS_BUILD && files->now.cut == NULL)
        files->now.cut = usage_new(files->block_bytes);
    if (usage_add(pass->kind == PASS_BUILD ? files->now.cut : files->usage, &without_hour, 1))
        return;
    if (pass->kind == PASS_BUILD)
        read_without_block(&files->now);
    else
        files->full = true;
}

static void count_line(struct logfiles *files, const struct pass *pass, const struct logscan_line *line)
{
    struct logline_event event;
    enum logline_result result = logline_parse(&files->rules, line->text, NULL, &event);
    bool wanted = event.timed && counts_in_pass(files, pass, event.time), counts = result == LOGLINE_COUNTS;
    struct usage_event add = {0};

    files->tally->lines++;
    if (pass->kind != PASS_HOUR) /* those were counted when the block was built */
        files->tally->results[result]++;
    if (event.timed && pass->kind != PASS_HOUR)
        see_time(files, event.time);
    if (counts && (wanted || pass->kind == PASS_BUILD))
        add = event_of(files, &event);
    if (pass->kind == PASS_BUILD && !logblock_add(files->now.builder, line->from, line->to,
                                                  event.timed ? &event.time : NULL, counts ? &add : NULL)) {
        read_without_block(&files->now);
        return;
    }
    if (counts && wanted)
        add_to_report(files, pass, &add);
}

static void count_long_line(struct logfiles *files, const struct pass *pass, const struct logscan_line *line)
{
    struct instant time;
    bool timed = logline_time(&files->rules, line->text, &time);

    files->tally->lines++;
    if (!logline_might_count(&files->rules, line->text))
        return;
    if (pass->kind == PASS_BUILD &&
        !logblock_add_long(files->now.builder, line->from, line->to, timed ? &time : NULL)) {
        read_without_block(&files->now);
        return;
    }
    /* Without a time it may lie in the range: a block tells that itself. */
    if (timed ? !counts_in_pass(files, pass, time) : pass->kind != PASS_ALL)
        return;
    files->now.long_lines++;
    files->now.cut_long_lines += pass->kind == PASS_BUILD;
}

/* A last line without its end is whole when nobody is writing any more. */
static bool is_settled(const struct logfiles *files, const struct logfile *file)
{
    return file->gzip || files->context->now.seconds - file->modified_ns / 1000000000 >= SETTLED_SECONDS;
}

/* Lines are written when they happen: one that was begun long after the range cannot lie in it. */
static void note_unfinished(struct logfiles *files, const struct logfile *file)
{
    if (file->modified_ns / 1000000000 <= files->context->end.seconds + SETTLED_SECONDS)
        status_note(files->status, STATUS_PARTIAL, "%s ends in an unfinished line", file->path);
}

/* Where a plain file ends inside the line, that is no part of a block: it may go on. A block's content does
 * not end inside a line: where a cut hour's part of it does, the line is of another hour. */
static void take_line(struct logfiles *files, const struct pass *pass, const struct logscan_line *line,
                      bool is_long)
{
    const struct pass all = {.kind = PASS_ALL};

    if (line->tail && !files->now.file->gzip && pass->kind == PASS_HOUR)
        return;
    if (line->tail && !is_settled(files, files->now.file)) {
        note_unfinished(files, files->now.file);
        return;
    }
    if (line->tail && !files->now.file->gzip)
        pass = &all;
    if (is_long)
        count_long_line(files, pass, line);
    else
        count_line(files, pass, line);
}

static void note_end(struct logfiles *files)
{
    const char *path = files->now.file->path;
    char why[128];

    switch (logreader_end(files->reader)) {
    case LOGREADER_WHOLE:
        break;
    case LOGREADER_CUT:
        status_note(files->status, STATUS_PARTIAL, "%s ends early", path);
        break;
    case LOGREADER_DAMAGED:
        status_note(files->status, STATUS_PARTIAL, "%s is damaged", path);
        break;
    case LOGREADER_SHRUNK:
        status_note(files->status, STATUS_PARTIAL, "%s was cut while it was read", path);
        break;
    case LOGREADER_UNREADABLE:
        status_note(files->status, STATUS_PARTIAL, "cannot read %s: %s", path,
                    strerror_r(logreader_error(files->reader), why, sizeof(why)));
        break;
    }
}

/* ---- blocks ---- */

static void add_pass(struct current *now, struct pass pass)
{
    now->passes[now->pass_count++] = pass;
}

/* The parts of a block's content in which lines of the cut hours lie. */
static void add_hour_passes(struct logfiles *files, const struct logblock *block)
{
    int64_t ends[] = {instant_hour(files->context->start), instant_hour(files->context->end)};

    for (size_t i = 0; i < 2; i++) {
        const struct logblock_hour *hour = logblock_hour(block, ends[i]);

        if (hour == NULL || (ends[i] >= files->whole.first && ends[i] <= files->whole.last) ||
            (i == 1 && ends[1] == ends[0]))
            continue; /* it has none, is whole, or was just added */
        add_pass(&files->now,
                 (struct pass){.kind = PASS_HOUR, .from = hour->from, .to = hour->to, .hour = ends[i]});
    }
}

static void use_block(struct logfiles *files, const struct logblock *block)
{
    if (!usage_merge(files->usage, block->usage, files->whole.first, files->whole.last, USAGE_WITHOUT_HOURS))
        files->full = true;
    files->now.long_lines += logblock_long_lines(block, files->whole) + block->untimed_long_lines;
    if (block->has_oldest)
        see_time(files, block->oldest);
}

/* What was built becomes the block of the file, as far as it goes. `ended`: the file was read to its end. */
static void finish_block(struct logfiles *files, bool ended)
{
    struct current *now = &files->now;
    bool whole = ended && logreader_end(files->reader) == LOGREADER_WHOLE;
    struct logblock *block;

    if (now->builder == NULL)
        return;
    block = logblock_finish(now->builder, now->file, geoip_generation(files->context->geoip),
                            logscan_end(files->scan), whole);
    now->builder = NULL;
    use_block(files, block);
    if (now->cut && !usage_merge(files->usage, now->cut, 0, 0, USAGE_WITHOUT_HOURS))
        files->full = true;
    /* What ended badly may be mended; and what somebody is reading has an end only between two lines. */
    if ((whole || (!ended && !now->file->gzip)) && logscan_is_between_lines(files->scan))
        logblock_keep(files->context->remembered, now->file, files->rules.kind, block);
    cache_value_release(&block->value);
}

/* ---- files ---- */

static void plan_passes(struct logfiles *files)
{
    struct current *now = &files->now;
    enum logblock_fit fit =
        logblock_find(files->context->remembered, now->file, files->rules.kind,
                      geoip_generation(files->context->geoip), files->context->fresh_after, &now->old);

    if (files->context->remembered == NULL) {
        add_pass(now, (struct pass){.kind = PASS_ALL});
        return;
    }
    if (fit == LOGBLOCK_NONE)
        cache_missed(files->context->remembered);
    else
        cache_hit(files->context->remembered);
    if (fit == LOGBLOCK_UNCHANGED) {
        use_block(files, now->old);
        add_hour_passes(files, now->old);
        if (!now->file->gzip && now->old->end < now->file->size)
            add_pass(now, (struct pass){.kind = PASS_ALL, .from = now->old->end});
        return;
    }
    now->builder = logblock_begin(now->old, files->block_bytes);
    if (now->builder) {
        add_pass(now, (struct pass){.kind = PASS_BUILD, .from = now->old ? now->old->end : 0});
        if (now->old)
            add_hour_passes(files, now->old);
    } else {
        add_pass(now, (struct pass){.kind = PASS_ALL});
    }
}

static void begin_file(struct logfiles *files)
{
    files->now.file = logset_file(files->set, files->at);
    plan_passes(files);
}

static void end_file(struct logfiles *files)
{
    struct current *now = &files->now;

    if (now->long_lines > 0)
        status_note(files->status, STATUS_PARTIAL, "%" PRIu64 " lines longer than 64 KiB skipped in %s",
                    now->long_lines, now->file->path);
    files->tally->files++;
    files->finished_bytes += (uint64_t)now->file->size;
    files->job.done = files->finished_bytes;
    forget_file(now);
    files->at++;
}

static void begin_pass(struct logfiles *files)
{
    struct current *now = &files->now;
    const struct pass *pass = &now->passes[now->pass_at];

    logscan_open(files->scan, now->file, pass->from, pass->to);
    now->position = logreader_position(files->reader);
    now->in_pass = true;
}

static void end_pass(struct logfiles *files)
{
    enum pass_kind kind = files->now.passes[files->now.pass_at].kind;

    note_end(files);
    if (kind == PASS_BUILD)
        finish_block(files, true);
    files->now.in_pass = false;
    files->now.pass_at++;
}

/* Takes what the reader holds, then lets it read once. False: the pass has ended. */
static bool read_piece(struct logfiles *files)
{
    struct current *now = &files->now;
    const struct pass pass = now->passes[now->pass_at];
    struct logscan_line line;

    while (!files->full && now->in_pass) {
        enum logscan_item item = logscan_next(files->scan, &line);

        if (item == LOGSCAN_MORE)
            return true;
        if (item == LOGSCAN_END)
            return false;
        take_line(files, &pass, &line, item == LOGSCAN_LONG);
    }
    return now->in_pass; /* not in it any more: there is another one instead */
}

static void count_bytes(struct logfiles *files)
{
    struct current *now = &files->now;
    int64_t position = logreader_position(files->reader);
    uint64_t done = files->finished_bytes + (uint64_t)position;

    files->tally->bytes += (uint64_t)(position - now->position);
    now->position = position;
    files->job.done = done < files->job.total ? done : files->job.total; /* gzip files may have grown */
}

/* One piece of the current file, or the step to the next one. False: all is read, or no more fits. */
static bool read_some(struct logfiles *files)
{
    struct current *now = &files->now;

    if (files->full || files->at == logset_count(files->set))
        return false;
    if (now->file == NULL)
        begin_file(files);
    if (now->pass_at == now->pass_count) {
        end_file(files);
        return true;
    }
    if (!now->in_pass)
        begin_pass(files);
    if (!read_piece(files) && now->in_pass) {
        count_bytes(files);
        end_pass(files);
    } else if (now->in_pass) {
        count_bytes(files);
    }
    return true;
}

static void finish(struct logfiles *files)
{
    char begin[TIMESTAMP_SIZE];

    if (files->has_oldest)
        status_read_at(files->status, files->context->now);
    if (files->full) {
        status_note_open(files->status, STATUS_PARTIAL, "memory limit reached (OSCAR_METRICS_MEMORY)");
    } else if (files->has_oldest && instant_compare(files->context->start, files->oldest) < 0) {
        instant_format_seconds(files->oldest, begin);
        status_note_open(files->status, STATUS_PARTIAL, "logs begin at %s", begin);
    } else if (!files->has_oldest && logset_count(files->set) > 0) {
        status_note_open(files->status, STATUS_MISSING, "no line with a time in the log files");
    }
    if (files->context->remembered) /* a report on a terminal has no log */
        uncounted_log(files->status->name, files->tally->results);
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
    int64_t until = clock_ms() + LOGFILES_STEP_MS;
    uint64_t bytes = files->tally->bytes + STEP_PIECE;

    if (!files->complete) {
        if (!logset_step(files->set, files->reader, files->status))
            complete_set(files);
        return JOB_READY;
    }
    while (read_some(files))
        if (files->tally->bytes >= bytes || clock_ms() >= until)
            return JOB_READY;
    finish(files);
    return JOB_DONE;
}

static void note_deadline(struct logfiles *files)
{
    const struct job *job = &files->job;

    if (!files->complete) {
        status_note_open(files->status, STATUS_PARTIAL, "deadline passed while log files were opened");
        return;
    }
    status_note_open(files->status, STATUS_PARTIAL, "deadline passed after %zu of %zu files (%d %%)",
                     files->at, logset_count(files->set),
                     job->total > 0 ? (int)(job->done * 100 / job->total) : 0);
}

static void stop(struct job *job, enum job_stop why)
{
    struct logfiles *files = (struct logfiles *)job;

    /* What was read so far is remembered: the next report goes on from there. */
    finish_block(files, false);
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
    files->rules.times = &files->times;
    files->usage = usage;
    files->status = status;
    files->tally = tally;
    /* Exposed requests give no countries: rows by country would only be more of them. */
    files->countries = geoip_reader_new(rules->kind == LOGLINE_REQUESTS ? context->geoip : NULL);
    files->block_bytes = context->remembered ? cache_limit(context->remembered) / LOGFILES_BLOCK_SHARE : 0;
    files->whole = whole_hours(context->start, context->end);
    files->set = logset_new(context->arena, globs, context->now);
    files->reader = logreader_new();
    files->scan = logscan_new(files->reader);
    *tally = (struct logfiles_tally){0};
    return &files->job;
}
