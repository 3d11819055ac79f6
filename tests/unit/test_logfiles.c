/* Log files: every line that counts is counted, once, and a word about all that was lost. */
#include "logfolder.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/buf.h"

/* ---- what is read ---- */

static void plain_and_packed_files_are_read(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    folder_put(f, "a.log", FIRST AT("01:00:00", "plain") "\r\n\n" AT("01:00:00.5", "plain") "noise\n");
    folder_put(f, "b.log", CRI("02:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("cri")) "\n");
    folder_put(f, "c.log", "2026-05-01T02:00:00Z [GIN-EXECUTIONS-LOGGER] ?" FIELDS("kubectl") "\r\n");
    folder_put_gzip(f, "d.log.gz",
                    TEXT_LITERAL(AT("03:00:00", "packed") AT("03:00:00", "packed") "[GIN-EXEC"));
    folder_put_gzip(f, "d.log.gz", TEXT_LITERAL("UTIONS-LOGGER] 2026-05-01T03:00:00Z" FIELDS("packed") "\n"));
    folder_put_gzip(f, "d.log.gz", TEXT_LITERAL(""));
    folder_put_gzip(f, "d.log.gz", TEXT_LITERAL(AT("03:00:00", "last-member")));
    folder_put(f, "empty.log", "");
    reading_run(f, "*.log,*.gz");
    assert_ok(f);
    assert_int_equal(reading_count(f, "plain"), 2);
    assert_int_equal(reading_count(f, "cri"), 1);
    assert_int_equal(reading_count(f, "kubectl"), 1);
    assert_int_equal(reading_count(f, "packed"), 3);
    assert_int_equal(reading_count(f, "last-member"), 1);
    assert_int_equal(reading_count(f, NULL), 9);
    assert_true(f->status.has_time);
    assert_int_equal(f->status.last_updated.seconds, NOW);
    assert_int_equal(f->tally.files, 5);
    assert_int_equal(f->tally.lines, 13);
    assert_int_equal(f->tally.bytes, folder_size(f, "a.log") + folder_size(f, "b.log") +
                                         folder_size(f, "c.log") + folder_size(f, "d.log.gz"));
    assert_int_equal(f->tally.results[LOGLINE_COUNTS], 9);
    assert_int_equal(f->tally.results[LOGLINE_NO_PREFIX], 4);
    assert_int_equal(open_descriptors(), before);
}

static void a_row_is_what_the_line_says(void **state)
{
    struct fixture *f = *state;
    struct usage_row row;

    folder_put(
        f, "a.log",
        "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:59:59Z | 500 | 1ms | 10.0.0.1 | PUT /job/x | b\xff | yolo | "
        "oscar-svc-b2\n");
    reading_run(f, "a.log");
    assert_int_equal(usage_row_count(f->usage), 1);
    row = usage_row(f->usage, 0);
    assert_int_equal(row.type, USAGE_ASYNC);
    assert_int_equal(row.country, 0);
    assert_int_equal(row.count, 1);
    assert_true(text_is(usage_string(f->usage, row.service), "yolo"));
    assert_true(text_is(usage_string(f->usage, row.namespace), "oscar-svc-b2"));
    assert_true(text_is(usage_string(f->usage, row.user), "b\xef\xbf\xbd"));
}

static void exposed_requests_are_read(void **state)
{
    struct fixture *f = *state;

    f->rules.kind = LOGLINE_EXPOSED;
    folder_put(f, "a.log",
               ACCESS("/system/services/nb/exposed/")
                   ACCESS("/") "{\"RequestPath\":\"/system/services/nb/"
                               "exposed\",\"StartUTC\":\"2026-05-01T02:00:00Z\"}\n");
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "nb"), 2);
    assert_int_equal(usage_row(f->usage, 0).type, USAGE_EXPOSED);
    assert_int_equal(f->tally.results[LOGLINE_PATH], 1);
}

static void start_and_end_are_inclusive_to_the_nanosecond(void **state)
{
    struct fixture *f = *state;

    f->context.start = (struct instant){START + 3600, 5};
    f->context.end = (struct instant){START + 7200, 7};
    folder_put(f, "a.log",
               AT("01:00:00.000000004", "before") AT("01:00:00.000000005", "start")
                   AT("02:00:00.000000007", "end")
                       AT("02:00:00.000000008", "after") "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("timeless") "\n");
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "start"), 1);
    assert_int_equal(reading_count(f, "end"), 1);
    assert_int_equal(reading_count(f, NULL), 2);
    assert_int_equal(f->tally.lines, 5);
    assert_int_equal(f->tally.results[LOGLINE_COUNTS], 4);
    assert_int_equal(f->tally.results[LOGLINE_TIME], 1);
}

static void a_file_is_read_once_whatever_its_names(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", FIRST);
    assert_int_equal(link(folder_path(f, "a.log"), folder_path(f, "hard.log")), 0);
    assert_int_equal(symlink("a.log", folder_path(f, "soft.log")), 0);
    reading_run(f, "*.log,a.log,?.log,./a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 1);
    assert_int_equal(f->tally.files, 1);
}

static void nul_bytes_before_a_line_are_a_hole(void **state)
{
    struct fixture *f = *state;

    folder_write(f, "a.log", 0, TEXT_LITERAL("\0\0\n" FIRST "\0" FIRST "x\0" FIRST "\0\0"));
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 2);
    assert_int_equal(f->tally.lines, 4);
}

/* "copytruncate" under a writer that does not append: it goes on at the place where it was. */
static void the_line_behind_a_long_hole_counts(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", "");
    folder_cut(f, "a.log", 1000000);
    folder_append(f, "a.log", FIRST AT("01:00:00", "x"));
    f->context.start = (struct instant){START, 0};
    f->context.end = (struct instant){START + 5400, 0};
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 2);
    assert_int_equal(f->tally.lines, 2);
}

/* ---- lines ---- */

static void lines_up_to_64_kib_count(void **state)
{
    struct fixture *f = *state;
    const char begin_line[] =
        "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z | 200 | 1ms | ::1 | POST /run/long?";
    const char end_line[] = " | a1\n";
    struct text fill = folder_letters(f, LINE_MAX_BYTES - (sizeof(begin_line) - 1) - (sizeof(end_line) - 2));

    folder_put(f, "a.log", FIRST);
    folder_append(f, "a.log", begin_line);
    folder_write(f, "a.log", O_APPEND, fill);
    folder_append(f, "a.log", end_line);
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "long"), 1);
    for (int i = 0; i < 2; i++) { /* one byte more, twice */
        folder_append(f, "a.log", begin_line);
        folder_write(f, "a.log", O_APPEND, fill);
        folder_append(f, "a.log", "x");
        folder_append(f, "a.log", end_line);
    }
    folder_append(f, "a.log", AT("02:00:00", "behind"));
    folder_put(f, "b.log", "");
    reading_run(f, "*.log");
    assert_notes(f, STATUS_PARTIAL, "2 lines longer than 64 KiB skipped in %s/a.log", f->folder);
    assert_int_equal(reading_count(f, "long"), 2); /* of both readings */
    assert_int_equal(reading_count(f, "behind"), 1);
    assert_int_equal(f->tally.lines, f->context.remembered ? 3 : 5); /* of a grown file only what is new */
}

static void long_lines_that_cannot_count_are_no_loss(void **state)
{
    struct fixture *f = *state;
    struct text fill = folder_letters(f, 500000);

    folder_put(f, "a.log", FIRST "panic: ");
    folder_write(f, "a.log", O_APPEND, fill);
    folder_append(f, "a.log", "\n[GIN-EXECUTIONS-LOGGER] 2020-01-01T00:00:00Z" FIELDS("long"));
    folder_write(f, "a.log", O_APPEND, fill);
    folder_append(f, "a.log", "\n" AT("02:00:00", "behind"));
    f->context.start = (struct instant){START, 0};
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "behind"), 1);
    folder_append(f, "a.log", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("long")); /* no time: it could */
    folder_write(f, "a.log", O_APPEND, fill);                              /* and no end */
    reading_run(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
}

static void long_access_lines_are_judged_by_their_path(void **state)
{
    struct fixture *f = *state;
    struct text fill = folder_letters(f, 100000);

    f->rules.kind = LOGLINE_EXPOSED;
    folder_put(f, "a.log", ACCESS("/") "::1 - - [01/May/2026:00:00:00 +0000] \"GET /other?");
    folder_write(f, "a.log", O_APPEND, fill);
    folder_append(f, "a.log", "\n");
    reading_run(f, "a.log");
    assert_ok(f);
    folder_append(f, "a.log", "::1 - - [01/May/2026:00:00:00 +0000] \"GET /system/services/nb/exposed?");
    folder_write(f, "a.log", O_APPEND, fill);
    folder_append(f, "a.log", "\n");
    reading_run(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
}

static void pieces_of_a_line_are_joined_by_stream(void **state)
{
    struct fixture *f = *state;

    f->context.end = (struct instant){START + 7 * 3600, 0}; /* the time is the first piece's */
    folder_put(f, "a.log",
               FIRST CRI("01:00:00", "stderr", "P", "[GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | PO")
                   CRI("05:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("between")) CRI(
                       "23:59:59", "stderr", "P", "ST /run/jo") CRI("05:00:00", "stdout", "P", "noise")
                       CRI("23:59:59", "stderr", "F", "ined | a") CRI("06:00:00", "stderr", "F", "ined | a")
                           CRI("06:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("swallowed")));
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "joined"), 1);
    assert_int_equal(reading_count(f, "between"), 1);
    assert_int_equal(reading_count(f, NULL), 3);
}

/* The joined line is of the hour before the cut one; what is read again for that ends between its pieces. */
static void pieces_across_the_end_of_an_hour_are_no_tail(void **state)
{
    struct fixture *f = *state;

    f->context.end = (struct instant){START + 5400, 0};
    folder_put(f, "a.log",
               FIRST CRI("00:59:59.9", "stderr", "P", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("joined"))
                   CRI("01:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("between"))
                       CRI("01:00:01", "stderr", "F", "2"));
    reading_run(f, "a.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "joined"), 1);
    assert_int_equal(reading_count(f, "between"), 1);
}

static void joined_lines_are_limited_too(void **state)
{
    struct fixture *f = *state;
    struct text fill = folder_letters(f, 16384);

    folder_put(f, "a.log", FIRST);
    folder_append(f, "a.log",
                  "2026-05-01T01:00:00Z stderr P [GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | POST /run/x?");
    for (int i = 0; i < 5; i++) {
        folder_append(f, "a.log", "\n2026-05-01T01:00:00Z stderr P ");
        folder_write(f, "a.log", O_APPEND, fill);
    }
    folder_append(f, "a.log", "\n2026-05-01T01:00:00Z stderr F  | a\n" AT("02:00:00", "behind"));
    reading_run(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
    assert_int_equal(reading_count(f, "behind"), 1);
    assert_int_equal(reading_count(f, NULL), 2);
}

static void pieces_do_not_reach_into_the_next_file(void **state)
{
    struct fixture *f = *state;

    folder_put(
        f, "a.log",
        FIRST CRI("01:00:00", "stderr", "P", "[GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | POST /run/"));
    folder_append(f, "a.log",
                  CRI("01:00:00", "stdout", "P", "[GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | POST /run/"));
    folder_put(f, "b.log",
               CRI("02:00:00", "stderr", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("whole"))
                   CRI("02:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("whole")));
    reading_run(f, "*.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, "whole"), 2);
    folder_age(f, "a.log", 10);
    f->context.end = (struct instant){NOW, 0};
    reading_run(f, "*.log");
    assert_notes(f, STATUS_PARTIAL, "%s/a.log ends in an unfinished line", f->folder);
}

static void a_last_line_without_its_end_counts_when_nobody_writes_any_more(void **state)
{
    static const char half[] = "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z" FIELDS("last");
    struct fixture *f = *state;
    static const struct {
        int age, end; /* seconds before now */
        bool counts, said;
        int line;
    } rows[] = {
        {3600, 0, true, false, __LINE__}, {60, 0, true, false, __LINE__},
        {59, 0, false, true, __LINE__},   {0, 0, false, true, __LINE__},
        {0, 60, false, true, __LINE__},   {0, 61, false, false, __LINE__}, /* begun after the range */
        {-5, 0, false, true, __LINE__},                                    /* a clock that is ahead */
    };

    folder_put(f, "a.log", FIRST);
    folder_append(f, "a.log", half);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t before = reading_count(f, "last");

        folder_age(f, "a.log", rows[i].age);
        f->context.end = (struct instant){NOW - rows[i].end, 0};
        reading_run(f, "a.log");
        if ((reading_count(f, "last") > before) != rows[i].counts ||
            (f->status.level == STATUS_PARTIAL) != rows[i].said)
            fail_msg("row of line %d", rows[i].line);
        if (rows[i].said)
            assert_notes(f, STATUS_PARTIAL, "%s/a.log ends in an unfinished line", f->folder);
    }
    folder_put_gzip(f, "b.gz", TEXT_LITERAL("[GIN-EXECUTIONS-LOGGER] 2026-05-01T00:00:00Z" FIELDS("packed")));
    folder_age(f, "b.gz", 0);
    f->context.end = (struct instant){NOW, 0};
    reading_run(f, "b.gz");
    assert_ok(f);
    assert_int_equal(reading_count(f, "packed"), 1);
}

/* ---- how far it reaches ---- */

static void a_range_that_begins_before_the_logs_is_partial(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", AT("05:00:00", "x") AT("04:00:00", "x"));
    folder_put(f, "b.log", "noise\n" CRI("00:00:03.25", "stdout", "F", "listening"));
    reading_run(f, "*.log");
    assert_notes(f, STATUS_PARTIAL, "logs begin at 2026-05-01T00:00:03Z");
    assert_int_equal(reading_count(f, NULL), 2);
    f->context.start = (struct instant){START + 3, 250000000};
    reading_run(f, "*.log");
    assert_ok(f);
    f->context.start = (struct instant){START + 3, 249999999};
    reading_run(f, "*.log");
    assert_notes(f, STATUS_PARTIAL, "logs begin at 2026-05-01T00:00:03Z");
}

static void logs_without_any_time_say_nothing(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", "noise\n\n[GIN-EXECUTIONS-LOGGER] ?" FIELDS("x") "\n");
    folder_put(f, "b.log", "");
    reading_run(f, "*.log");
    assert_notes(f, STATUS_MISSING, "no line with a time in the log files");
    assert_false(f->status.has_time);
}

static void memory_that_is_full_is_a_partial_reading(void **state)
{
    struct fixture *f = *state;
    struct buf lines;

    usage_free(f->usage);
    f->usage = usage_new(200 * 1024);
    folder_put(f, "a.log", FIRST);
    buf_init(&lines, 1024 * 1024);
    for (int i = 0; i < 5000; i++)
        buf_format(&lines,
                   "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z | 200 | 1ms | ::1 | POST /run/s%d | u\n", i);
    folder_write(f, "a.log", O_APPEND, buf_text(&lines));
    buf_free(&lines);
    reading_run(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "memory limit reached (OSCAR_METRICS_MEMORY)");
    assert_true(reading_count(f, NULL) > 10 && reading_count(f, NULL) < 5001);
}

static void a_job_says_how_much_of_all_is_read(void **state)
{
    struct fixture *f = *state;
    uint64_t before = 0;

    folder_put(f, "a.log", FIRST);
    folder_put_gzip(f, "b.gz", folder_noise(f, 4 * 1024 * 1024));
    reading_begin(f, "a.log,b.gz");
    assert_int_equal(f->job->total, 0);
    while (reading_step(f) == JOB_READY) {
        assert_true(f->job->done >= before && f->job->done <= f->job->total);
        before = f->job->done;
    }
    assert_true(before > 0);
    assert_int_equal(f->job->total, folder_size(f, "a.log") + folder_size(f, "b.gz"));
    assert_int_equal(f->job->done, f->job->total);
}

static void a_deadline_says_how_far_it_got(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    folder_put(f, "a.log", FIRST);
    folder_write(f, "b.log", 0, folder_noise(f, 4 * 1024 * 1024));
    folder_put(f, "c.log", AT("01:00:00", "late"));
    reading_begin(f, "*.log");
    while (f->tally.bytes < 1000)
        assert_int_equal(reading_step(f), JOB_READY);
    f->job->ops->stop(f->job, JOB_DEADLINE);
    assert_int_equal(f->tally.files, 1);
    assert_notes(
        f, STATUS_PARTIAL, "deadline passed after 1 of 3 files (%d %%)",
        (int)(f->tally.bytes * 100 /
              (uint64_t)(folder_size(f, "a.log") + folder_size(f, "b.log") + folder_size(f, "c.log"))));
    assert_int_equal(reading_count(f, NULL), 1);
    assert_true(f->status.has_time);
    assert_int_equal(open_descriptors(), before);
}

static void a_deadline_before_all_is_open_says_so(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    folder_put(f, "a.log", FIRST);
    reading_begin(f, "*.log");
    assert_int_equal(reading_step(f), JOB_READY);
    assert_int_equal(reading_step(f), JOB_READY);
    f->job->ops->stop(f->job, JOB_DEADLINE);
    assert_notes(f, STATUS_PARTIAL, "deadline passed while log files were opened");
    assert_int_equal(open_descriptors(), before);
}

static void a_reading_that_nobody_wants_leaves_nothing_open(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    folder_put(f, "a.log", FIRST CRI("01:00:00", "stderr", "P", "x"));
    folder_put_gzip(f, "b.gz", folder_noise(f, 3000000));
    for (int steps = 0; steps < 12; steps++) {
        bool done = false;

        reading_begin(f, "a.log,b.gz");
        for (int i = 0; i < steps && !done; i++)
            done = reading_step(f) == JOB_DONE;
        if (!done)
            f->job->ops->stop(f->job, JOB_GONE);
        assert_int_equal(open_descriptors(), before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_and_packed_files_are_read),
        TEST(a_row_is_what_the_line_says),
        TEST(exposed_requests_are_read),
        TEST(start_and_end_are_inclusive_to_the_nanosecond),
        TEST(a_file_is_read_once_whatever_its_names),
        TEST(nul_bytes_before_a_line_are_a_hole),
        TEST(the_line_behind_a_long_hole_counts),
        TEST(lines_up_to_64_kib_count),
        TEST(long_lines_that_cannot_count_are_no_loss),
        TEST(long_access_lines_are_judged_by_their_path),
        TEST(pieces_of_a_line_are_joined_by_stream),
        TEST(pieces_across_the_end_of_an_hour_are_no_tail),
        TEST(joined_lines_are_limited_too),
        TEST(pieces_do_not_reach_into_the_next_file),
        TEST(a_last_line_without_its_end_counts_when_nobody_writes_any_more),
        TEST(a_range_that_begins_before_the_logs_is_partial),
        TEST(logs_without_any_time_say_nothing),
        TEST(memory_that_is_full_is_a_partial_reading),
        TEST(a_job_says_how_much_of_all_is_read),
        TEST(a_deadline_says_how_far_it_got),
        TEST(a_deadline_before_all_is_open_says_so),
        TEST(a_reading_that_nobody_wants_leaves_nothing_open),
        TEST_REMEMBERING(plain_and_packed_files_are_read),
        TEST_REMEMBERING(a_row_is_what_the_line_says),
        TEST_REMEMBERING(exposed_requests_are_read),
        TEST_REMEMBERING(start_and_end_are_inclusive_to_the_nanosecond),
        TEST_REMEMBERING(a_file_is_read_once_whatever_its_names),
        TEST_REMEMBERING(nul_bytes_before_a_line_are_a_hole),
        TEST_REMEMBERING(the_line_behind_a_long_hole_counts),
        TEST_REMEMBERING(lines_up_to_64_kib_count),
        TEST_REMEMBERING(long_lines_that_cannot_count_are_no_loss),
        TEST_REMEMBERING(long_access_lines_are_judged_by_their_path),
        TEST_REMEMBERING(pieces_of_a_line_are_joined_by_stream),
        TEST_REMEMBERING(pieces_across_the_end_of_an_hour_are_no_tail),
        TEST_REMEMBERING(joined_lines_are_limited_too),
        TEST_REMEMBERING(pieces_do_not_reach_into_the_next_file),
        TEST_REMEMBERING(a_last_line_without_its_end_counts_when_nobody_writes_any_more),
        TEST_REMEMBERING(a_range_that_begins_before_the_logs_is_partial),
        TEST_REMEMBERING(logs_without_any_time_say_nothing),
        TEST_REMEMBERING(a_job_says_how_much_of_all_is_read),
        TEST_REMEMBERING(a_deadline_says_how_far_it_got),
        TEST_REMEMBERING(a_deadline_before_all_is_open_says_so),
        TEST_REMEMBERING(a_reading_that_nobody_wants_leaves_nothing_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
