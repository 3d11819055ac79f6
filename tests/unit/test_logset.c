/* The set of log files: what cannot be opened or unpacked is said, and rotation loses and doubles nothing. */
#include "logfolder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "util/arena.h"
#include "util/memory.h"

/* ---- what cannot be read ---- */

static void globs_that_match_nothing_are_named(void **state)
{
    struct fixture *f = *state;

    reading_run(f, "*.log");
    assert_notes(f, STATUS_MISSING, "no log file matches %s/*.log", f->folder);
    assert_false(f->status.has_time);
    folder_put(f, "a.log", FIRST);
    reading_run(f, "*.log,b.log,none/*.log");
    assert_notes(f, STATUS_PARTIAL, "no log file matches %s/b.log; no log file matches %s/none/*.log",
                 f->folder, f->folder);
    assert_int_equal(reading_count(f, NULL), 1);
}

static void empty_globs_are_no_globs(void **state)
{
    struct fixture *f = *state;

    status_init(&f->status, f->arena, "request-logs");
    f->job = logfiles_start(&f->context, " , ", &f->rules, f->usage, &f->status, &f->tally);
    reading_finish(f);
    assert_notes(f, STATUS_MISSING, "no log files are configured");
}

/* Root may read everything, so what cannot be opened here is a link to itself and a link to nothing. */
static void files_that_cannot_be_opened_are_named(void **state)
{
    struct fixture *f = *state;
    const char *at = f->folder;

    assert_int_equal(mkdir(folder_path(f, "dir.log"), 0700), 0);
    assert_int_equal(mkfifo(folder_path(f, "fifo.log"), 0600), 0);
    assert_int_equal(symlink("loop.log", folder_path(f, "loop.log")), 0);
    assert_int_equal(symlink("nowhere", folder_path(f, "void.log")), 0);
    assert_int_equal(symlink("/dev/zero", folder_path(f, "zero.log")), 0);
    folder_put(f, "a.log", FIRST);
    reading_run(f, "*.log");
    assert_notes(
        f, STATUS_PARTIAL,
        "%s/dir.log is not a regular file; %s/fifo.log is not a regular file; cannot open %s/loop.log: "
        "Too many levels of symbolic links; cannot open %s/void.log: No such file or directory; "
        "%s/zero.log is not a regular file",
        at, at, at, at, at);
    assert_int_equal(reading_count(f, NULL), 1);
    reading_run(f, "fifo.log");
    assert_notes(f, STATUS_MISSING, "%s/fifo.log is not a regular file", at);
}

static void files_of_other_compressors_are_named(void **state)
{
    static const char *const begins[] = {"\xfd\x37zXZ", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18",
                                         "BZh9",        "PK\x03\x04",       "\x1f\x9d\x90"};
    struct fixture *f = *state;

    folder_put(f, "a.log", FIRST);
    folder_put(f, "b.log", "BZ");
    for (size_t i = 0; i < COUNT_OF(begins); i++) {
        folder_put(f, "a.log.1", begins[i]);
        reading_forget(f);
        reading_run(f, "*.log*");
        assert_notes(f, STATUS_PARTIAL, "%s/a.log.1 is compressed, but not by gzip", f->folder);
        assert_int_equal(reading_count(f, NULL), 1);
    }
}

static void a_folder_that_cannot_be_read_is_said(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(folder_path(f, "b"), 0700), 0);
    folder_put(f, "b/a.log", FIRST);
    assert_int_equal(symlink("loop", folder_path(f, "loop")), 0);
    reading_run(f, "b/*.log,loop/*.log");
    assert_notes(f, STATUS_PARTIAL, "a folder of %s/loop/*.log cannot be read", f->folder);
    assert_int_equal(reading_count(f, NULL), 1);
}

static void names_of_any_bytes_are_shown_as_text(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(folder_path(f, "x\xff\ny"), 0700), 0);
    assert_int_equal(mkdir(folder_path(f, "x\xc3\xa9"), 0700), 0);
    reading_run(f, "x*");
    assert_notes(f, STATUS_MISSING, "%s/x\xc3\xa9 is not a regular file; %s/x??y is not a regular file",
                 f->folder, f->folder);
}

static void more_files_than_descriptors_are_a_partial_reading(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, few;
    int spare;

    for (int i = 0; i < 9; i++)
        folder_put(f, arena_format(f->arena, "%d.log", i), FIRST);
    spare = open("/dev/null", O_RDONLY);
    close(spare);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){(rlim_t)spare + 3, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    /* glob() itself needs a descriptor: without wildcards it does not. */
    reading_run(f, "0.log,1.log,2.log,3.log");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_notes(f, STATUS_PARTIAL, "cannot open %s/3.log: Too many open files", f->folder);
    assert_int_equal(reading_count(f, NULL), 3);
}

static void files_beyond_the_limit_are_said(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, many;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    many = (struct rlimit){5000, old.rlim_max > 5000 ? old.rlim_max : 5000};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &many), 0);
    for (int i = 0; i < 4097; i++) {
        char name[32];

        snprintf(name, sizeof(name), "%d.log", i);
        folder_put(f, name, FIRST);
    }
    reading_run(f, "*.log");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_notes(f, STATUS_PARTIAL, "more than 4096 log files: the rest is left out");
    assert_int_equal(reading_count(f, NULL), 4096);
}

static void a_gzip_file_that_is_cut_short_counts_as_far_as_it_goes(void **state)
{
    struct fixture *f = *state;
    size_t size;

    folder_put_gzip(f, "a.gz", TEXT_LITERAL(FIRST));
    size = (size_t)folder_size(f, "a.gz");
    folder_put_gzip(f, "a.gz", folder_noise(f, 300000));
    folder_cut(f, "a.gz", folder_size(f, "a.gz") - 2000);
    reading_run(f, "*.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz ends early", f->folder);
    assert_int_equal(reading_count(f, NULL), 1);
    assert_true(f->tally.lines > 2000);
    folder_cut(f, "a.gz", (int64_t)size + 1); /* in the middle of the second member's header */
    reading_run(f, "*.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz ends early", f->folder);
    assert_int_equal(reading_count(f, NULL), 2);
    folder_cut(f, "a.gz", (int64_t)size); /* at its end: nothing tells */
    reading_run(f, "*.gz");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 3);
}

/* zlib may hold back what it had no room for: wherever the file ends, no line may stay in there. */
static void all_lines_of_a_cut_gzip_file_are_read(void **state)
{
    enum { UNPACKED = 250000 };
    struct fixture *f = *state;
    unsigned char *whole = memory_new(UNPACKED, 1);
    char *data = memory_new(UNPACKED, 1);
    size_t size;

    for (size_t i = 0; i < UNPACKED; i++)
        data[i] = i % 10 == 9 ? '\n' : 'x';
    folder_put_gzip(f, "a.gz", (struct text){data, UNPACKED});
    size = (size_t)folder_size(f, "a.gz");
    folder_read(f, "a.gz", data, size);
    for (size_t cut = 8; cut < size - 50; cut += unit_stride()) {
        z_stream zlib = {.next_in = (unsigned char *)data,
                         .avail_in = (unsigned)(size - cut),
                         .next_out = whole,
                         .avail_out = UNPACKED};

        assert_int_equal(inflateInit2(&zlib, 31), Z_OK);
        inflate(&zlib, Z_SYNC_FLUSH);
        folder_cut(f, "a.gz", (int64_t)(size - cut));
        reading_run(f, "a.gz");
        if (f->tally.lines != zlib.total_out / 10)
            fail_msg("without its last %zu bytes: %d lines", cut, (int)f->tally.lines);
        inflateEnd(&zlib);
    }
    free(whole);
    free(data);
}

/* What a file that breaks off leaves behind its last line end may be the half of a line that would count. */
static void half_lines_of_broken_gzip_files_do_not_count(void **state)
{
    struct fixture *f = *state;

    folder_put_gzip(f, "a.gz", TEXT_LITERAL(FIRST AT("01:00:00", "half") AT("01:00:00", "half")));
    folder_cut(f, "a.gz", folder_size(f, "a.gz") - 8); /* without the trailer: all bytes, but nobody knows */
    reading_run(f, "a.gz");
    assert_int_equal(reading_count(f, NULL), 3);
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz ends early", f->folder);
    folder_put_gzip(f, "b.gz",
                    TEXT_LITERAL(FIRST "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z" FIELDS("half")));
    folder_cut(f, "b.gz", folder_size(f, "b.gz") - 8);
    reading_run(f, "b.gz");
    assert_int_equal(reading_count(f, NULL), 4);
    assert_notes(f, STATUS_PARTIAL, "%s/b.gz ends early", f->folder);
}

static void damaged_gzip_files_count_up_to_the_damage(void **state)
{
    struct fixture *f = *state;

    folder_put_gzip(f, "a.gz", TEXT_LITERAL(FIRST));
    folder_append(f, "a.gz", "\x1f\x8b\x08 this is no gzip");
    reading_run(f, "a.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz is damaged", f->folder);
    assert_int_equal(reading_count(f, NULL), 1);
    folder_put_gzip(f, "b.gz", TEXT_LITERAL(FIRST));
    folder_append(f, "b.gz", "something else");
    reading_run(f, "b.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/b.gz is damaged", f->folder);
    assert_int_equal(reading_count(f, NULL), 2);
}

static void zeros_behind_a_gzip_file_are_padding(void **state)
{
    struct fixture *f = *state;

    folder_put_gzip(f, "a.gz", TEXT_LITERAL(FIRST));
    folder_write(f, "a.gz", O_APPEND, TEXT_LITERAL("\0\0\0\0\0"));
    reading_run(f, "a.gz");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 1);
}

/* ---- rotation ---- */

/* The older file becomes .2, the live one .1, and a new one begins. */
static void rotate(struct fixture *f)
{
    folder_move(f, "app.log.1", "app.log.2");
    folder_move(f, "app.log", "app.log.1");
    folder_put(f, "app.log", AT("03:00:00", "new"));
}

/* Between any two steps: before the looking, between looking and opening, while reading. */
static void a_rotation_loses_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;

    for (int steps = 0; steps < 8; steps++) {
        usage_free(f->usage);
        f->usage = usage_new(1024 * 1024);
        unlink(folder_path(f, "app.log.2"));
        folder_put(f, "app.log.1", FIRST AT("01:00:00", "old"));
        folder_put(f, "app.log", AT("02:00:00", "live"));
        reading_begin(f, "app.log*");
        for (int i = 0; i < steps; i++)
            if (reading_step(f) == JOB_DONE)
                return;
        rotate(f);
        reading_finish(f);
        assert_ok(f);
        assert_int_equal(reading_count(f, "first"), 1);
        assert_int_equal(reading_count(f, "old"), 1);
        assert_int_equal(reading_count(f, "live"), 1);
        assert_true(reading_count(f, "new") <= 1);
        unlink(folder_path(f, "app.log.1"));
    }
    fail_msg("the job should have ended");
}

/* A new file before each step: every look finds another one. */
static void who_renames_for_ever_is_not_waited_for(void **state)
{
    struct fixture *f = *state;
    int steps = 0;

    folder_put(f, "a.log", FIRST);
    reading_begin(f, "*.log");
    do
        folder_put(f, arena_format(f->arena, "b%02d.log", steps), AT("01:00:00", "yolo"));
    while (++steps < 1000 && reading_step(f) != JOB_DONE);
    assert_notes(f, STATUS_PARTIAL, "log files were still being renamed after %d looks", LOGSET_ROUNDS_MAX);
    /* As many as the last look found, and not one twice. */
    assert_in_range(reading_count(f, "yolo"), LOGSET_ROUNDS_MAX, 2 * LOGSET_ROUNDS_MAX);
}

static void compressing_meanwhile_loses_and_doubles_nothing(void **state)
{
    static const char lines[] = FIRST AT("01:00:00", "old");
    struct fixture *f = *state;

    for (int steps = 0; steps < 10; steps++) {
        usage_free(f->usage);
        f->usage = usage_new(1024 * 1024);
        folder_put(f, "app.log.1", lines);
        folder_put(f, "app.log", AT("02:00:00", "live"));
        reading_begin(f, "app.log*");
        for (int i = 0; i < steps; i++)
            if (reading_step(f) == JOB_DONE)
                return;
        folder_put_gzip(f, "app.log.1.gz", text_of(lines));
        unlink(folder_path(f, "app.log.1"));
        reading_finish(f);
        assert_ok(f);
        assert_int_equal(reading_count(f, "old"), 1);
        assert_int_equal(reading_count(f, NULL), 3);
        unlink(folder_path(f, "app.log.1.gz"));
    }
    fail_msg("the job should have ended");
}

static void a_copy_in_the_making_is_skipped_without_a_word(void **state)
{
    struct fixture *f = *state;
    struct text rest = folder_noise(f, 200000);

    folder_put(f, "a.log.1", FIRST);
    folder_write(f, "a.log.1", O_APPEND, rest);
    folder_put_gzip(f, "a.log.1.gz", TEXT_LITERAL(FIRST));
    folder_put_gzip(f, "a.log.1.gz", rest);
    folder_cut(f, "a.log.1.gz", folder_size(f, "a.log.1.gz") / 2); /* more than 64 KB unpacked */
    reading_run(f, "a*");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 1);
    folder_cut(f, "a.log.1.gz", 60); /* less */
    reading_run(f, "a*");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 2);
    folder_cut(f, "a.log.1.gz", 10); /* only a header: the name tells */
    reading_run(f, "a*");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 3);
}

static void a_gzip_file_with_other_lines_is_no_copy(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(folder_path(f, "x"), 0700), 0);
    folder_put(f, "a.log", FIRST);
    folder_put_gzip(f, "x/a.log.gz", TEXT_LITERAL(FIRST));             /* another folder */
    folder_put_gzip(f, "a.log.gz", TEXT_LITERAL(AT("00:00:00", "b"))); /* another beginning */
    folder_put_gzip(f, "b.log.gz", TEXT_LITERAL(FIRST FIRST));         /* it has more */
    folder_put_gzip(f, "a.log.1.gz", TEXT_LITERAL("x"));
    folder_cut(f, "a.log.1.gz", 10); /* nothing in it, and the name is not a.log's */
    reading_run(f, "*.log,*.gz,x/*");
    assert_notes(f, STATUS_PARTIAL, "%s/a.log.1.gz ends early", f->folder);
    assert_int_equal(reading_count(f, "first"), 4);
    assert_int_equal(reading_count(f, "b"), 1);
}

static void what_is_appended_meanwhile_is_not_read(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", FIRST);
    reading_begin(f, "a.log");
    for (int i = 0; i < 4; i++)
        assert_int_equal(reading_step(f), JOB_READY);
    folder_append(f, "a.log", AT("01:00:00", "late"));
    reading_finish(f);
    assert_ok(f);
    assert_int_equal(reading_count(f, "first"), 1);
    assert_int_equal(reading_count(f, "late"), 0);
}

static void a_file_that_shrinks_is_said(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", FIRST);
    folder_write(f, "a.log", O_APPEND, folder_noise(f, 3 * 1024 * 1024));
    reading_begin(f, "a.log");
    while (f->tally.bytes == 0)
        assert_int_equal(reading_step(f), JOB_READY);
    folder_cut(f, "a.log", 100);
    reading_finish(f);
    assert_notes(f, STATUS_PARTIAL, "%s/a.log was cut while it was read", f->folder);
    assert_int_equal(reading_count(f, NULL), 1);
}

/* What a copytruncate of logrotate shows between its copy and its truncate, and while it copies. */
static void a_copy_of_a_plain_file_in_the_making_counts_once(void **state)
{
    struct fixture *f = *state;
    const char *lines = FIRST AT("01:00:00", "one") AT("02:00:00", "two");

    folder_put(f, "a.log", lines);
    folder_put(f, "a.log.1", lines);
    folder_age(f, "a.log.1", 0);
    reading_run(f, "a.log*");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 3);
    folder_cut(f, "a.log.1", (int64_t)sizeof(FIRST AT("01:00:00", "one")) - 1);
    folder_age(f, "a.log.1", 0);
    reading_run(f, "a.log*");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 6); /* of both readings */
}

static void files_that_only_begin_alike_are_no_copies(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", FIRST AT("01:00:00", "one"));
    folder_put(f, "b.log", FIRST AT("02:00:00", "two"));
    folder_age(f, "a.log", 0);
    folder_age(f, "b.log", 0);
    reading_run(f, "*.log");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 4);
}

/* gunzip -k: the packed file is whole, the plain one is not yet. */
static void of_a_file_that_is_being_unpacked_the_packed_one_counts(void **state)
{
    struct fixture *f = *state;

    folder_put_gzip(f, "a.log.gz", TEXT_LITERAL(FIRST AT("01:00:00", "one") AT("02:00:00", "two")));
    folder_put(f, "a.log", FIRST AT("01:00:00", "one") AT("02:00:00", "two"));
    folder_cut(f, "a.log", (int64_t)sizeof(FIRST) - 1);
    folder_age(f, "a.log", 0);
    reading_run(f, "a.log*");
    assert_ok(f);
    assert_int_equal(reading_count(f, NULL), 3);
}

static void problems_beyond_the_limit_are_counted(void **state)
{
    struct fixture *f = *state;

    folder_put(f, "a.log", FIRST);
    for (int i = 0; i < LOGSET_PROBLEMS_MAX; i++)
        assert_int_equal(mkdir(folder_path(f, arena_format(f->arena, "d%02d.log", i)), 0700), 0);
    reading_run(f, "*.log");
    assert_int_equal(f->status.note_count, LOGSET_PROBLEMS_MAX);
    reading_forget(f);
    for (int i = 0; i < 5; i++)
        assert_int_equal(mkdir(folder_path(f, arena_format(f->arena, "e%02d.log", i)), 0700), 0);
    reading_run(f, "*.log");
    assert_int_equal(f->status.note_count, LOGSET_PROBLEMS_MAX + 1); /* "5 more ..." */
    assert_int_equal(reading_count(f, NULL), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(globs_that_match_nothing_are_named),
        TEST(empty_globs_are_no_globs),
        TEST(files_that_cannot_be_opened_are_named),
        TEST(files_of_other_compressors_are_named),
        TEST(a_folder_that_cannot_be_read_is_said),
        TEST(names_of_any_bytes_are_shown_as_text),
        TEST(more_files_than_descriptors_are_a_partial_reading),
        TEST(files_beyond_the_limit_are_said),
        TEST(a_gzip_file_that_is_cut_short_counts_as_far_as_it_goes),
        TEST(all_lines_of_a_cut_gzip_file_are_read),
        TEST(half_lines_of_broken_gzip_files_do_not_count),
        TEST(damaged_gzip_files_count_up_to_the_damage),
        TEST(zeros_behind_a_gzip_file_are_padding),
        TEST(a_rotation_loses_and_doubles_nothing),
        TEST(who_renames_for_ever_is_not_waited_for),
        TEST(compressing_meanwhile_loses_and_doubles_nothing),
        TEST(a_copy_in_the_making_is_skipped_without_a_word),
        TEST(a_gzip_file_with_other_lines_is_no_copy),
        TEST(a_copy_of_a_plain_file_in_the_making_counts_once),
        TEST(files_that_only_begin_alike_are_no_copies),
        TEST(of_a_file_that_is_being_unpacked_the_packed_one_counts),
        TEST_REMEMBERING(a_copy_of_a_plain_file_in_the_making_counts_once),
        TEST_REMEMBERING(of_a_file_that_is_being_unpacked_the_packed_one_counts),
        TEST(what_is_appended_meanwhile_is_not_read),
        TEST(a_file_that_shrinks_is_said),
        TEST_REMEMBERING(globs_that_match_nothing_are_named),
        TEST_REMEMBERING(empty_globs_are_no_globs),
        TEST_REMEMBERING(files_that_cannot_be_opened_are_named),
        TEST_REMEMBERING(files_of_other_compressors_are_named),
        TEST_REMEMBERING(a_folder_that_cannot_be_read_is_said),
        TEST_REMEMBERING(names_of_any_bytes_are_shown_as_text),
        TEST_REMEMBERING(more_files_than_descriptors_are_a_partial_reading),
        TEST_REMEMBERING(a_gzip_file_that_is_cut_short_counts_as_far_as_it_goes),
        TEST_REMEMBERING(all_lines_of_a_cut_gzip_file_are_read),
        TEST_REMEMBERING(half_lines_of_broken_gzip_files_do_not_count),
        TEST_REMEMBERING(damaged_gzip_files_count_up_to_the_damage),
        TEST_REMEMBERING(zeros_behind_a_gzip_file_are_padding),
        TEST_REMEMBERING(a_rotation_loses_and_doubles_nothing),
        TEST_REMEMBERING(compressing_meanwhile_loses_and_doubles_nothing),
        TEST_REMEMBERING(a_copy_in_the_making_is_skipped_without_a_word),
        TEST_REMEMBERING(a_gzip_file_with_other_lines_is_no_copy),
        TEST_REMEMBERING(what_is_appended_meanwhile_is_not_read),
        TEST_REMEMBERING(a_file_that_shrinks_is_said),
        TEST(problems_beyond_the_limit_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
