/* Blocks and their builder. */
#include "sources/logblock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "sources/logset.h"
#include "util/memory.h"

struct logblock_builder {
    struct logblock *block;
    size_t hour_capacity, last; /* the hour that the last line had */
};

/* ---- finding ---- */

/* What a file is, its device and inode say, never its name. */
struct key {
    uint64_t device, inode, kind;
};

static struct key key_of(const struct logfile *file, enum logline_kind kind)
{
    return (struct key){file->device, file->inode, kind};
}

static struct text key_text(const struct key *key)
{
    return (struct text){(const char *)key, sizeof(*key)};
}

/* Is what stands before `end` still there? A log that was cut and grew again has other times in that place.
 */
static bool has_print(const struct logblock *block, const struct logfile *file)
{
    char now[LOGBLOCK_PRINT_SIZE];
    off_t at = (off_t)(block->end - (int64_t)block->print_length);

    return (block->print_length > 0 || block->end == 0) &&
           pread(file->fd, now, block->print_length, at) == (ssize_t)block->print_length &&
           memcmp(now, block->print, block->print_length) == 0;
}

static enum logblock_fit fit_of(const struct logblock *block, const struct logfile *file, uint64_t geoip)
{
    if (block->geoip != geoip || block->gzip != file->gzip)
        return LOGBLOCK_NONE;
    if (block->size == file->size && block->modified_ns == file->modified_ns)
        return LOGBLOCK_UNCHANGED;
    return !file->gzip && file->size > block->size && has_print(block, file) ? LOGBLOCK_GROWN : LOGBLOCK_NONE;
}

enum logblock_fit logblock_find(struct cache *cache, const struct logfile *file, enum logline_kind kind,
                                uint64_t geoip, int64_t fresh_after, const struct logblock **out)
{
    const struct key key = key_of(file, kind);
    struct cache_value *value = cache ? cache_get(cache, key_text(&key)) : NULL;
    enum logblock_fit fit;

    *out = (struct logblock *)value;
    if (value == NULL)
        return LOGBLOCK_NONE;
    /* In the same millisecond it may have been before. */
    fit = fresh_after > 0 && (*out)->born <= fresh_after ? LOGBLOCK_NONE : fit_of(*out, file, geoip);
    if (fit == LOGBLOCK_NONE) {
        cache_value_release(value);
        *out = NULL;
    }
    return fit;
}

void logblock_keep(struct cache *cache, const struct logfile *file, enum logline_kind kind,
                   struct logblock *block)
{
    const struct key key = key_of(file, kind);

    block->value.hours = block->hour_count;
    if (cache)
        cache_put(cache, key_text(&key), &block->value, block->born);
}

/* The place of the first hour that is not before `hour`. */
static size_t place_of(const struct logblock *block, int64_t hour)
{
    size_t low = 0, high = block->hour_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (block->hours[middle].hour < hour)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct logblock_hour *logblock_hour(const struct logblock *block, int64_t hour)
{
    size_t at = place_of(block, hour);

    return at < block->hour_count && block->hours[at].hour == hour ? &block->hours[at] : NULL;
}

uint64_t logblock_long_lines(const struct logblock *block, struct hour_range hours)
{
    uint64_t count = 0;

    for (size_t i = place_of(block, hours.first); i < block->hour_count && block->hours[i].hour <= hours.last;
         i++)
        count += block->hours[i].long_lines;
    return count;
}

/* ---- building ---- */

static void destroy(struct cache_value *value)
{
    struct logblock *block = (struct logblock *)value;

    usage_free(block->usage);
    free(block->hours);
    free(block);
}

/* What a block knows, but for the rows. Field by field: others take hold of the old one meanwhile. */
static void copy_knowledge(struct logblock *block, const struct logblock *old)
{
    block->born = old->born;
    block->untimed_long_lines = old->untimed_long_lines;
    block->has_oldest = old->has_oldest;
    block->oldest = old->oldest;
    block->hour_count = old->hour_count;
    memcpy(block->hours, old->hours, old->hour_count * sizeof(*block->hours));
}

struct logblock_builder *logblock_begin(const struct logblock *old, size_t max_bytes)
{
    struct logblock_builder *builder = memory_new(1, sizeof(*builder));
    struct logblock *block = memory_new(1, sizeof(*block));

    *builder = (struct logblock_builder){.block = block, .hour_capacity = old ? old->hour_count + 1 : 1};
    cache_value_init(&block->value, 0, destroy);
    block->usage = usage_new(max_bytes);
    block->hours = memory_new(builder->hour_capacity, sizeof(*block->hours));
    block->born = clock_ms();
    if (old == NULL)
        return builder;
    copy_knowledge(block, old);
    if (usage_merge(block->usage, old->usage, INT32_MIN, INT32_MAX, USAGE_WITH_HOURS))
        return builder;
    logblock_abandon(builder);
    return NULL;
}

void logblock_abandon(struct logblock_builder *builder)
{
    if (builder == NULL)
        return;
    cache_value_release(&builder->block->value);
    free(builder);
}

/* Lines come nearly in the order of time: mostly it is the hour of the line before. NULL: there are too many.
 */
static struct logblock_hour *hour_at(struct logblock_builder *builder, int64_t hour)
{
    struct logblock *block = builder->block;
    size_t at = builder->last;

    if (at < block->hour_count && block->hours[at].hour == hour)
        return &block->hours[at];
    builder->last = at = place_of(block, hour);
    if (at < block->hour_count && block->hours[at].hour == hour)
        return &block->hours[at];
    if (block->hour_count == LOGBLOCK_HOURS_MAX)
        return NULL;
    if (block->hour_count == builder->hour_capacity) {
        builder->hour_capacity *= 2;
        block->hours = memory_grow(block->hours, builder->hour_capacity, sizeof(*block->hours));
    }
    memmove(&block->hours[at + 1], &block->hours[at], (block->hour_count - at) * sizeof(*block->hours));
    block->hour_count++;
    block->hours[at] = (struct logblock_hour){.hour = hour, .from = INT64_MAX};
    return &block->hours[at];
}

static bool add_place(struct logblock_builder *builder, int64_t from, int64_t to, const struct instant *time,
                      uint64_t long_lines)
{
    struct logblock_hour *hour = hour_at(builder, instant_hour(*time));

    if (hour == NULL)
        return false;
    if (from < hour->from)
        hour->from = from;
    if (to > hour->to)
        hour->to = to;
    hour->long_lines += long_lines;
    return true;
}

static void see_time(struct logblock *block, const struct instant *time)
{
    if (block->has_oldest && instant_compare(*time, block->oldest) >= 0)
        return;
    block->has_oldest = true;
    block->oldest = *time;
}

bool logblock_add(struct logblock_builder *builder, int64_t from, int64_t to, const struct instant *time,
                  const struct usage_event *event)
{
    if (time)
        see_time(builder->block, time);
    if (event == NULL || time == NULL) /* what counts has a time */
        return event == NULL;
    return add_place(builder, from, to, time, 0) && usage_add(builder->block->usage, event, 1);
}

bool logblock_add_long(struct logblock_builder *builder, int64_t from, int64_t to, const struct instant *time)
{
    if (time)
        return add_place(builder, from, to, time, 1);
    builder->block->untimed_long_lines++;
    return true;
}

/* Without a print a file that has grown cannot be told from another one. */
static void take_print(struct logblock *block, const struct logfile *file)
{
    size_t length = block->end < LOGBLOCK_PRINT_SIZE ? (size_t)block->end : LOGBLOCK_PRINT_SIZE;
    off_t at = (off_t)(block->end - (int64_t)length);

    block->print_length = 0;
    if (!block->gzip && pread(file->fd, block->print, length, at) == (ssize_t)length)
        block->print_length = length;
}

struct logblock *logblock_finish(struct logblock_builder *builder, const struct logfile *file, uint64_t geoip,
                                 int64_t end, bool whole)
{
    struct logblock *block = builder->block;

    block->end = end;
    block->size = whole ? file->size : end;
    block->modified_ns = whole ? file->modified_ns : -1;
    block->gzip = file->gzip;
    block->geoip = geoip;
    take_print(block, file);
    usage_seal(block->usage);
    block->value.bytes =
        sizeof(*block) + usage_bytes(block->usage) + builder->hour_capacity * sizeof(*block->hours);
    free(builder);
    return block;
}
