/* What the index tells of how many entries there are about, hour by hour. It knows labels and chunks only, so
 * that it never counts; where it does not answer, windows grow by themselves. */
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "net/form.h"
#include "sources/loki_answer.h"
#include "sources/loki_job.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/memory.h"

enum {
    FEW_HOURS = 4,         /* are read without hints */
    BYTES_PER_ENTRY = 150, /* where the index does not say */
};

/* ---- the selector ---- */

/* The end of a string that begins here, in Go's spelling. */
static size_t string_end(const char *query, size_t at)
{
    char quote = query[at++];

    while (query[at] && query[at] != quote)
        at += query[at] == '\\' && quote != '`' && query[at + 1] ? 2 : 1;
    return query[at] ? at + 1 : at;
}

const char *loki_selector(struct arena *arena, const char *query)
{
    size_t begin = 0;
    bool inside = false;

    for (size_t at = 0; query[at];) {
        if (strchr("\"'`", query[at])) {
            at = string_end(query, at);
        } else if (query[at] == '#') {
            at += strcspn(query + at, "\n");
        } else if (query[at] == '{' && !inside) {
            inside = true;
            begin = at++;
        } else if (query[at] == '}' && inside) {
            return arena_string(arena, (struct text){query + begin, at + 1 - begin});
        } else {
            at++;
        }
    }
    return NULL;
}

/* ---- hints ---- */

struct hints {
    struct cache_value value;
    int64_t born;
    size_t count; /* 0: the index does not answer */
    float entries[];
};

static void destroy(struct cache_value *value)
{
    free(value);
}

struct text loki_key(const struct loki *loki, const char *what, int64_t a, int64_t b)
{
    struct arena *arena = loki->context->arena;
    const int64_t numbers[] = {a, b};
    size_t length = strlen(what) + 1;
    char *key = ARENA_ARRAY(arena, loki->name.length + length + sizeof(numbers), char);

    memcpy(key, loki->name.data, loki->name.length);
    memcpy(key + loki->name.length, what, length);
    memcpy(key + loki->name.length + length, numbers, sizeof(numbers));
    return (struct text){key, loki->name.length + length + sizeof(numbers)};
}

static void use_hints(struct loki_segment *segment, const struct hints *hints)
{
    for (size_t i = 0; i < hints->count; i++)
        loki_plan_hint(&segment->loki->plan, segment->hour + (int64_t)i, hints->entries[i]);
    segment->settled = true;
}

static struct hints *make_hints(const struct loki_segment *segment)
{
    size_t count = segment->has_volume ? segment->count : 0;
    struct hints *hints = memory_new(1, sizeof(*hints) + count * sizeof(float));
    double bytes_per_entry = BYTES_PER_ENTRY;

    if (segment->has_stats && segment->stats_entries > 0 && segment->stats_bytes > 0)
        bytes_per_entry = (double)segment->stats_bytes / (double)segment->stats_entries;
    cache_value_init(&hints->value, sizeof(*hints) + count * sizeof(float), destroy);
    hints->born = clock_ms();
    hints->count = count;
    for (size_t i = 0; i < count; i++)
        hints->entries[i] = (float)((double)segment->bytes[i] / bytes_per_entry);
    return hints;
}

static struct text hints_key(const struct loki_segment *segment)
{
    return loki_key(segment->loki, "hints", segment->hour, (int64_t)segment->count);
}

static void settle_segment(struct loki_segment *segment)
{
    const struct source_context *context = segment->loki->context;
    struct hints *hints = make_hints(segment);

    segment->loki->segments_fetching--;
    use_hints(segment, hints);
    if (context->remembered)
        cache_put(context->remembered, hints_key(segment), &hints->value, hints->born);
    cache_value_release(&hints->value);
    if (segment->claim)
        claims_release(context->claims, segment->claim);
    segment->claim = NULL;
}

static void take_volume(void *data, const struct fetch_answer *answer)
{
    struct loki_segment *segment = data;

    segment->fetching--;
    if (segment->loki->settled)
        return;
    segment->has_volume =
        answer->outcome == FETCH_ANSWERED && answer->status == 200 &&
        loki_volume_read(answer->body, segment->hour * 3600, 3600, segment->bytes, segment->count);
    if (segment->fetching == 0)
        settle_segment(segment);
}

static void take_stats(void *data, const struct fetch_answer *answer)
{
    struct loki_segment *segment = data;
    struct loki_stats stats;

    segment->fetching--;
    if (segment->loki->settled)
        return;
    segment->has_stats =
        answer->outcome == FETCH_ANSWERED && answer->status == 200 && loki_stats_read(answer->body, &stats);
    if (segment->has_stats) {
        segment->stats_bytes = stats.bytes;
        segment->stats_entries = stats.entries;
    }
    if (segment->fetching == 0)
        settle_segment(segment);
}

/* An index that does not answer takes no more than half of the time that a window may. */
void loki_ask_index(struct loki *loki, const char *url, int64_t from, int64_t to, bool steps,
                    fetch_done *done, void *data)
{
    int64_t half = loki->patience_ms / 2;
    int64_t patience = half < LOKI_INDEX_PATIENCE_MS ? half : LOKI_INDEX_PATIENCE_MS;
    struct buf form;

    loki_form(&form, loki->selector);
    if (steps)
        form_add(&form, "step", TEXT_LITERAL("3600"));
    loki_ask(loki, url, &form, from, to, patience, done, data);
    buf_free(&form);
}

static void start_segment(struct loki_segment *segment)
{
    struct loki *loki = segment->loki;
    int64_t from = segment->hour * LOKI_HOUR, to = from + (int64_t)segment->count * LOKI_HOUR;

    segment->bytes = ARENA_ARRAY(loki->context->arena, segment->count, uint64_t);
    segment->fetching = 2;
    loki->segments_fetching++;
    loki_ask_index(loki, loki->volume_url, from, to, true, take_volume, segment);
    if (to - from > loki->plan.length)
        from = to - loki->plan.length;
    loki_ask_index(loki, loki->stats_url, from, to, false, take_stats, segment);
}

/* Remembered, or ours to ask. False: others are asking. */
static bool begin_segment(struct loki_segment *segment)
{
    const struct source_context *context = segment->loki->context;
    struct hints *hints;

    if (context->remembered == NULL) {
        start_segment(segment);
        return true;
    }
    segment->claim = claims_take(context->claims, hints_key(segment));
    if (segment->claim == NULL)
        return false;
    hints = (struct hints *)cache_get(context->remembered, hints_key(segment));
    if (hints && clock_ms() - hints->born <= LOKI_HINTS_MS) {
        use_hints(segment, hints);
        claims_release(context->claims, segment->claim);
        segment->claim = NULL;
    } else {
        start_segment(segment);
    }
    cache_value_release((struct cache_value *)hints);
    return true;
}

static void make_segments(struct loki *loki)
{
    int64_t first = loki->plan.first_hour, last = first + (int64_t)loki->plan.hours;

    loki->segment_count = loki->plan.hours / LOKI_HINTS_SEGMENT_MAX_HOURS + 1;
    loki->segments = ARENA_ARRAY(loki->context->arena, loki->segment_count, struct loki_segment);
    for (size_t i = 0; i < loki->segment_count; i++) {
        struct loki_segment *segment = &loki->segments[i];
        int64_t hour = first + (int64_t)(i * LOKI_HINTS_SEGMENT_MAX_HOURS),
                end = hour + LOKI_HINTS_SEGMENT_MAX_HOURS;

        end = end < last ? end : last;
        *segment = (struct loki_segment){.loki = loki, .hour = hour, .count = (size_t)(end - hour)};
        segment->settled = end == hour || loki->selector == NULL ||
                           ledger_wanted(loki->ledger, hour * LOKI_HOUR, end * LOKI_HOUR) <= FEW_HOURS;
    }
}

bool loki_hints(struct loki *loki)
{
    bool all_settled = true;

    if (loki->segments == NULL)
        make_segments(loki);
    for (size_t i = 0; i < loki->segment_count; i++) {
        struct loki_segment *segment = &loki->segments[i];

        if (!segment->settled && segment->fetching == 0 && loki->segments_fetching < loki->parallel)
            begin_segment(segment);
        all_settled = all_settled && segment->settled;
    }
    return all_settled;
}

void loki_hints_drop(struct loki *loki)
{
    for (size_t i = 0; i < loki->segment_count; i++) {
        if (loki->segments[i].claim)
            claims_release(loki->context->claims, loki->segments[i].claim);
        loki->segments[i].claim = NULL;
    }
}
