/* Windows: each is one query_range that counts whole or not at all. What met the limit or failed goes back to
 * where windows are taken from, to be read again, smaller where that helps; what was refused teaches. */
#include <inttypes.h>
#include <stdio.h>

#include "caps.h"
#include "model/usage.h"
#include "net/form.h"
#include "sources/loki_answer.h"
#include "sources/loki_job.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/hash.h"

enum { ROWS_SIZE = 256 * 1024 * 1024 }; /* fits what the largest answer can hold */
/* How much shorter a window is than one whose answer was too large: of years it becomes a nanosecond before
 * LOKI_LARGE_MAX. */
enum { LARGE_CUT = 16 };

struct loki_window {
    struct loki *loki;
    struct loki_reading *reading;
    int64_t from, to, limit;
    struct ledger_moment asked;
    bool running;
};

void loki_windows_init(struct loki *loki, size_t parallel)
{
    loki->windows = ARENA_ARRAY(loki->context->arena, parallel, struct loki_window);
    loki->parallel = parallel;
    for (size_t i = 0; i < parallel; i++)
        loki->windows[i].loki = loki;
}

/* ---- stretches ---- */

static void push_stretch(struct loki *loki, const struct loki_stretch *stretch)
{
    struct loki_reading *reading = loki->spare;

    if (reading)
        loki->spare = reading->next;
    else
        reading = ARENA_NEW(loki->context->arena, struct loki_reading);
    *reading = (struct loki_reading){.stretch = *stretch, .next = loki->readings};
    loki->readings = reading;
}

/* One of which all windows have ended and nothing is left. */
static void drop_reading(struct loki *loki, struct loki_reading *gone)
{
    struct loki_reading **at = &loki->readings;

    while (*at != gone)
        at = &(*at)->next;
    *at = gone->next;
    gone->next = loki->spare;
    loki->spare = gone;
}

static struct loki_reading *find_unread(const struct loki *loki)
{
    struct loki_reading *reading = loki->readings;

    while (reading && reading->stretch.from == reading->stretch.to)
        reading = reading->next;
    return reading;
}

/* Claims pieces side by side that are worth a window for each place. */
static enum ledger_turn claim_stretch(struct loki *loki)
{
    struct loki_stretch stretch = {.longest = INT64_MAX};
    size_t piece;
    enum ledger_turn turn = ledger_next(loki->ledger, &piece);

    if (turn != LEDGER_OURS)
        return turn;
    stretch.from = ledger_start(loki->ledger, piece);
    stretch.to = ledger_end(loki->ledger, piece);
    while (loki_plan_has_room(&loki->plan, &stretch, (unsigned)loki->parallel) &&
           ledger_take(loki->ledger, ++piece))
        stretch.to = ledger_end(loki->ledger, piece);
    push_stretch(loki, &stretch);
    return LEDGER_OURS;
}

/* ---- counting ---- */

struct count {
    struct loki *loki;
    struct usage *rows;
    int64_t latest;
};

static struct instant instant_of(int64_t time)
{
    int64_t seconds = time / LOKI_SECOND - (time % LOKI_SECOND < 0);

    return (struct instant){seconds, (int32_t)(time - seconds * LOKI_SECOND)};
}

static struct text without_line_end(struct text line)
{
    if (line.length > 0 && line.data[line.length - 1] == '\n')
        line.length--;
    if (line.length > 0 && line.data[line.length - 1] == '\r')
        line.length--;
    return line;
}

static bool count_entry(void *context, const struct loki_entry *entry)
{
    struct count *count = context;
    struct loki *loki = count->loki;
    struct instant written = instant_of(entry->time);
    struct logline_event event;
    enum logline_result result = logline_parse(&loki->rules, without_line_end(entry->line), &written, &event);
    struct usage_event add;

    loki->results[result]++;
    ledger_see(loki->ledger, entry->time);
    if (result != LOGLINE_COUNTS)
        return true;
    add = (struct usage_event){.hour = instant_hour(written),
                               .type = event.type,
                               .namespace = event.namespace,
                               .service = event.service,
                               .user = event.user};
    /* Exposed requests give no countries: rows by country would only be more of them. */
    if (loki->rules.kind == LOGLINE_REQUESTS)
        add.country = entry->country;
    return usage_add(count->rows, &add, 1);
}

/* The window's entries become rows of its pieces. */
static void count_window(const struct loki_window *window, struct text body, bool spoiled)
{
    struct loki *loki = window->loki;
    struct count count = {.loki = loki, .rows = usage_new(ROWS_SIZE)};

    if (body.length > 0 && !loki_answer_each(body, count_entry, &count)) {
        status_note(loki->status, STATUS_PARTIAL, "an answer of Loki is too large to be counted");
        spoiled = true;
    }
    ledger_add(loki->ledger, window->from, window->to, count.rows, window->asked, spoiled);
    usage_free(count.rows);
}

static bool see_latest(void *context, const struct loki_entry *entry)
{
    int64_t *latest = context;

    if (entry->time > *latest)
        *latest = entry->time;
    return true;
}

/* ---- what did not count ---- */

static void ask_again(const struct loki_window *window)
{
    push_stretch(window->loki, &(struct loki_stretch){.from = window->from,
                                                      .to = window->to,
                                                      .longest = window->reading->stretch.longest});
}

/* Nobody asks anything before a pause is over, the longer the more there were in a row. Windows that fail
 * together are one trouble. True: it is a new one. */
static bool pause_all(struct loki *loki, unsigned before, int64_t asked_ms)
{
    int64_t now = clock_ms(), pause = LOKI_PAUSE_MS;
    bool is_new = now >= loki->pause_until;

    while (before-- > 0 && pause < LOKI_PAUSE_MAX_MS)
        pause *= 2;
    if (pause > LOKI_PAUSE_MAX_MS)
        pause = LOKI_PAUSE_MAX_MS;
    pause -= (int64_t)(hash_mix(hash_seed(), (uint64_t)now) % (uint64_t)pause) / 3;
    if (asked_ms > 0)
        pause = asked_ms;
    if (is_new || (asked_ms > 0 && now + pause > loki->pause_until))
        loki->pause_until = now + pause;
    return is_new;
}

/* The server is there, but cannot: with less, later, as long as there is time. */
static void take_trouble(struct loki_window *window, const char *why, int64_t retry_after_ms)
{
    struct loki *loki = window->loki;

    loki->trouble = why;
    if (pause_all(loki, loki->troubles, retry_after_ms)) {
        loki->troubles++;
        (void)loki_plan_spare(&loki->plan, window->from, window->to);
    }
    if (retry_after_ms > 0 && loki->pause_until >= loki->context->deadline)
        loki_give_up(loki, "Loki: %s, and wants to be left alone for %" PRId64 " s", why,
                     retry_after_ms / 1000);
    ask_again(window);
}

/* It is not there, or what came is no answer. */
static void take_failure(struct loki_window *window, const char *why)
{
    struct loki *loki = window->loki;

    loki->trouble = why;
    loki->failures += pause_all(loki, loki->failures, 0);
    if (loki->failures >= LOKI_FAILURES_MAX)
        loki_give_up(loki, "Loki: %s", why);
    ask_again(window);
}

/* Nothing can be made smaller: what came, if anything, is counted, and the status says so. */
static void take_what_came(struct loki_window *window, struct text body)
{
    struct loki *loki = window->loki;
    char when[TIMESTAMP_SIZE];

    instant_format_seconds(instant_of(window->from), when);
    if (body.length > 0)
        status_note(loki->status, STATUS_PARTIAL,
                    "more entries in one nanosecond, at %s, than Loki gives at once: counted %" PRId64, when,
                    window->limit);
    else
        status_note(loki->status, STATUS_PARTIAL,
                    "entries of one nanosecond, at %s, are too large together and not counted", when);
    count_window(window, body, true);
}

/* Or less than half, when its last entry, as far as it is known, is before that. */
static void halve(struct loki_window *window, int64_t latest)
{
    struct loki_stretch rest =
        loki_plan_overflow(&window->loki->plan, &window->reading->stretch, window->from, window->to, latest);

    push_stretch(window->loki, &rest);
}

static void take_overflow(struct loki_window *window, struct text body)
{
    struct loki *loki = window->loki;
    int64_t latest = window->from;

    if (window->to - window->from == 1) {
        /* What it taught may have changed. */
        if (!loki->unlearned && window->limit < LOKI_LIMIT) {
            loki->unlearned = true;
            loki->plan.limit = LOKI_LIMIT;
            loki_keep_lesson(loki, LOKI_FEWER);
        }
        if (window->limit < loki->plan.limit)
            ask_again(window);
        else
            take_what_came(window, body);
        return;
    }
    if (body.length == 0 || !loki_answer_each(body, see_latest, &latest))
        latest = window->to;
    halve(window, latest);
}

/* Where a second is too much, it is not for its length: that would only be asked for more and more often. */
static void take_what_is_too_much(struct loki_window *window, const char *why)
{
    struct loki *loki = window->loki;
    char when[TIMESTAMP_SIZE];

    if (window->to - window->from > LOKI_SECOND) {
        if (loki_plan_spare(&loki->plan, window->from, window->to))
            ask_again(window);
        else
            take_overflow(window, TEXT_LITERAL(""));
    } else if (++loki->refused < LOKI_REFUSED_MAX) {
        instant_format_seconds(instant_of(window->from), when);
        status_note(loki->status, STATUS_PARTIAL, "a second, at %s, is not counted: Loki: %s", when, why);
        count_window(window, TEXT_LITERAL(""), true);
    } else {
        loki_give_up(loki, "Loki: %s", why);
        ask_again(window);
    }
}

static void take_refusal(struct loki_window *window, const struct fetch_answer *answer)
{
    struct loki *loki = window->loki;
    struct loki_plan *plan = &loki->plan;
    struct loki_refusal refusal = loki_refusal_read(loki->context->arena, answer->status, answer->body);
    int64_t length = window->to - window->from, known;

    switch (refusal.lesson) {
    case LOKI_LATER:
        take_trouble(window, refusal.why, answer->retry_after_ms);
        return;
    case LOKI_FEWER: /* one of the windows that were asked together teaches all */
        if (plan->limit >= window->limit && refusal.number > 0 && refusal.number < window->limit)
            plan->limit = refusal.number;
        known = plan->limit < window->limit;
        break;
    case LOKI_SHORTER:
        if (refusal.number == 0) { /* so much of it that it would take too long: of that place alone */
            take_what_is_too_much(window, refusal.why);
            return;
        }
        if (plan->length >= length && refusal.number > 0 && refusal.number < length)
            plan->length = refusal.number;
        known = plan->length < length;
        break;
    default:
        known = false;
    }
    if (known)
        loki_keep_lesson(loki, refusal.lesson);
    else
        loki_give_up(loki, "Loki: %s", refusal.why);
    ask_again(window);
}

/* Too much for us, however many entries that are. Where nothing else comes, it is the server, and not the
 * time.
 */
static void take_what_is_too_large(struct loki_window *window, const char *why)
{
    struct loki *loki = window->loki;
    int64_t length = window->to - window->from;

    loki->trouble = arena_format(loki->context->arena, "%s", why);
    if (++loki->large >= LOKI_LARGE_MAX * loki->parallel) {
        loki_give_up(loki, "Loki: %s, for however short a time", why);
        ask_again(window);
    } else if (length > 1) {
        halve(window, window->from + length / LARGE_CUT);
    } else if (loki->heard) {
        take_what_came(window, TEXT_LITERAL(""));
    } else {
        ask_again(window);
    }
}

/* ---- an answer ---- */

static void take_entries(struct loki_window *window, struct text body)
{
    struct loki *loki = window->loki;
    struct loki_answer answer;
    const char *why;

    if (!loki_answer_check(loki->context->arena, body, window->from, window->to, &answer, &why)) {
        take_failure(window, why);
        return;
    }
    loki->troubles = loki->failures = 0;
    loki->large = 0;
    loki->heard = true;
    loki->trouble = NULL;
    if (answer.warning_count > 0)
        status_note(loki->status, STATUS_PARTIAL, "Loki warns: %s",
                    answer.warning ? answer.warning : "no words");
    if (answer.entries >= (uint64_t)window->limit) {
        take_overflow(window, body);
        return;
    }
    loki_plan_learn(&loki->plan, &window->reading->stretch, window->from, window->to, answer.entries);
    count_window(window, body, answer.warning_count > 0);
}

static void take_outcome(struct loki_window *window, const struct fetch_answer *answer)
{
    struct loki *loki = window->loki;

    switch (answer->outcome) {
    case FETCH_ANSWERED:
        if (answer->status == 200)
            take_entries(window, answer->body);
        else
            take_refusal(window, answer);
        return;
    case FETCH_TIMEOUT:
        take_trouble(window,
                     arena_format(loki->context->arena, "no answer within %" PRId64 " s",
                                  (loki->patience_ms + 500) / 1000),
                     0);
        return;
    case FETCH_REFUSED:
    case FETCH_BROKEN:
        take_failure(window, arena_format(loki->context->arena, "%s", answer->why));
        return;
    case FETCH_TOO_LARGE:
        take_what_is_too_large(window, answer->why);
        return;
    case FETCH_TLS:
    case FETCH_INVALID:
    case FETCH_ENOUGH: /* only of what is taken piece by piece */
    case FETCH_CANCELLED:
        loki_give_up(loki, "Loki: %s", answer->why);
        ask_again(window);
        return;
    }
}

static void take_answer(void *context, const struct fetch_answer *answer)
{
    struct loki_window *window = context;
    struct loki *loki = window->loki;
    struct loki_reading *reading = window->reading;

    window->running = false;
    loki->running--;
    if (loki->settled)
        return;
    take_outcome(window, answer);
    reading->windows--;
    if (reading->windows == 0 && reading->stretch.from == reading->stretch.to)
        drop_reading(loki, reading);
}

/* ---- asking ---- */

static void start_window(struct loki *loki, struct loki_window *window, struct loki_reading *reading)
{
    char limit[24];
    struct buf form;

    *window = (struct loki_window){.loki = loki,
                                   .reading = reading,
                                   .from = reading->stretch.from,
                                   .to = loki_plan_end(&loki->plan, &reading->stretch),
                                   .limit = loki->plan.limit,
                                   .asked = {clock_ms(), loki->context->now},
                                   .running = true};
    reading->stretch.from = window->to;
    reading->windows++;
    loki->running++;
    loki_form(&form, loki->query);
    snprintf(limit, sizeof(limit), "%" PRId64, window->limit);
    form_add(&form, "limit", text_of(limit));
    form_add(&form, "direction", TEXT_LITERAL("forward"));
    loki_ask(loki, loki->range_url, &form, window->from, window->to, loki->patience_ms, take_answer, window);
    buf_free(&form);
}

/* Others have read or given up something: looks, but not all the time. False: not now. */
static bool look_again(struct loki *loki)
{
    int64_t now = clock_ms();

    if (!atomic_load(&loki->woken))
        return false;
    if (now < loki->look_after) {
        loki->job.wake_at = loki->look_after;
        return false;
    }
    atomic_store(&loki->woken, false);
    loki->look_after = now + LOKI_LOOK_MS;
    ledger_again(loki->ledger);
    ledger_look(loki->ledger, INT64_MAX);
    return true;
}

static struct loki_reading *next_reading(struct loki *loki)
{
    struct loki_reading *reading = find_unread(loki);
    enum ledger_turn turn;

    if (reading)
        return reading;
    turn = claim_stretch(loki);
    if (turn == LEDGER_THEIRS && look_again(loki))
        turn = claim_stretch(loki);
    return turn == LEDGER_OURS ? find_unread(loki) : NULL;
}

void loki_windows_start(struct loki *loki)
{
    struct loki_reading *reading;

    for (size_t i = 0; i < loki->parallel; i++) {
        if (loki->windows[i].running)
            continue;
        if (clock_ms() < loki->pause_until) {
            loki->job.wake_at = loki->pause_until;
            return;
        }
        reading = next_reading(loki);
        if (reading == NULL)
            return;
        start_window(loki, &loki->windows[i], reading);
    }
}
