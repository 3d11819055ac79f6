/* Blocks are what the cache holds; pieces are what one report knows of them. A claim is held only for what
 * this report reads itself, and is let go as soon as that is in the cache or given up. */
#include "sources/ledger.h"

#include <stdlib.h>
#include <sys/random.h>

#include "caps.h"
#include "model/usage.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/claims.h"
#include "util/memory.h"

enum { NAME_SIZE = 2 * 1024 * 1024 }; /* fits the longest name that a source gives */

enum {
    LOOK_PIECE = 16,      /* pieces, before the clock is looked at */
    SUM_ROWS = 16 * 1024, /* fewer are added up each time */
};

struct block {
    struct cache_value value;
    uint64_t id;         /* by chance: no two are the same; 0: none */
    struct usage *usage; /* sealed; NULL: no rows */
    struct ledger_moment asked;
    bool settled;
    bool has_first;
    int64_t first; /* of all entries */
};

/* What many blocks come to: a report over a month need not add them up again. Good as long as it is the same
 * blocks that are remembered. */
struct sum {
    struct cache_value value;
    struct usage *usage; /* sealed, under hour 0 */
    size_t count;
    uint64_t ids[];
};

enum piece_state { PIECE_WANTED, PIECE_OURS, PIECE_COMPLETE };

struct piece {
    int64_t from, to;
    enum piece_state state;
    bool spoiled, has_first;
    int64_t first;
    struct block *found; /* held: remembered, and not added yet */
    /* While it is ours: */
    struct claim *claim;
    struct usage *rows; /* what was read so far; NULL: nothing */
    int64_t left;       /* nanoseconds that were not read yet */
    struct ledger_moment asked;
};

struct ledger {
    struct ledger_memory memory;
    struct usage *usage;
    int64_t began;  /* clock_ms() */
    struct buf key; /* the name, then the ends of a piece */
    struct piece *pieces;
    size_t count, complete;
    size_t looked, cursor;
    /* Of what was found: */
    size_t found, found_rows, added;
    bool adding;
    struct usage *sum; /* where the settled ones are added up; NULL: in the report's usage at once */
    bool full, has_first, was_read;
    int64_t first;
    struct instant read_at;
};

/* ---- pieces ---- */

static int64_t hour_of(int64_t time)
{
    return time / LEDGER_HOUR - (time % LEDGER_HOUR < 0);
}

/* What lies behind the present hour is one piece: there is little to remember in it. */
static int64_t piece_end(int64_t from, int64_t to, int64_t last_hour)
{
    int64_t end = hour_of(from) > last_hour ? to : (hour_of(from) + 1) * LEDGER_HOUR;

    return end < to ? end : to;
}

struct ledger *ledger_open(struct arena *arena, const struct ledger_memory *memory, int64_t from, int64_t to,
                           struct usage *usage)
{
    struct ledger *ledger = ARENA_NEW(arena, struct ledger);
    int64_t last_hour = instant_hour(memory->now);
    size_t count = 0;

    *ledger = (struct ledger){.memory = *memory, .usage = usage, .began = clock_ms()};
    buf_init(&ledger->key, NAME_SIZE);
    for (int64_t at = from; at < to; at = piece_end(at, to, last_hour))
        count++;
    ledger->pieces = ARENA_ARRAY(arena, count, struct piece);
    for (int64_t at = from; at < to; at = piece_end(at, to, last_hour)) {
        int64_t end = piece_end(at, to, last_hour);

        ledger->pieces[ledger->count++] = (struct piece){.from = at, .to = end, .left = end - at};
    }
    return ledger;
}

static void let_go(struct ledger *ledger, struct piece *piece)
{
    if (piece->claim)
        claims_release(ledger->memory.claims, piece->claim);
    piece->claim = NULL;
    usage_free(piece->rows);
    piece->rows = NULL;
}

static void add_rows(struct ledger *ledger, const struct usage *rows)
{
    if (rows && !usage_merge(ledger->usage, rows, INT32_MIN, INT32_MAX, USAGE_WITHOUT_HOURS))
        ledger->full = true;
}

static void note_read(struct ledger *ledger, struct instant when)
{
    if (!ledger->was_read || instant_compare(when, ledger->read_at) < 0)
        ledger->read_at = when;
    ledger->was_read = true;
}

void ledger_close(struct ledger *ledger, bool add_rest)
{
    for (size_t i = 0; i < ledger->count; i++) {
        struct piece *piece = &ledger->pieces[i];

        cache_value_release((struct cache_value *)piece->found);
        piece->found = NULL;
        if (piece->state != PIECE_OURS)
            continue;
        if (add_rest && piece->left < piece->to - piece->from) {
            add_rows(ledger, piece->rows);
            note_read(ledger, piece->asked.time);
        }
        piece->state = PIECE_WANTED;
        let_go(ledger, piece);
    }
    usage_free(ledger->sum);
    ledger->sum = NULL;
    buf_free(&ledger->key);
}

size_t ledger_count(const struct ledger *ledger)
{
    return ledger->count;
}

size_t ledger_complete(const struct ledger *ledger)
{
    return ledger->complete;
}

bool ledger_is_full(const struct ledger *ledger)
{
    return ledger->full;
}

int64_t ledger_start(const struct ledger *ledger, size_t piece)
{
    return ledger->pieces[piece].from;
}

int64_t ledger_end(const struct ledger *ledger, size_t piece)
{
    return ledger->pieces[piece].to;
}

/* The piece that a time of the range lies in. */
static size_t piece_at(const struct ledger *ledger, int64_t time)
{
    int64_t place = hour_of(time) - hour_of(ledger->pieces[0].from);

    return (uint64_t)place < ledger->count ? (size_t)place : ledger->count - 1;
}

size_t ledger_wanted(const struct ledger *ledger, int64_t from, int64_t to)
{
    size_t wanted = 0;

    for (size_t i = piece_at(ledger, from); i < ledger->count && ledger->pieces[i].from < to; i++)
        wanted += ledger->pieces[i].state != PIECE_COMPLETE;
    return wanted;
}

bool ledger_first_entry(const struct ledger *ledger, int64_t *out)
{
    *out = ledger->first;
    return ledger->has_first;
}

bool ledger_read_at(const struct ledger *ledger, struct instant *out)
{
    *out = ledger->read_at;
    return ledger->was_read;
}

int64_t ledger_reach(const struct ledger *ledger)
{
    size_t i = 0;

    while (i < ledger->count && ledger->pieces[i].state == PIECE_COMPLETE)
        i++;
    return i < ledger->count ? ledger->pieces[i].from : ledger->pieces[ledger->count - 1].to;
}

/* ---- what is remembered ---- */

static void destroy(struct cache_value *value)
{
    struct block *block = (struct block *)value;

    usage_free(block->usage);
    free(block);
}

static struct text key_of(struct ledger *ledger, const struct piece *piece)
{
    const int64_t ends[] = {piece->from, piece->to};

    buf_clear(&ledger->key);
    buf_add(&ledger->key, ledger->memory.name);
    buf_add(&ledger->key, (struct text){(const char *)ends, sizeof(ends)});
    return buf_text(&ledger->key);
}

/* Is the hour whole, and were no more lines to come when it was read? */
static bool is_settled(const struct ledger *ledger, const struct piece *piece)
{
    int64_t age = piece->asked.time.seconds - piece->to / (1000 * 1000 * 1000);

    return piece->from % LEDGER_HOUR == 0 && piece->to - piece->from == LEDGER_HOUR &&
           age >= (ledger->memory.settle_ms + 999) / 1000;
}

static bool is_usable(const struct ledger *ledger, const struct block *block)
{
    return block->asked.clock >= ledger->memory.fresh_after &&
           (block->settled || block->asked.clock >= ledger->began - LEDGER_TOGETHER_MS);
}

/* All rows of the piece are in the report. */
static void complete(struct ledger *ledger, struct piece *piece, const struct block *block)
{
    note_read(ledger, block->asked.time);
    if (block->has_first && (!ledger->has_first || block->first < ledger->first)) {
        ledger->has_first = true;
        ledger->first = block->first;
    }
    piece->state = PIECE_COMPLETE;
    ledger->complete++;
}

/* Held for the caller; NULL: there is none that may be used. */
static struct block *find(struct ledger *ledger, const struct piece *piece)
{
    struct cache *cache = ledger->memory.cache;
    struct block *block = cache ? (struct block *)cache_get(cache, key_of(ledger, piece)) : NULL;

    if (block == NULL || is_usable(ledger, block))
        return block;
    cache_value_release(&block->value);
    return NULL;
}

/* True: it was remembered, and is complete now. */
static bool recall(struct ledger *ledger, struct piece *piece)
{
    struct block *block = find(ledger, piece);

    if (block == NULL)
        return false;
    add_rows(ledger, block->usage);
    complete(ledger, piece, block);
    cache_hit(ledger->memory.cache);
    cache_value_release(&block->value);
    return true;
}

/* ---- adding up what is remembered ---- */

static bool is_in_sum(const struct piece *piece)
{
    return piece->found && piece->found->settled && piece->found->usage && piece->found->id;
}

/* From the first hour that is in it to the last one. */
static struct text sum_key(struct ledger *ledger)
{
    int64_t ends[2] = {INT64_MAX, 0};

    for (size_t i = 0; i < ledger->count; i++)
        if (is_in_sum(&ledger->pieces[i])) {
            if (ends[0] == INT64_MAX)
                ends[0] = ledger->pieces[i].from;
            ends[1] = ledger->pieces[i].to;
        }
    buf_clear(&ledger->key);
    buf_add(&ledger->key, ledger->memory.name);
    buf_add(&ledger->key, TEXT_LITERAL("sum"));
    buf_add(&ledger->key, (struct text){(const char *)ends, sizeof(ends)});
    return buf_text(&ledger->key);
}

/* Of these very blocks? */
static bool is_sum_of(const struct sum *sum, const struct ledger *ledger)
{
    size_t at = 0;

    for (size_t i = 0; i < ledger->count; i++)
        if (is_in_sum(&ledger->pieces[i]) &&
            (at == sum->count || sum->ids[at++] != ledger->pieces[i].found->id))
            return false;
    return at == sum->count;
}

static void add_sum(struct ledger *ledger, const struct usage *usage)
{
    if (!usage_copy(ledger->usage, usage))
        add_rows(ledger, usage);
}

static bool use_sum(struct ledger *ledger)
{
    struct sum *sum = (struct sum *)cache_get(ledger->memory.cache, sum_key(ledger));
    bool fits = sum && is_sum_of(sum, ledger);

    if (fits)
        add_sum(ledger, sum->usage);
    cache_value_release((struct cache_value *)sum);
    return fits;
}

static void destroy_sum(struct cache_value *value)
{
    struct sum *sum = (struct sum *)value;

    usage_free(sum->usage);
    free(sum);
}

static void keep_sum(struct ledger *ledger)
{
    struct sum *sum = memory_new(1, sizeof(*sum) + ledger->found * sizeof(sum->ids[0]));
    int64_t born = clock_ms();
    struct text key = sum_key(ledger);

    for (size_t i = 0; i < ledger->count; i++)
        if (is_in_sum(&ledger->pieces[i])) {
            sum->ids[sum->count++] = ledger->pieces[i].found->id;
            if (ledger->pieces[i].found->asked.clock < born)
                born = ledger->pieces[i].found->asked.clock;
        }
    sum->usage = ledger->sum;
    ledger->sum = NULL;
    usage_seal(sum->usage);
    add_sum(ledger, sum->usage);
    cache_value_init(&sum->value,
                     sizeof(*sum) + ledger->found * sizeof(sum->ids[0]) + usage_bytes(sum->usage) +
                         key.length,
                     destroy_sum);
    if (!ledger->full)
        cache_put(ledger->memory.cache, key, &sum->value, born);
    cache_value_release(&sum->value);
}

/* What is settled, into the sum or the report. True: there is more. */
static bool add_settled(struct ledger *ledger, int64_t until)
{
    struct usage *to = ledger->sum ? ledger->sum : ledger->usage;

    while (ledger->added < ledger->count) {
        const struct piece *piece = &ledger->pieces[ledger->added++];

        if (is_in_sum(piece) &&
            !usage_merge(to, piece->found->usage, INT32_MIN, INT32_MAX, USAGE_WITHOUT_HOURS))
            ledger->full = true;
        if (ledger->added % LOOK_PIECE == 0 && clock_ms() >= until)
            return ledger->added < ledger->count;
    }
    return false;
}

static void complete_found(struct ledger *ledger)
{
    for (size_t i = 0; i < ledger->count; i++) {
        struct piece *piece = &ledger->pieces[i];

        if (piece->found == NULL)
            continue;
        if (!is_in_sum(piece))
            add_rows(ledger, piece->found->usage);
        complete(ledger, piece, piece->found);
        cache_hit(ledger->memory.cache);
        cache_value_release(&piece->found->value);
        piece->found = NULL;
    }
    ledger->found = ledger->found_rows = ledger->added = 0;
    ledger->adding = false;
}

/* True: there is more to add. */
static bool add_found(struct ledger *ledger, int64_t until)
{
    bool summed = false;

    if (!ledger->adding && ledger->found_rows >= SUM_ROWS) {
        summed = use_sum(ledger);
        ledger->sum = summed ? NULL : usage_new(ledger->memory.max_bytes);
    }
    ledger->adding = true;
    if (!summed && add_settled(ledger, until))
        return true;
    if (ledger->sum)
        keep_sum(ledger);
    complete_found(ledger);
    return false;
}

bool ledger_look(struct ledger *ledger, int64_t until)
{
    while (ledger->memory.cache && ledger->looked < ledger->count) {
        struct piece *piece = &ledger->pieces[ledger->looked++];

        if (piece->state == PIECE_WANTED)
            piece->found = find(ledger, piece);
        if (piece->found) {
            ledger->found++;
            ledger->found_rows += piece->found->usage ? usage_row_count(piece->found->usage) : 0;
        }
        if (ledger->looked % LOOK_PIECE == 0 && clock_ms() >= until)
            return true;
    }
    return ledger->found > 0 && add_found(ledger, until);
}

/* ---- who reads what ---- */

bool ledger_take(struct ledger *ledger, size_t number)
{
    struct piece *piece = number < ledger->count ? &ledger->pieces[number] : NULL;

    if (piece == NULL || piece->state != PIECE_WANTED)
        return false;
    if (ledger->memory.claims) {
        piece->claim = claims_take(ledger->memory.claims, key_of(ledger, piece));
        if (piece->claim == NULL)
            return false;
        /* It may have been kept and let go since somebody looked last. */
        if (recall(ledger, piece)) {
            let_go(ledger, piece);
            return false;
        }
    }
    piece->state = PIECE_OURS;
    return true;
}

enum ledger_turn ledger_next(struct ledger *ledger, size_t *number)
{
    enum ledger_turn turn = LEDGER_NONE;

    for (; ledger->cursor < ledger->count; ledger->cursor++)
        if (ledger_take(ledger, ledger->cursor)) {
            *number = ledger->cursor++;
            return LEDGER_OURS;
        }
    for (size_t i = 0; turn == LEDGER_NONE && i < ledger->count; i++)
        if (ledger->pieces[i].state == PIECE_WANTED)
            turn = LEDGER_THEIRS;
    return turn;
}

void ledger_again(struct ledger *ledger)
{
    ledger->looked = ledger->cursor = 0;
}

/* ---- what was read ---- */

void ledger_see(struct ledger *ledger, int64_t time)
{
    struct piece *piece = &ledger->pieces[piece_at(ledger, time)];

    if (!piece->has_first || time < piece->first)
        piece->first = time;
    piece->has_first = true;
}

static uint64_t chance(void)
{
    uint64_t id;

    if (getrandom(&id, sizeof(id), GRND_NONBLOCK) != (ssize_t)sizeof(id))
        id = 0;
    return id;
}

static struct block *block_of(struct ledger *ledger, struct piece *piece)
{
    struct block *block = memory_new(1, sizeof(*block));
    size_t bytes = sizeof(*block) + key_of(ledger, piece).length;

    block->id = chance();
    block->asked = piece->asked;
    block->settled = is_settled(ledger, piece);
    block->has_first = piece->has_first;
    block->first = piece->first;
    block->usage = piece->rows;
    piece->rows = NULL;
    if (block->usage) {
        usage_seal(block->usage);
        bytes += usage_bytes(block->usage);
    }
    cache_value_init(&block->value, bytes, destroy);
    block->value.hours = block->settled ? 1 : 0;
    return block;
}

static void finish(struct ledger *ledger, struct piece *piece)
{
    struct block *block = block_of(ledger, piece);

    add_rows(ledger, block->usage);
    complete(ledger, piece, block);
    cache_missed(ledger->memory.cache);
    if (ledger->memory.cache && !piece->spoiled)
        cache_put(ledger->memory.cache, key_of(ledger, piece), &block->value, block->asked.clock);
    cache_value_release(&block->value);
    let_go(ledger, piece);
}

/* Has the usage a row of that piece? */
static bool has_rows(const struct usage *rows, int64_t first, int64_t last)
{
    for (size_t i = 0; i < usage_row_count(rows); i++) {
        int32_t hour = usage_row(rows, i).hour;

        if (hour >= first && hour <= last)
            return true;
    }
    return false;
}

static void add_to_piece(struct ledger *ledger, struct piece *piece, const struct usage *rows)
{
    int64_t first = hour_of(piece->from), last = hour_of(piece->to - 1);

    if (!has_rows(rows, first, last))
        return;
    if (piece->rows == NULL)
        piece->rows = usage_new(ledger->memory.max_bytes);
    if (!usage_merge(piece->rows, rows, first, last, USAGE_WITH_HOURS)) {
        ledger->full = true;
        piece->spoiled = true;
    }
}

void ledger_add(struct ledger *ledger, int64_t from, int64_t to, const struct usage *rows,
                struct ledger_moment asked, bool spoiled)
{
    for (size_t i = piece_at(ledger, from); i < ledger->count && ledger->pieces[i].from < to; i++) {
        struct piece *piece = &ledger->pieces[i];
        int64_t begin = piece->from > from ? piece->from : from, end = piece->to < to ? piece->to : to;

        if (piece->left == piece->to - piece->from || asked.clock < piece->asked.clock)
            piece->asked = asked;
        piece->spoiled = piece->spoiled || spoiled;
        piece->left -= end - begin;
        add_to_piece(ledger, piece, rows);
        if (piece->left == 0)
            finish(ledger, piece);
    }
}
