/* What is remembered of a log file: its rows by hour, and where in it each hour lies. Of an unchanged file
 * nothing but a cut hour is read again, of a grown one only what has come since.
 *
 * A block knows the file's content up to `end`: up to there every line is in its rows (whatever its time), in
 * one of its counts, or does not matter. It is built by one reader and then shared, immutable. */
#ifndef OM_SOURCES_LOGBLOCK_H
#define OM_SOURCES_LOGBLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/usage.h"
#include "sources/logline.h"
#include "util/cache.h"

struct logfile;

enum { LOGBLOCK_PRINT_SIZE = 256 };

/* A whole number of hours, both ends included; first > last: none. */
struct hour_range {
    int64_t first, last;
};

/* One hour of a file: its lines lie between two offsets of the (uncompressed) content, among others perhaps.
 */
struct logblock_hour {
    int64_t hour, from, to;
    uint64_t long_lines; /* that could have counted and were too long */
};

struct logblock {
    struct cache_value value;
    /* The file as it was when it was read. */
    int64_t size, modified_ns;
    bool gzip;
    uint64_t geoip; /* the generation of the countries */
    int64_t born;   /* clock_ms() */
    /* The content before `end`, told again by the bytes right before it. */
    int64_t end;
    size_t print_length;
    char print[LOGBLOCK_PRINT_SIZE];
    struct usage *usage;         /* sealed */
    struct logblock_hour *hours; /* sorted */
    size_t hour_count;
    uint64_t untimed_long_lines;
    bool has_oldest;
    struct instant oldest; /* of all lines, counted or not */
};

/* ---- finding ---- */

enum logblock_fit {
    LOGBLOCK_NONE,      /* nothing is remembered, or the file is another by now */
    LOGBLOCK_UNCHANGED, /* the file is as it was */
    LOGBLOCK_GROWN,     /* what is remembered stands, and more has come */
};

/* What is remembered of that file, held for the caller (cache_value_release()). A NULL cache remembers
 * nothing. `fresh_after`: only what was read after that (clock_ms()); 0: anything. */
enum logblock_fit logblock_find(struct cache *cache, const struct logfile *file, enum logline_kind kind,
                                uint64_t geoip, int64_t fresh_after, const struct logblock **out);

void logblock_keep(struct cache *cache, const struct logfile *file, enum logline_kind kind,
                   struct logblock *block);

const struct logblock_hour *logblock_hour(const struct logblock *block,
                                          int64_t hour); /* NULL: no such line */

/* Long lines that could have counted in these hours. */
uint64_t logblock_long_lines(const struct logblock *block, struct hour_range hours);

/* ---- building ---- */

struct logblock_builder;

/* From nothing, or from what is remembered of a file that has grown. NULL when `old` does not fit into
 * max_bytes. */
struct logblock_builder *logblock_begin(const struct logblock *old, size_t max_bytes);
void logblock_abandon(struct logblock_builder *builder); /* NULL is allowed */

/* A line between two offsets; `time` NULL: not known. `event` is what it adds, NULL when it does not count.
 * False when the block would get too large: abandon it. */
bool logblock_add(struct logblock_builder *builder, int64_t from, int64_t to, const struct instant *time,
                  const struct usage_event *event) __attribute__((warn_unused_result));

/* A line that was too long and could have counted; `time` NULL: not known. */
bool logblock_add_long(struct logblock_builder *builder, int64_t from, int64_t to, const struct instant *time)
    __attribute__((warn_unused_result));

/* The block of all that was added, which is everything before `end` (the builder is gone). `whole`: that is
 * all that the file had; else it is taken for a file that has grown since. The block has one holder: the
 * caller. */
struct logblock *logblock_finish(struct logblock_builder *builder, const struct logfile *file, uint64_t geoip,
                                 int64_t end, bool whole);

#endif
