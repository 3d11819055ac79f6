/* Remembered hours: which pieces there are, who reads them, what is kept, what is not used. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "model/usage.h"
#include "sources/ledger.h"
#include "util/arena.h"
#include "util/cache.h"
#include "util/claims.h"
#include "util/timestamp.h"

#define SECOND ((int64_t)1000 * 1000 * 1000)
#define HOUR   LEDGER_HOUR

enum { MEMORY = 64 * 1024 * 1024, DAY_MS = 24 * 3600 * 1000 };

struct shared {
    struct cache *cache;
    struct claims *claims;
};

/* One report. */
struct reader {
    struct arena *arena;
    struct usage *usage;
    struct ledger_memory memory;
    struct ledger *ledger;
    int64_t age_ms; /* so long ago was what it reads asked for */
};

static struct shared remember(void)
{
    return (struct shared){cache_new(MEMORY, DAY_MS), claims_new()};
}

static void forget(struct shared *shared)
{
    cache_free(shared->cache);
    claims_free(shared->claims);
}

static struct reader open_reader(const struct shared *shared, const char *name, int64_t from, int64_t to,
                                 int64_t now_hour)
{
    struct reader reader = {.arena = arena_new(),
                            .usage = usage_new(MEMORY),
                            .memory = {.cache = shared->cache,
                                       .claims = shared->claims,
                                       .name = text_of(name),
                                       .max_bytes = MEMORY,
                                       .settle_ms = 3600 * 1000,
                                       .now = {now_hour * 3600, 0}}};

    reader.ledger = ledger_open(reader.arena, &reader.memory, from, to, reader.usage);
    return reader;
}

static void close_reader(struct reader *reader, bool add_rest)
{
    ledger_close(reader->ledger, add_rest);
    usage_free(reader->usage);
    arena_free(reader->arena);
}

/* A window of this reader brought `count` requests in each of its hours. */
static void bring(struct reader *reader, int64_t from, int64_t to, uint64_t count, bool spoiled)
{
    const struct ledger_moment asked = {clock_ms() - reader->age_ms, reader->memory.now};
    struct usage *rows = usage_new(MEMORY);

    for (int64_t hour = from / HOUR; count > 0 && hour <= (to - 1) / HOUR; hour++) {
        struct usage_event event = {.hour = hour, .service = TEXT_LITERAL("yolo")};

        ledger_see(reader->ledger, hour * HOUR < from ? from : hour * HOUR);
        assert_true(usage_add(rows, &event, count));
    }
    ledger_add(reader->ledger, from, to, rows, asked, spoiled);
    usage_free(rows);
}

static uint64_t counted(const struct reader *reader)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < usage_row_count(reader->usage); i++) {
        struct usage_row row = usage_row(reader->usage, i);

        assert_int_equal(row.hour, 0);
        sum += row.count;
    }
    return sum;
}

/* All that is left for this reader is read as one window a piece, `count` requests in each hour. */
static size_t read_rest(struct reader *reader, uint64_t count)
{
    size_t piece, pieces = 0;

    while (ledger_next(reader->ledger, &piece) == LEDGER_OURS) {
        bring(reader, ledger_start(reader->ledger, piece), ledger_end(reader->ledger, piece), count, false);
        pieces++;
    }
    return pieces;
}

static void look(struct reader *reader)
{
    while (ledger_look(reader->ledger, 0))
        continue;
}

static const struct {
    int64_t from, to, now_hour;
    int64_t starts[6]; /* of the pieces, after the first */
    size_t count;
    int line;
} piece_rows[] = {
    {0, HOUR, 100, {0}, 1, __LINE__},
    {0, HOUR + 1, 100, {HOUR}, 2, __LINE__},
    {1, 2, 100, {0}, 1, __LINE__},
    {HOUR - 1, 2 * HOUR + 1, 100, {HOUR, 2 * HOUR}, 3, __LINE__},
    {30 * 60 * SECOND, 3 * HOUR, 100, {HOUR, 2 * HOUR}, 3, __LINE__},
    /* What lies behind the present hour is one piece. */
    {0, 1000 * HOUR, 1, {HOUR, 2 * HOUR}, 3, __LINE__},
    {5 * HOUR + 7, 1000 * HOUR, 1, {0}, 1, __LINE__},
    {HOUR + 7, 1000 * HOUR, 1, {2 * HOUR}, 2, __LINE__},
};

static void a_range_becomes_pieces(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(piece_rows); i++) {
        const struct shared none = {NULL, NULL};
        struct reader reader =
            open_reader(&none, "x", piece_rows[i].from, piece_rows[i].to, piece_rows[i].now_hour);
        size_t count = ledger_count(reader.ledger);
        bool right = count == piece_rows[i].count && ledger_start(reader.ledger, 0) == piece_rows[i].from &&
                     ledger_end(reader.ledger, count - 1) == piece_rows[i].to;

        for (size_t at = 1; right && at < count; at++)
            right = ledger_start(reader.ledger, at) == piece_rows[i].starts[at - 1] &&
                    ledger_end(reader.ledger, at - 1) == piece_rows[i].starts[at - 1];
        if (!right)
            fail_msg("row of line %d", piece_rows[i].line);
        assert_int_equal(read_rest(&reader, 1), count);
        assert_int_equal(ledger_complete(reader.ledger), count);
        assert_true(ledger_reach(reader.ledger) == piece_rows[i].to);
        close_reader(&reader, false);
    }
}

static void whole_hours_are_remembered(void **state)
{
    struct shared shared = remember();
    struct reader first = open_reader(&shared, "x", 10 * HOUR, 15 * HOUR, 100),
                  second = open_reader(&shared, "x", 12 * HOUR, 18 * HOUR, 101);
    struct instant read_at;

    (void)state;
    look(&first);
    assert_int_equal(read_rest(&first, 3), 5);
    assert_int_equal(counted(&first), 15);
    look(&second);
    assert_int_equal(ledger_complete(second.ledger), 3);
    assert_int_equal(counted(&second), 9);
    assert_true(ledger_read_at(second.ledger, &read_at));
    assert_int_equal(read_at.seconds, 100 * 3600);
    assert_int_equal(ledger_wanted(second.ledger, 12 * HOUR, 18 * HOUR), 3);
    assert_int_equal(read_rest(&second, 1), 3);
    assert_int_equal(counted(&second), 12);
    close_reader(&first, false);
    close_reader(&second, false);
    forget(&shared);
}

static void another_name_is_another_memory(void **state)
{
    struct shared shared = remember();
    struct reader first = open_reader(&shared, "x", 10 * HOUR, 15 * HOUR, 100),
                  second = open_reader(&shared, "y", 10 * HOUR, 15 * HOUR, 100);

    (void)state;
    read_rest(&first, 3);
    look(&second);
    assert_int_equal(ledger_complete(second.ledger), 0);
    close_reader(&first, false);
    close_reader(&second, false);
    forget(&shared);
}

/* Cut pieces and hours that may still get lines: for reports that began within seconds, under their exact
 * ends. */
static void what_may_change_is_kept_for_seconds(void **state)
{
    static const struct {
        int64_t from, to, now_hour;
        size_t soon, later; /* remembered for a report that begins at once; some seconds later */
        int line;
    } rows[] = {
        {10 * HOUR, 11 * HOUR, 12, 1, 1, __LINE__},         /* settled at that very moment */
        {10 * HOUR, 11 * HOUR, 11, 1, 0, __LINE__},         /* not yet */
        {10 * HOUR + 1, 11 * HOUR, 100, 1, 0, __LINE__},    /* cut */
        {10 * HOUR, 11 * HOUR - 1, 100, 1, 0, __LINE__},    /* cut */
        {9 * HOUR + 1, 11 * HOUR + 1, 100, 3, 1, __LINE__}, /* a whole one between two */
        {10 * HOUR, 1000 * HOUR, 12, 4, 1, __LINE__},       /* 10, 11, 12, the future */
    };

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
        const size_t row = i / 2, later = i % 2;
        struct shared shared = remember();
        struct reader first = open_reader(&shared, "x", rows[row].from, rows[row].to, rows[row].now_hour),
                      same = open_reader(&shared, "x", rows[row].from, rows[row].to, rows[row].now_hour),
                      other = open_reader(&shared, "x", rows[row].from, rows[row].to + 1, rows[row].now_hour);

        first.age_ms = later ? 6000 : 0;
        read_rest(&first, 1);
        look(&same);
        look(&other);
        if (ledger_complete(same.ledger) != (later ? rows[row].later : rows[row].soon))
            fail_msg("row of line %d: %zu", rows[row].line, ledger_complete(same.ledger));
        if (rows[row].to % HOUR && ledger_complete(other.ledger) >= rows[row].soon)
            fail_msg("row of line %d: taken for another piece", rows[row].line);
        close_reader(&first, false);
        close_reader(&same, false);
        close_reader(&other, false);
        forget(&shared);
    }
}

static void what_was_read_before_is_not_used_by_who_wants_it_anew(void **state)
{
    struct shared shared = remember();
    struct reader first = open_reader(&shared, "x", 10 * HOUR, 12 * HOUR, 100),
                  anew = open_reader(&shared, "x", 10 * HOUR, 12 * HOUR, 100), after;

    (void)state;
    read_rest(&first, 1);
    close_reader(&anew, false);
    anew.arena = arena_new();
    anew.usage = usage_new(MEMORY);
    anew.memory.fresh_after = clock_ms() + 1;
    anew.ledger = ledger_open(anew.arena, &anew.memory, 10 * HOUR, 12 * HOUR, anew.usage);
    look(&anew);
    assert_int_equal(ledger_complete(anew.ledger), 0);
    while (clock_ms() < anew.memory.fresh_after)
        continue;
    assert_int_equal(read_rest(&anew, 5), 2);
    assert_int_equal(counted(&anew), 10);
    /* It stands in the place of what was remembered. */
    after = open_reader(&shared, "x", 10 * HOUR, 12 * HOUR, 100);
    look(&after);
    assert_int_equal(counted(&after), 10);
    close_reader(&first, false);
    close_reader(&anew, false);
    close_reader(&after, false);
    forget(&shared);
}

static void spoiled_pieces_count_and_are_not_remembered(void **state)
{
    struct shared shared = remember();
    struct reader first = open_reader(&shared, "x", 10 * HOUR, 13 * HOUR, 100),
                  second = open_reader(&shared, "x", 10 * HOUR, 13 * HOUR, 100);
    size_t piece;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ledger_next(first.ledger, &piece), LEDGER_OURS);
        assert_int_equal(piece, i);
    }
    /* The second hour is spoiled by one of the two windows that it came in. */
    bring(&first, 10 * HOUR, 11 * HOUR + 7, 1, false);
    bring(&first, 11 * HOUR + 7, 12 * HOUR, 1, true);
    bring(&first, 12 * HOUR, 13 * HOUR, 1, false);
    assert_int_equal(ledger_complete(first.ledger), 3);
    assert_int_equal(counted(&first), 4);
    look(&second);
    assert_int_equal(ledger_complete(second.ledger), 2);
    assert_true(ledger_reach(second.ledger) == 11 * HOUR);
    close_reader(&first, false);
    close_reader(&second, false);
    forget(&shared);
}

/* Windows over several pieces and pieces of several windows, in any order. */
static void windows_need_not_be_hours(void **state)
{
    struct shared shared = remember();
    struct reader reader = open_reader(&shared, "x", 10 * HOUR + 5, 13 * HOUR, 100);
    int64_t first;
    size_t piece;

    (void)state;
    while (ledger_next(reader.ledger, &piece) == LEDGER_OURS)
        continue;
    bring(&reader, 11 * HOUR + 3, 12 * HOUR + 9, 1, false);
    assert_int_equal(ledger_complete(reader.ledger), 0);
    assert_false(ledger_first_entry(reader.ledger, &first));
    bring(&reader, 12 * HOUR + 9, 13 * HOUR, 1, false);
    assert_int_equal(ledger_complete(reader.ledger), 1);
    bring(&reader, 10 * HOUR + 5, 11 * HOUR + 3, 1, false);
    assert_int_equal(ledger_complete(reader.ledger), 3);
    assert_int_equal(counted(&reader), 5);
    assert_true(ledger_first_entry(reader.ledger, &first));
    assert_true(first == 10 * HOUR + 5);
    close_reader(&reader, false);
    forget(&shared);
}

static void the_rest_is_added_at_the_end_if_wanted(void **state)
{
    (void)state;
    for (int add_rest = 0; add_rest < 2; add_rest++) {
        struct shared shared = remember();
        struct reader first = open_reader(&shared, "x", 10 * HOUR, 12 * HOUR, 100), second;
        size_t piece;

        while (ledger_next(first.ledger, &piece) == LEDGER_OURS)
            continue;
        bring(&first, 10 * HOUR, 11 * HOUR + 7, 1, false);
        ledger_close(first.ledger, add_rest);
        assert_int_equal(counted(&first), add_rest ? 2 : 1);
        second = open_reader(&shared, "x", 10 * HOUR, 12 * HOUR, 100);
        look(&second);
        assert_int_equal(ledger_complete(second.ledger), 1);
        assert_int_equal(read_rest(&second, 1), 1);
        usage_free(first.usage);
        arena_free(first.arena);
        close_reader(&second, false);
        forget(&shared);
    }
}

static void two_readers_share_the_work(void **state)
{
    struct shared shared = remember();
    struct reader a = open_reader(&shared, "x", 10 * HOUR, 14 * HOUR, 100),
                  b = open_reader(&shared, "x", 10 * HOUR, 14 * HOUR, 100);
    size_t piece, first_of_b;

    (void)state;
    assert_int_equal(ledger_next(a.ledger, &piece), LEDGER_OURS);
    assert_int_equal(piece, 0);
    assert_int_equal(ledger_next(b.ledger, &first_of_b), LEDGER_OURS);
    assert_int_equal(first_of_b, 1);
    assert_false(ledger_take(a.ledger, 1));
    assert_true(ledger_take(a.ledger, 2));
    assert_int_equal(ledger_next(a.ledger, &piece), LEDGER_OURS);
    assert_int_equal(piece, 3);
    assert_int_equal(ledger_next(a.ledger, &piece), LEDGER_THEIRS);
    bring(&a, 10 * HOUR, 11 * HOUR, 1, false);
    bring(&a, 12 * HOUR, 14 * HOUR, 1, false);
    assert_int_equal(read_rest(&b, 100), 0);
    assert_int_equal(ledger_complete(b.ledger), 2);
    ledger_again(b.ledger);
    look(&b);
    assert_int_equal(ledger_complete(b.ledger), 3);
    /* B leaves without having read its hour: A takes it over. */
    close_reader(&b, false);
    ledger_again(a.ledger);
    look(&a);
    assert_int_equal(read_rest(&a, 1), 1);
    assert_int_equal(ledger_complete(a.ledger), 4);
    assert_int_equal(counted(&a), 4);
    assert_int_equal(ledger_next(a.ledger, &piece), LEDGER_NONE);
    close_reader(&a, false);
    forget(&shared);
}

/* In the moment between looking and claiming the other one has finished. */
static void what_was_kept_meanwhile_is_not_read_again(void **state)
{
    struct shared shared = remember();
    struct reader a = open_reader(&shared, "x", 10 * HOUR, 12 * HOUR, 100),
                  b = open_reader(&shared, "x", 10 * HOUR, 12 * HOUR, 100);

    (void)state;
    look(&b);
    read_rest(&a, 1);
    assert_int_equal(read_rest(&b, 100), 0);
    assert_int_equal(ledger_complete(b.ledger), 2);
    assert_int_equal(counted(&b), 2);
    close_reader(&a, false);
    close_reader(&b, false);
    forget(&shared);
}

static void a_full_usage_is_said(void **state)
{
    const struct shared none = {NULL, NULL};
    struct reader reader = open_reader(&none, "x", 10 * HOUR, 12 * HOUR, 100);

    (void)state;
    close_reader(&reader, false);
    reader.arena = arena_new();
    reader.usage = usage_new(1);
    reader.ledger = ledger_open(reader.arena, &reader.memory, 10 * HOUR, 12 * HOUR, reader.usage);
    read_rest(&reader, 1);
    assert_true(ledger_is_full(reader.ledger));
    close_reader(&reader, true);
}

/* One report reads a day of many rows, `count` of each. */
static void read_many_rows(struct reader *reader, uint64_t count)
{
    enum { USERS = 1000 };
    size_t piece;

    while (ledger_next(reader->ledger, &piece) == LEDGER_OURS) {
        int64_t from = ledger_start(reader->ledger, piece);
        struct usage *rows = usage_new(MEMORY);
        char user[32];

        for (int i = 0; i < USERS; i++) {
            struct usage_event event = {.hour = from / HOUR, .service = TEXT_LITERAL("yolo")};

            snprintf(user, sizeof(user), "user-%d", i);
            event.user = text_of(user);
            assert_true(usage_add(rows, &event, count));
        }
        ledger_add(reader->ledger, from, ledger_end(reader->ledger, piece), rows,
                   (struct ledger_moment){clock_ms(), reader->memory.now}, false);
        usage_free(rows);
    }
}

/* The sum of many hours is kept, and is used as long as it is the sum of what is remembered. */
static void many_rows_are_added_up_once(void **state)
{
    struct shared shared = remember();
    const int64_t from = 10 * HOUR, to = 34 * HOUR;
    struct reader reader = open_reader(&shared, "x", from, to, 100);
    size_t blocks;

    (void)state;
    read_many_rows(&reader, 1);
    close_reader(&reader, false);
    blocks = cache_count(shared.cache);
    for (int i = 0; i < 3; i++) {
        reader = open_reader(&shared, "x", from - (i == 2), to + (i == 2), 100); /* cut pieces at the ends */
        look(&reader);
        assert_int_equal(ledger_complete(reader.ledger), 24);
        assert_int_equal(counted(&reader), 24 * 1000);
        assert_int_equal(usage_row_count(reader.usage), 1000);
        assert_int_equal(cache_count(shared.cache), blocks + 1);
        close_reader(&reader, false);
    }
    /* One hour is read anew, and has more. */
    reader = open_reader(&shared, "x", 20 * HOUR, 21 * HOUR, 100);
    close_reader(&reader, false);
    reader.arena = arena_new();
    reader.usage = usage_new(MEMORY);
    reader.memory.fresh_after = clock_ms();
    reader.ledger = ledger_open(reader.arena, &reader.memory, 20 * HOUR, 21 * HOUR, reader.usage);
    read_many_rows(&reader, 3);
    close_reader(&reader, false);
    for (int i = 0; i < 2; i++) {
        reader = open_reader(&shared, "x", from, to, 100);
        look(&reader);
        assert_int_equal(counted(&reader), 26 * 1000);
        close_reader(&reader, false);
    }
    /* Or one is gone. */
    cache_free(shared.cache);
    shared.cache = cache_new(MEMORY, DAY_MS);
    reader = open_reader(&shared, "x", from, to, 100);
    look(&reader);
    assert_int_equal(counted(&reader), 0);
    close_reader(&reader, false);
    forget(&shared);
}

/* A report that is stopped while it adds up lets everything go. */
static void stopped_while_looking(void **state)
{
    struct shared shared = remember();
    struct reader reader = open_reader(&shared, "x", 10 * HOUR, 90 * HOUR, 100);

    (void)state;
    read_many_rows(&reader, 1);
    close_reader(&reader, false);
    for (int steps = 1; steps < 12; steps++) {
        reader = open_reader(&shared, "x", 10 * HOUR, 90 * HOUR, 100);
        for (int i = 0; i < steps; i++)
            (void)ledger_look(reader.ledger, 0);
        assert_true(ledger_complete(reader.ledger) == 0 || counted(&reader) == 80 * 1000);
        close_reader(&reader, true);
    }
    forget(&shared);
}

/* Threads over overlapping ranges, in a memory that is too small for all: everybody counts right. */
struct racer {
    struct shared *shared;
    int64_t from, to;
    bool right;
};

static void *race(void *context)
{
    struct racer *racer = context;

    racer->right = true;
    for (int round = 0; round < 50; round++) {
        struct reader reader = open_reader(racer->shared, "x", racer->from, racer->to, 1000);

        look(&reader);
        while (ledger_complete(reader.ledger) < ledger_count(reader.ledger)) {
            read_rest(&reader, 1);
            ledger_again(reader.ledger);
            look(&reader);
        }
        racer->right = racer->right && counted(&reader) == (uint64_t)((racer->to - racer->from) / HOUR);
        close_reader(&reader, false);
    }
    return NULL;
}

static void threads_with_a_small_memory(void **state)
{
    enum { THREADS = 4 };
    struct shared shared = {cache_new(8 * 1024, DAY_MS), claims_new()};
    struct racer racers[THREADS];
    pthread_t threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++) {
        racers[i] = (struct racer){&shared, (10 + 5 * i) * HOUR, (30 + 5 * i) * HOUR, false};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_true(racers[i].right);
    }
    forget(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_becomes_pieces),
        cmocka_unit_test(whole_hours_are_remembered),
        cmocka_unit_test(another_name_is_another_memory),
        cmocka_unit_test(what_may_change_is_kept_for_seconds),
        cmocka_unit_test(what_was_read_before_is_not_used_by_who_wants_it_anew),
        cmocka_unit_test(spoiled_pieces_count_and_are_not_remembered),
        cmocka_unit_test(windows_need_not_be_hours),
        cmocka_unit_test(the_rest_is_added_at_the_end_if_wanted),
        cmocka_unit_test(two_readers_share_the_work),
        cmocka_unit_test(what_was_kept_meanwhile_is_not_read_again),
        cmocka_unit_test(a_full_usage_is_said),
        cmocka_unit_test(many_rows_are_added_up_once),
        cmocka_unit_test(stopped_while_looking),
        cmocka_unit_test(threads_with_a_small_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
