/* What is remembered of files: nothing that stands is read twice, and nothing that changed is taken for what
 * stood. Expected counts are added up from the numbers that the lines were made of. */
#include "logfolder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/timestamp.h"

enum { REQUESTS = 3000, DAY = 86400 };

/* Seconds after START, of every request that was written. */
struct requests {
    int64_t second[REQUESTS];
    size_t count;
};

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Appends `count` requests around the hours of the day, nearly in order, and remembers when they were. */
static void write_requests(struct fixture *f, const char *name, struct requests *all, size_t count,
                           uint32_t *random)
{
    struct buf text;

    buf_init(&text, 4 * 1024 * 1024);
    for (size_t i = 0; i < count; i++) {
        int64_t second = (int64_t)(all->count * DAY / REQUESTS) + next_random(random) % 4000 - 2000;

        second = second < 0 ? 0 : second >= DAY ? DAY - 1 : second;
        all->second[all->count++] = second;
        buf_format(&text, "2026-05-01T%02d:%02d:%02dZ stderr F [GIN-EXECUTIONS-LOGGER] ?" FIELDS("s%d") "\n",
                   (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60),
                   (int)(next_random(random) % 5));
        if (next_random(random) % 7 == 0)
            buf_add_string(&text, "noise\n");
    }
    folder_write(f, name, O_APPEND, buf_text(&text));
    buf_free(&text);
}

static uint64_t expected(const struct requests *all, int64_t first, int64_t last)
{
    uint64_t count = 0;

    for (size_t i = 0; i < all->count; i++)
        count += all->second[i] >= first && all->second[i] <= last;
    return count;
}

/* One report over seconds of the day; gives the bytes that it read. */
static uint64_t read_range(struct fixture *f, const char *names, const struct requests *all, int64_t first,
                           int64_t last, int32_t end_nanoseconds)
{
    reading_forget(f);
    f->context.start = (struct instant){START + first, 0};
    f->context.end = (struct instant){START + last, end_nanoseconds};
    reading_begin(f, names);
    reading_finish(f);
    assert_int_equal(reading_count(f, NULL), expected(all, first, last));
    return f->tally.bytes;
}

static void an_unchanged_file_is_not_parsed_twice(void **state)
{
    struct fixture *f = *state;
    struct requests all = {.count = 0};
    uint32_t random = 1;

    write_requests(f, "a.log", &all, REQUESTS, &random);
    assert_int_equal(read_range(f, "a.log", &all, 0, DAY - 1, 999999999), folder_size(f, "a.log"));
    assert_int_equal(read_range(f, "a.log", &all, 0, DAY - 1, 999999999), 0);
    assert_int_equal(read_range(f, "a.log", &all, 3600, 7199, 999999999), 0);
    assert_true(f->status.has_time);
}

static void a_cut_hour_reads_only_its_part(void **state)
{
    struct fixture *f = *state;
    struct requests all = {.count = 0};
    uint32_t random = 2;
    uint64_t bytes;

    write_requests(f, "a.log", &all, REQUESTS, &random);
    read_range(f, "a.log", &all, 0, DAY - 1, 999999999);
    bytes = read_range(f, "a.log", &all, 3600, 10 * 3600 + 1800, 0);
    assert_in_range(bytes, 1, folder_size(f, "a.log") / 4);
}

static void any_range_counts_the_same_with_and_without_memory(void **state)
{
    struct fixture *f = *state;
    struct requests all = {.count = 0};
    struct cache *remembered = f->context.remembered;
    uint32_t random = 3;

    write_requests(f, "a.log", &all, REQUESTS / 2, &random);
    write_requests(f, "b.log", &all, REQUESTS / 2, &random);
    for (int i = 0; i < 300; i++) {
        int64_t first = next_random(&random) % DAY, last = first + next_random(&random) % (DAY - first);

        if (i % 3 == 0)
            first -= first % 3600;
        if (i % 4 == 0)
            last = last - last % 3600 + 3599;
        f->context.remembered = i % 10 == 0 ? NULL : remembered;
        read_range(f, "*.log", &all, first, last, i % 2 ? 999999999 : 0);
    }
    f->context.remembered = remembered;
}

static void packed_files_are_remembered_too(void **state)
{
    struct fixture *f = *state;
    struct requests all = {.count = 0};
    uint32_t random = 4;
    size_t size;
    char *text;

    write_requests(f, "plain", &all, REQUESTS, &random);
    size = (size_t)folder_size(f, "plain");
    text = arena_alloc(f->arena, 1, size);
    folder_read(f, "plain", text, size);
    folder_put_gzip(f, "a.log.gz", (struct text){text, size});
    assert_int_equal(read_range(f, "*.gz", &all, 0, DAY - 1, 999999999), folder_size(f, "a.log.gz"));
    assert_int_equal(read_range(f, "*.gz", &all, 0, DAY - 1, 999999999), 0);
    for (int i = 0; i < 30; i++) {
        int64_t first = next_random(&random) % DAY, last = first + next_random(&random) % (DAY - first);

        read_range(f, "*.gz", &all, first, last, 999999999);
    }
}

static void of_a_grown_file_only_the_tail_is_read(void **state)
{
    struct fixture *f = *state;
    struct requests all = {.count = 0};
    uint32_t random = 5;
    int64_t size;

    write_requests(f, "a.log", &all, 1000, &random);
    read_range(f, "a.log", &all, 0, DAY - 1, 999999999);
    for (int i = 0; i < 10; i++) {
        size = folder_size(f, "a.log");
        write_requests(f, "a.log", &all, 200, &random);
        assert_int_equal(read_range(f, "a.log", &all, 0, DAY - 1, 999999999), folder_size(f, "a.log") - size);
        read_range(f, "a.log", &all, 1000, DAY - 2000, 0);
    }
}

static void a_line_that_was_half_written_counts_once_it_is_whole(void **state)
{
    struct fixture *f = *state;
    struct requests none = {.count = 0};

    folder_put(f, "a.log",
               FIRST "[GIN-EXECUTIONS-LOGGER] 2026-05-01T05:00:00Z | 200 | 1ms | ::1 | POST /run/ha");
    folder_age(f, "a.log", 0);
    f->context.end.seconds = NOW; /* so that a line of now may lie in it */
    (void)none;
    reading_run(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "%s/a.log ends in an unfinished line", f->folder);
    assert_int_equal(reading_count(f, NULL), 1);
    folder_append(f, "a.log", "lf | a1\n");
    reading_forget(f);
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "half"), 1);
    assert_int_equal(reading_count(f, NULL), 2);
}

/* Of a line in pieces the last one has no end yet: whoever goes on there later needs those before it. */
static void a_last_piece_that_was_half_written_belongs_to_those_before_it(void **state)
{
    struct fixture *f = *state;
    const char *rest = "alf | a1@egi.eu\n";

    folder_put(
        f, "a.log",
        FIRST CRI("05:00:00", "stdout", "P", "[GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | POST /run/")
            CRI("05:00:00", "stdout", "F", "half | a1@egi.eu"));
    folder_cut(f, "a.log", folder_size(f, "a.log") - (int64_t)strlen(rest));
    reading_run(f, "a.log");
    folder_append(f, "a.log", rest);
    reading_forget(f);
    reading_run(f, "a.log");
    assert_int_equal(reading_count(f, "half"), 1);
    /* Nobody has written its line end. */
    folder_cut(f, "a.log", folder_size(f, "a.log") - 1);
    for (int i = 0; i < 3; i++) {
        reading_forget(f);
        reading_run(f, "a.log");
        assert_ok(f);
        assert_int_equal(reading_count(f, "half"), 1);
        assert_int_equal(reading_count(f, NULL), 2);
    }
}

static void a_file_that_was_written_anew_is_read_anew(void **state)
{
    struct fixture *f = *state;
    struct requests old = {.count = 0}, new = {.count = 0};
    uint32_t random = 6;

    write_requests(f, "a.log", &old, 500, &random);
    read_range(f, "a.log", &old, 0, DAY - 1, 999999999);
    folder_cut(f, "a.log", 0); /* and it grows beyond its old size */
    random = 77;
    write_requests(f, "a.log", &new, 900, &random);
    assert_int_equal(read_range(f, "a.log", &new, 0, DAY - 1, 999999999), folder_size(f, "a.log"));
    folder_cut(f, "a.log", 0); /* to less than it was */
    new.count = 0;
    write_requests(f, "a.log", &new, 100, &random);
    assert_int_equal(read_range(f, "a.log", &new, 0, DAY - 1, 999999999), folder_size(f, "a.log"));
}

static void a_file_of_the_same_size_with_another_time_is_read_anew(void **state)
{
    struct fixture *f = *state;
    struct requests one = {{0, 3600}, 2};

    folder_put(f, "a.log", FIRST AT("01:00:00", "one"));
    read_range(f, "a.log", &one, 0, DAY - 1, 999999999);
    folder_put(f, "a.log", FIRST AT("01:00:00", "two"));
    folder_age(f, "a.log", 5);
    read_range(f, "a.log", &one, 0, DAY - 1, 999999999);
    assert_int_equal(reading_count(f, "one"), 0);
    assert_int_equal(reading_count(f, "two"), 1);
}

static void a_renamed_file_is_the_same_file(void **state)
{
    struct fixture *f = *state;
    struct requests all = {.count = 0};
    uint32_t random = 7;

    write_requests(f, "a.log", &all, 500, &random);
    read_range(f, "a.log*", &all, 0, DAY - 1, 999999999);
    folder_move(f, "a.log", "a.log.1");
    assert_int_equal(read_range(f, "a.log*", &all, 0, DAY - 1, 999999999), 0);
}

static void the_two_kinds_of_lines_of_one_file_are_told_apart(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", FIRST ACCESS("/system/services/nb/exposed/"));
    reading_run(f, "a.log");
    assert_int_equal(reading_count(f, NULL), 1);
    reading_forget(f);
    f->rules.kind = LOGLINE_EXPOSED;
    reading_run(f, "a.log");
    assert_int_equal(reading_count(f, NULL), 1);
    assert_int_equal(reading_count(f, "nb"), 1);
}

/* Every line has a user of its own: more than the share of the memory that one file may take. */
static void what_is_too_large_is_counted_all_the_same(void **state)
{
    struct fixture *f = *state;
    struct requests all = {.count = 0};
    struct buf text;

    cache_free(f->context.remembered);
    f->context.remembered = cache_new(1024 * 1024, 3600 * 1000);
    buf_init(&text, 4 * 1024 * 1024);
    for (int i = 0; i < REQUESTS; i++) {
        int64_t second = i * (DAY / REQUESTS);

        all.second[all.count++] = second;
        buf_format(&text,
                   "[GIN-EXECUTIONS-LOGGER] 2026-05-01T%02d:%02d:%02dZ | 200 | 1ms | ::1 | POST /run/a | "
                   "%0200d@egi.eu\n",
                   (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60), i);
    }
    folder_write(f, "a.log", O_APPEND, buf_text(&text));
    buf_free(&text);
    for (int i = 0; i < 2; i++) {
        assert_true(read_range(f, "a.log", &all, 0, DAY - 1, 999999999) > 0);
        read_range(f, "a.log", &all, 1800, DAY - 1800, 5);
    }
    assert_int_equal(cache_count(f->context.remembered), 0);
}

static void after_a_deadline_the_next_report_goes_on_from_there(void **state)
{
    struct fixture *f = *state;
    uint64_t first, lines;

    folder_put(f, "a.log", FIRST);
    folder_write(f, "a.log", O_APPEND, folder_noise(f, 3000000));
    folder_append(f, "a.log", AT("05:00:00", "last"));
    reading_begin(f, "a.log");
    while (f->tally.bytes < 1000000)
        assert_int_equal(reading_step(f), JOB_READY);
    f->job->ops->stop(f->job, JOB_DEADLINE);
    first = f->tally.bytes;
    assert_int_equal(f->status.level, STATUS_PARTIAL);
    assert_int_equal(reading_count(f, "first"), 1);
    assert_in_range(first, 1, folder_size(f, "a.log") - 1);

    reading_forget(f);
    reading_begin(f, "a.log");
    reading_finish(f);
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 2);
    lines = f->tally.lines;
    assert_in_range(f->tally.bytes, 1, (uint64_t)folder_size(f, "a.log") - first / 2);
    reading_forget(f);
    reading_begin(f, "a.log");
    reading_finish(f);
    assert_int_equal(reading_count(f, NULL), 2);
    assert_int_equal(f->tally.bytes, 0);
    assert_true(lines > 0);
}

static void long_lines_are_said_again_where_they_may_lie_in_the_range(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log",
               FIRST "[GIN-EXECUTIONS-LOGGER] 2026-05-01T05:00:00Z | 200 | 1ms | ::1 | POST /run/");
    folder_write(f, "a.log", O_APPEND, folder_letters(f, LINE_MAX_BYTES));
    folder_append(f, "a.log", "\n" AT("06:00:00", "behind"));
    reading_run(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
    f->context.start = (struct instant){START + 5 * 3600 + 1, 0}; /* the same hour, behind it */
    reading_run(f, "a.log");
    assert_ok(f);
    f->context.start = (struct instant){START + 4 * 3600 + 1800, 0};
    f->context.end = (struct instant){START + 5 * 3600, 0}; /* the same hour, with it */
    reading_run(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
}

static void a_cut_file_is_not_remembered_as_whole(void **state)
{
    struct fixture *f = *state;
    int64_t size;

    folder_put_gzip(f, "a.log.gz", TEXT_LITERAL(FIRST AT("05:00:00", "last")));
    size = folder_size(f, "a.log.gz");
    folder_put(f, "b.log", FIRST);
    folder_cut(f, "a.log.gz", size - 4);
    reading_run(f, "*.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/a.log.gz ends early", f->folder);
}

/* A line an hour, over more than eleven years: counted each time, and remembered only up to the limit. */
static void the_hours_of_a_block_are_bounded(void **state)
{
    struct fixture *f = *state;

    for (size_t more = 0; more <= 1; more++) {
        size_t count = LOGBLOCK_HOURS_MAX + more;
        struct buf lines;

        buf_init(&lines, 32 * 1024 * 1024);
        for (size_t i = 0; i < count; i++) {
            char time[TIMESTAMP_SIZE];

            instant_format_seconds((struct instant){START - (int64_t)(count - 1 - i) * 3600, 0}, time);
            buf_format(&lines, "[GIN-EXECUTIONS-LOGGER] %s | 200 | 1ms | ::1 | POST /run/s | u\n", time);
        }
        folder_write(f, "a.log", O_TRUNC, buf_text(&lines));
        buf_free(&lines);
        f->context.start = (struct instant){START - (int64_t)count * 3600, 0};
        reading_forget(f);
        reading_begin(f, "a.log");
        reading_finish(f);
        assert_int_equal(reading_count(f, NULL), count);
        reading_forget(f);
        reading_begin(f, "a.log");
        reading_finish(f);
        assert_int_equal(reading_count(f, NULL), count);
        assert_int_equal(f->tally.bytes > 0, more);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_REMEMBERING(an_unchanged_file_is_not_parsed_twice),
        TEST_REMEMBERING(a_cut_hour_reads_only_its_part),
        TEST_REMEMBERING(any_range_counts_the_same_with_and_without_memory),
        TEST_REMEMBERING(packed_files_are_remembered_too),
        TEST_REMEMBERING(of_a_grown_file_only_the_tail_is_read),
        TEST_REMEMBERING(a_line_that_was_half_written_counts_once_it_is_whole),
        TEST_REMEMBERING(a_last_piece_that_was_half_written_belongs_to_those_before_it),
        TEST_REMEMBERING(a_file_that_was_written_anew_is_read_anew),
        TEST_REMEMBERING(a_file_of_the_same_size_with_another_time_is_read_anew),
        TEST_REMEMBERING(a_renamed_file_is_the_same_file),
        TEST_REMEMBERING(the_two_kinds_of_lines_of_one_file_are_told_apart),
        TEST_REMEMBERING(what_is_too_large_is_counted_all_the_same),
        TEST_REMEMBERING(after_a_deadline_the_next_report_goes_on_from_there),
        TEST_REMEMBERING(long_lines_are_said_again_where_they_may_lie_in_the_range),
        TEST_REMEMBERING(a_cut_file_is_not_remembered_as_whole),
        TEST_REMEMBERING(SLOW(the_hours_of_a_block_are_bounded)),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
