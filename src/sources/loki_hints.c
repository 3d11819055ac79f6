/* What the index tells: how many entries there are about, hour by hour, and whether there is anything before
 * the first one that came. It knows labels and chunks only, so that it never counts; where it does not
 * answer, windows grow by themselves, and nothing is said of where the data begins. */
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

enum { FORM_SIZE = 4 * TEMPLATE_MAX_BYTES }; /* fits the longest selector, each byte escaped */

enum {
    FEW_HOURS = 4,         /* are read without hints */
    BYTES_PER_ENTRY = 150, /* where the index does not say */
};
#define FAR_BACK (24 * LOKI_HOUR) /* nothing for so long before the range: the data begin in it */

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

/* What is remembered of a place under a name of ours. */
static struct text key_of(const struct loki *loki, const char *what, int64_t a, int64_t b)
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
    return key_of(segment->loki, "hints", segment->hour, (int64_t)segment->count);
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
static void ask_index(struct loki *loki, const char *url, int64_t from, int64_t to, bool steps,
                      fetch_done *done, void *data)
{
    int64_t half = loki->patience_ms / 2;
    int64_t patience = half < LOKI_INDEX_PATIENCE_MS ? half : LOKI_INDEX_PATIENCE_MS;
    struct buf form;

    buf_init(&form, FORM_SIZE);
    form_add(&form, "query", text_of(loki->selector));
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
    ask_index(loki, loki->volume_url, from, to, true, take_volume, segment);
    if (to - from > loki->plan.length)
        from = to - loki->plan.length;
    ask_index(loki, loki->stats_url, from, to, false, take_stats, segment);
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

/* ---- where the data begins ---- */

/* What is known of the time before `date`. */
struct dated {
    struct cache_value value;
    int64_t born, date;
    bool begins; /* nothing is there */
};

static struct text dated_key(const struct loki *loki)
{
    return key_of(loki, "date", 0, 0);
}

static void settle_date(struct loki *loki, bool begins)
{
    struct dated *dated = memory_new(1, sizeof(*dated));

    cache_value_init(&dated->value, sizeof(*dated), destroy);
    dated->born = clock_ms();
    dated->date = loki->from;
    dated->begins = begins;
    if (loki->context->remembered)
        cache_put(loki->context->remembered, dated_key(loki), &dated->value, dated->born);
    cache_value_release(&dated->value);
    loki->dated = true;
    loki->begins = begins;
}

static void take_date(void *data, const struct fetch_answer *answer);

/* One question about the time before `to`, as far back as it may go. */
static void ask_date(struct loki *loki, int64_t to)
{
    int64_t length = loki->plan.length;

    loki->dates_asked++;
    loki->dated_to = to;
    loki->dated_from = to - LOKI_EARLIEST > length ? to - length : LOKI_EARLIEST;
    loki->dating = true;
    /* The index counts in milliseconds, both ends included. */
    ask_index(loki, loki->stats_url, loki->dated_from, to - 1, false, take_date, loki);
}

/* Nothing is there: is that far enough back to say so? */
static void take_nothing(struct loki *loki)
{
    if (loki->dated_from > LOKI_EARLIEST && loki->dates_asked < LOKI_DATES_MAX)
        ask_date(loki, loki->dated_from);
    else if (loki->dated_from <= LOKI_EARLIEST || loki->from - loki->dated_from >= FAR_BACK)
        settle_date(loki, true);
    else
        loki->dated = true;
}

/* A refusal may teach how long a question may be; else nobody knows. */
static void take_no_date(struct loki *loki, const struct fetch_answer *answer)
{
    int64_t length = loki->dated_to - loki->dated_from;
    struct loki_refusal refusal = {.lesson = LOKI_FATAL};

    if (answer->outcome == FETCH_ANSWERED && answer->status != 200)
        refusal = loki_refusal_read(loki->context->arena, answer->status, answer->body);
    if (refusal.lesson == LOKI_SHORTER && refusal.number == 0)
        refusal.number = length / 2;
    if (refusal.lesson != LOKI_SHORTER || refusal.number <= 0 || refusal.number >= length ||
        loki->dates_asked == LOKI_DATES_MAX) {
        loki->dated = true;
        return;
    }
    loki->plan.length = refusal.number;
    loki_keep_lesson(loki, LOKI_SHORTER);
    ask_date(loki, loki->dated_to);
}

static void take_date(void *data, const struct fetch_answer *answer)
{
    struct loki *loki = data;
    struct loki_stats stats;

    loki->dating = false;
    if (loki->settled)
        return;
    if (answer->outcome != FETCH_ANSWERED || answer->status != 200 || !loki_stats_read(answer->body, &stats))
        take_no_date(loki, answer);
    else if (stats.entries > 0 || stats.bytes > 0)
        settle_date(loki, false);
    else
        take_nothing(loki);
}

/* True: what is remembered answers the question. */
static bool recall_date(struct loki *loki)
{
    struct cache *cache = loki->context->remembered;
    struct dated *dated = cache ? (struct dated *)cache_get(cache, dated_key(loki)) : NULL;

    if (dated && clock_ms() - dated->born <= LOKI_DATED_MS && dated->born >= loki->context->fresh_after &&
        (dated->begins ? loki->from <= dated->date : loki->from >= dated->date)) {
        loki->dated = true;
        loki->begins = dated->begins;
    }
    cache_value_release((struct cache_value *)dated);
    return loki->dated;
}

bool loki_date(struct loki *loki)
{
    int64_t first;

    if (loki->dated || loki->dating)
        return loki->dated;
    if (loki->selector == NULL || loki->from - LOKI_EARLIEST < LOKI_SECOND ||
        (ledger_first_entry(loki->ledger, &first) && first < ledger_end(loki->ledger, 0)))
        loki->dated = true;
    else if (!recall_date(loki))
        ask_date(loki, loki->from);
    return loki->dated;
}

bool loki_first(const struct loki *loki, int64_t *out)
{
    bool found = ledger_first_entry(loki->ledger, out);

    for (size_t i = 0; i < loki->plan.hours; i++) {
        int64_t hour = (loki->plan.first_hour + (int64_t)i) * LOKI_HOUR;

        if (found && hour >= *out)
            break;
        if (loki->plan.hints[i] > 0) {
            *out = hour > loki->from ? hour : loki->from;
            return true;
        }
    }
    return found;
}
