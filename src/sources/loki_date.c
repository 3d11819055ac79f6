/* Where the data begins. The index tells whether anything is before the range, and in which part of it there
 * is something. It knows chunks, and rounds down what it says of a part of one: the first entry itself is
 * then asked for, with the selector alone, as what the query leaves out is data, too. Where the index does
 * not answer, nothing is said. */
#include <stdlib.h>

#include "caps.h"
#include "net/form.h"
#include "sources/loki_answer.h"
#include "sources/loki_job.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/memory.h"

/* With nothing for so long before the range, the data begin in it. No chunk is longer either: two hours,
 * where max_chunk_age is not set. */
#define FAR_BACK (24 * LOKI_HOUR)

/* ---- what is remembered ---- */

struct dated {
    struct cache_value value;
    int64_t born;
    int64_t empty_to; /* nothing is before that; INT64_MIN: not known */
    int64_t data_at;  /* something is there; INT64_MAX: not known */
};

static struct text key_of(const struct loki *loki)
{
    return loki_key(loki, "date", 0, 0);
}

static void destroy(struct cache_value *value)
{
    free(value);
}

static void remember(const struct loki *loki, int64_t empty_to, int64_t data_at)
{
    struct dated *dated;

    if (loki->context->remembered == NULL)
        return;
    dated = memory_new(1, sizeof(*dated));
    cache_value_init(&dated->value, sizeof(*dated), destroy);
    dated->born = clock_ms();
    dated->empty_to = empty_to;
    dated->data_at = data_at;
    cache_put(loki->context->remembered, key_of(loki), &dated->value, dated->born);
    cache_value_release(&dated->value);
}

/* What is in the future is not there yet. */
static int64_t known_end(const struct loki *loki)
{
    int64_t end = (loki->plan.first_hour + (int64_t)loki->plan.hours) * LOKI_HOUR;

    return end < loki->to ? end : loki->to;
}

static void use(struct loki *loki, const struct dated *dated)
{
    if (dated->data_at < loki->from) {
        loki->dated = true;
    } else if (dated->empty_to >= loki->from) {
        loki->begins = true;
        loki->empty_to = dated->empty_to;
        loki->first_known = dated->empty_to == dated->data_at || dated->empty_to >= known_end(loki);
        loki->dated = loki->first_known;
        if (loki->first_known && dated->data_at == INT64_MAX)
            loki->empty_to = loki->to;
    }
}

static void recall(struct loki *loki)
{
    struct cache *cache = loki->context->remembered;
    struct dated *dated = cache ? (struct dated *)cache_get(cache, key_of(loki)) : NULL;

    if (dated && clock_ms() - dated->born <= LOKI_DATED_MS && dated->born >= loki->context->fresh_after)
        use(loki, dated);
    cache_value_release((struct cache_value *)dated);
}

/* ---- the first entry ---- */

/* How much the questions have in common, so that each chunk lies whole in one of them. */
static int64_t overlap(const struct loki *loki)
{
    return loki->plan.length / 2 < FAR_BACK ? loki->plan.length / 2 : FAR_BACK;
}

/* Beyond the first entry that the query found, or the range, no matter what is there. */
static int64_t search_end(const struct loki *loki)
{
    int64_t end = known_end(loki), found;

    if (ledger_first_entry(loki->ledger, &found) && found < end)
        end = found;
    return end + overlap(loki);
}

static void take_part(void *data, const struct fetch_answer *answer);

static void ask_part(struct loki *loki, int64_t from)
{
    int64_t end = search_end(loki);

    loki->dates_asked++;
    loki->dated_from = from > LOKI_EARLIEST ? from : LOKI_EARLIEST;
    loki->dated_to = end - loki->dated_from > loki->plan.length ? loki->dated_from + loki->plan.length : end;
    loki->dating = true;
    loki_ask_index(loki, loki->stats_url, loki->dated_from, loki->dated_to - 1, false, take_part, loki);
}

/* The first entry of all is there. */
static void settle_first(struct loki *loki, int64_t first)
{
    remember(loki, first, first);
    loki->dated = loki->first_known = true;
    loki->begins = first >= loki->from;
    loki->empty_to = first;
}

/* It will not be known: what is empty is true all the same. */
static void settle_unknown(struct loki *loki)
{
    remember(loki, loki->empty_to, INT64_MAX);
    loki->dated = true;
}

/* Nothing in that part. */
static void search_on(struct loki *loki)
{
    int64_t empty_to = loki->dated_to - overlap(loki), found;

    if (empty_to > loki->empty_to)
        loki->empty_to = empty_to;
    if (loki->dated_to < search_end(loki)) {
        if (loki->dates_asked < LOKI_DATES_MAX)
            ask_part(loki, empty_to);
        else
            settle_unknown(loki);
    } else if (ledger_first_entry(loki->ledger, &found)) {
        settle_first(loki, found);
    } else {
        remember(loki, known_end(loki), INT64_MAX);
        loki->dated = loki->first_known = true;
        loki->empty_to = loki->to;
    }
}

static bool see_first(void *context, const struct loki_entry *entry)
{
    int64_t *first = context;

    if (entry->time < *first)
        *first = entry->time;
    return true;
}

static void take_first(void *data, const struct fetch_answer *answer)
{
    struct loki *loki = data;
    struct loki_answer all;
    int64_t first = INT64_MAX;
    const char *why;

    loki->dating = false;
    if (loki->settled)
        return;
    if (answer->outcome != FETCH_ANSWERED || answer->status != 200 ||
        !loki_answer_check(loki->context->arena, answer->body, loki->dated_from, loki->dated_to, &all,
                           &why) ||
        all.warning_count > 0 || !loki_answer_each(answer->body, see_first, &first))
        settle_unknown(loki);
    else if (first < INT64_MAX)
        settle_first(loki, first);
    else
        search_on(loki);
}

static void ask_first(struct loki *loki)
{
    struct buf form;

    loki->dating = true;
    loki_form(&form, loki->selector);
    form_add(&form, "limit", TEXT_LITERAL("1"));
    form_add(&form, "direction", TEXT_LITERAL("forward"));
    loki_ask(loki, loki->range_url, &form, loki->dated_from, loki->dated_to, loki->patience_ms, take_first,
             loki);
    buf_free(&form);
}

static bool read_stats(const struct fetch_answer *answer, struct loki_stats *stats)
{
    return answer->outcome == FETCH_ANSWERED && answer->status == 200 && loki_stats_read(answer->body, stats);
}

static void take_part(void *data, const struct fetch_answer *answer)
{
    struct loki *loki = data;
    struct loki_stats stats;

    loki->dating = false;
    if (loki->settled)
        return;
    if (!read_stats(answer, &stats))
        settle_unknown(loki);
    else if (stats.entries > 0 || stats.bytes > 0)
        ask_first(loki);
    else
        search_on(loki);
}

/* Nothing is before loki->empty_to. */
static void search(struct loki *loki)
{
    loki->dates_asked = 0;
    ask_part(loki, loki->empty_to - overlap(loki));
}

/* ---- before the range ---- */

static void take_before(void *data, const struct fetch_answer *answer);

/* One question about the time before `to`, as far back as it may go. */
static void ask_before(struct loki *loki, int64_t to)
{
    int64_t length = loki->plan.length;

    loki->dates_asked++;
    loki->dated_to = to;
    loki->dated_from = to - LOKI_EARLIEST > length ? to - length : LOKI_EARLIEST;
    loki->dating = true;
    /* The index counts in milliseconds, both ends included. */
    loki_ask_index(loki, loki->stats_url, loki->dated_from, to - 1, false, take_before, loki);
}

/* Nothing is there: is that far enough back to say so? */
static void take_nothing(struct loki *loki)
{
    if (loki->dated_from > LOKI_EARLIEST && loki->dates_asked < LOKI_DATES_MAX) {
        ask_before(loki, loki->dated_from);
    } else if (loki->dated_from <= LOKI_EARLIEST || loki->from - loki->dated_from >= FAR_BACK) {
        loki->begins = true;
        loki->empty_to = loki->from;
        search(loki);
    } else {
        loki->dated = true;
    }
}

/* A refusal may teach how long a question may be; else nobody knows. */
static void take_refusal(struct loki *loki, const struct fetch_answer *answer)
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
    ask_before(loki, loki->dated_to);
}

static void take_before(void *data, const struct fetch_answer *answer)
{
    struct loki *loki = data;
    struct loki_stats stats;

    loki->dating = false;
    if (loki->settled)
        return;
    if (!read_stats(answer, &stats)) {
        take_refusal(loki, answer);
    } else if (stats.entries > 0 || stats.bytes > 0) {
        remember(loki, INT64_MIN, loki->from - 1);
        loki->dated = true;
    } else {
        take_nothing(loki);
    }
}

/* ---- both ---- */

bool loki_date(struct loki *loki)
{
    int64_t first;

    if (loki->dated || loki->dating)
        return loki->dated;
    if (loki->selector == NULL || loki->from - LOKI_EARLIEST < LOKI_SECOND ||
        (ledger_first_entry(loki->ledger, &first) && first < ledger_end(loki->ledger, 0))) {
        loki->dated = true;
        return true;
    }
    recall(loki);
    if (!loki->dated && loki->begins)
        search(loki);
    else if (!loki->dated)
        ask_before(loki, loki->from);
    return loki->dated;
}

void loki_date_note(struct loki *loki)
{
    int64_t first = loki->empty_to, found;
    bool known = loki->first_known;

    if (!loki->begins)
        return;
    /* It may have come since. */
    if (ledger_first_entry(loki->ledger, &found) && found < first) {
        first = found;
        known = true;
    }
    if (!known)
        status_note(loki->status, STATUS_PARTIAL,
                    "Loki has no data before %s, and where its data begin is not known",
                    loki_time_text(loki, first));
    else if (first < loki->to)
        status_note(loki->status, STATUS_PARTIAL, "Loki has no data before %s", loki_time_text(loki, first));
    else
        status_note(loki->status, STATUS_PARTIAL, "Loki has no data of %s up to %s", loki->selector,
                    loki_time_text(loki, loki->to));
}
