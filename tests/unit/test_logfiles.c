/* Log files: every line once, whatever happens to the files meanwhile, and a word about all that was lost. */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "sources/logfiles.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/memory.h"

#define FIELDS(service)              " | 200 | 1ms | 10.0.0.1 | POST /run/" service " | a1@egi.eu"
#define AT(time, service)            "[GIN-EXECUTIONS-LOGGER] 2026-05-01T" time "Z" FIELDS(service) "\n"
#define CRI(time, stream, tag, rest) "2026-05-01T" time "Z " stream " " tag " " rest "\n"
#define FIRST                        AT("00:00:00", "first") /* at the very start of the range: nothing is missing before it */
#define ACCESS(path)                 "::1 - - [01/May/2026:00:00:00 +0000] \"GET " path " HTTP/1.1\" 200\n"

enum {
    START = 1777593600, /* 2026-05-01T00:00:00Z */
    END = START + 86400 - 1,
    NOW = START + 100000,
    LINE_MAX_BYTES = 65536,
};

/* One folder with log files and one reading of them. */
struct fixture {
    char folder[64], globs[512];
    struct arena *arena;
    struct source_context context;
    struct logline_rules rules;
    struct usage *usage;
    struct source_status status;
    struct logfiles_tally tally;
    struct job *job;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    strncpy(f->folder, "/tmp/test-logfiles-XXXXXX", sizeof(f->folder) - 1);
    if (mkdtemp(f->folder) == NULL)
        return -1;
    f->arena = arena_new();
    f->context = (struct source_context){
        .arena = f->arena, .start = {START, 0}, .end = {END, 999999999}, .now = {NOW, 0}};
    f->rules = (struct logline_rules){LOGLINE_REQUESTS, "oscar-svc", NULL};
    f->usage = usage_new(16 * 1024 * 1024);
    *state = f;
    return 0;
}

static void remove_tree(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)) != NULL) {
        char name[512];

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        if (unlink(name) != 0)
            remove_tree(name);
    }
    if (folder)
        closedir(folder);
    rmdir(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    remove_tree(f->folder);
    usage_free(f->usage);
    arena_free(f->arena);
    free(f);
    return 0;
}

/* ---- files ---- */

static const char *in(struct fixture *f, const char *name)
{
    return arena_format(f->arena, "%s/%s", f->folder, name);
}

static void set_age(struct fixture *f, const char *name, int seconds)
{
    struct timespec times[2] = {{NOW - seconds, 0}, {NOW - seconds, 0}};

    assert_int_equal(utimensat(AT_FDCWD, in(f, name), times, 0), 0);
}

static void write_bytes(struct fixture *f, const char *name, int flags, struct text text)
{
    int fd = open(in(f, name), O_WRONLY | O_CREAT | flags, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.data, text.length), text.length);
    close(fd);
    set_age(f, name, 3600);
}

static void put(struct fixture *f, const char *name, const char *text)
{
    write_bytes(f, name, O_TRUNC, text_of(text));
}

static void append(struct fixture *f, const char *name, const char *text)
{
    write_bytes(f, name, O_APPEND, text_of(text));
}

/* One gzip member, appended. */
static void put_gzip(struct fixture *f, const char *name, struct text text)
{
    gzFile file = gzopen(in(f, name), "ab9");

    assert_non_null(file);
    if (text.length > 0)
        assert_int_equal(gzwrite(file, text.data, (unsigned)text.length), text.length);
    assert_int_equal(gzclose(file), Z_OK);
    set_age(f, name, 3600);
}

static int64_t size_of(struct fixture *f, const char *name)
{
    struct stat file;

    assert_int_equal(stat(in(f, name), &file), 0);
    return file.st_size;
}

static void read_bytes(struct fixture *f, const char *name, char *to, size_t size)
{
    int fd = open(in(f, name), O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, to, size), size);
    close(fd);
}

static void cut_to(struct fixture *f, const char *name, int64_t size)
{
    assert_int_equal(truncate(in(f, name), size), 0);
    set_age(f, name, 3600);
}

static void move(struct fixture *f, const char *from, const char *to)
{
    assert_int_equal(rename(in(f, from), in(f, to)), 0);
}

/* Lines that do not count, some `bytes` of them, of random letters so that gzip has something to do. */
static struct text noise(struct fixture *f, size_t bytes)
{
    char *data = arena_alloc(f->arena, bytes, 1);
    unsigned random = 1;

    for (size_t i = 0; i < bytes; i++) {
        random = random * 1103515245 + 12345;
        data[i] = i % 100 == 99 ? '\n' : (char)('A' + (random >> 16) % 26);
    }
    return (struct text){data, bytes};
}

static struct text letters(struct fixture *f, size_t count)
{
    char *data = arena_alloc(f->arena, count + 1, 1);

    memset(data, 'x', count);
    return (struct text){data, count};
}

/* ---- reading ---- */

static void begin(struct fixture *f, const char *names)
{
    struct text rest = text_of(names);
    size_t length = 0;

    while (rest.data != NULL) {
        struct text name = text_cut(&rest, ',');

        length += (size_t)snprintf(f->globs + length, sizeof(f->globs) - length, "%s%s/%.*s",
                                   length > 0 ? " , " : "", f->folder, (int)name.length, name.data);
    }
    status_init(&f->status, f->arena, "request-logs");
    f->job = logfiles_start(&f->context, f->globs, &f->rules, f->usage, &f->status, &f->tally);
}

static enum job_state step(struct fixture *f)
{
    return f->job->ops->step(f->job);
}

static void finish(struct fixture *f)
{
    for (int i = 0; i < 100000; i++) {
        enum job_state now = step(f);

        if (now == JOB_DONE)
            return;
        assert_int_equal(now, JOB_READY);
    }
    fail_msg("the job does not end");
}

static void read_files(struct fixture *f, const char *names)
{
    begin(f, names);
    finish(f);
}

static uint64_t count_of(const struct fixture *f, const char *service)
{
    const struct usage_row *rows = usage_rows(f->usage);
    uint64_t sum = 0;

    for (size_t i = 0; i < usage_row_count(f->usage); i++)
        if (service == NULL || text_is(usage_string(f->usage, rows[i].service), service))
            sum += rows[i].count;
    return sum;
}

__attribute__((format(printf, 3, 4))) static void
assert_notes(const struct fixture *f, enum status_level level, const char *format, ...)
{
    const char *notes = status_notes(&f->status);
    char expected[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(expected, sizeof(expected), format, args);
    va_end(args);
    assert_string_equal(notes ? notes : "", expected);
    assert_int_equal(f->status.level, level);
}

static void assert_ok(const struct fixture *f)
{
    assert_notes(f, STATUS_OK, "%s", "");
}

static size_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

/* ---- what is read ---- */

static void plain_and_packed_files_are_read(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    put(f, "a.log", FIRST AT("01:00:00", "plain") "\r\n\n" AT("01:00:00.5", "plain") "noise\n");
    put(f, "b.log", CRI("02:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("cri")) "\n");
    put(f, "c.log", "2026-05-01T02:00:00Z [GIN-EXECUTIONS-LOGGER] ?" FIELDS("kubectl") "\r\n");
    put_gzip(f, "d.log.gz", TEXT_LITERAL(AT("03:00:00", "packed") AT("03:00:00", "packed") "[GIN-EXEC"));
    put_gzip(f, "d.log.gz", TEXT_LITERAL("UTIONS-LOGGER] 2026-05-01T03:00:00Z" FIELDS("packed") "\n"));
    put_gzip(f, "d.log.gz", TEXT_LITERAL(""));
    put_gzip(f, "d.log.gz", TEXT_LITERAL(AT("03:00:00", "last-member")));
    put(f, "empty.log", "");
    read_files(f, "*.log,*.gz");
    assert_ok(f);
    assert_int_equal(count_of(f, "plain"), 2);
    assert_int_equal(count_of(f, "cri"), 1);
    assert_int_equal(count_of(f, "kubectl"), 1);
    assert_int_equal(count_of(f, "packed"), 3);
    assert_int_equal(count_of(f, "last-member"), 1);
    assert_int_equal(count_of(f, NULL), 9);
    assert_true(f->status.has_time);
    assert_int_equal(f->status.last_updated.seconds, NOW);
    assert_int_equal(f->tally.files, 5);
    assert_int_equal(f->tally.lines, 13);
    assert_int_equal(f->tally.bytes, size_of(f, "a.log") + size_of(f, "b.log") + size_of(f, "c.log") +
                                         size_of(f, "d.log.gz"));
    assert_int_equal(f->tally.results[LOGLINE_COUNTS], 9);
    assert_int_equal(f->tally.results[LOGLINE_NO_PREFIX], 4);
    assert_int_equal(open_descriptors(), before);
}

static void a_row_is_what_the_line_says(void **state)
{
    struct fixture *f = *state;
    const struct usage_row *row;

    put(f, "a.log",
        "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:59:59Z | 500 | 1ms | 10.0.0.1 | PUT /job/x | b\xff | yolo | "
        "oscar-svc-b2\n");
    read_files(f, "a.log");
    assert_int_equal(usage_row_count(f->usage), 1);
    row = usage_rows(f->usage);
    assert_int_equal(row->hour, START / 3600 + 1);
    assert_int_equal(row->type, USAGE_ASYNC);
    assert_int_equal(row->country, 0);
    assert_int_equal(row->count, 1);
    assert_true(text_is(usage_string(f->usage, row->service), "yolo"));
    assert_true(text_is(usage_string(f->usage, row->namespace), "oscar-svc-b2"));
    assert_true(text_is(usage_string(f->usage, row->user), "b\xef\xbf\xbd"));
}

static void exposed_requests_are_read(void **state)
{
    struct fixture *f = *state;

    f->rules.kind = LOGLINE_EXPOSED;
    put(f, "a.log",
        ACCESS("/system/services/nb/exposed/")
            ACCESS("/") "{\"RequestPath\":\"/system/services/nb/"
                        "exposed\",\"StartUTC\":\"2026-05-01T02:00:00Z\"}\n");
    read_files(f, "a.log");
    assert_ok(f);
    assert_int_equal(count_of(f, "nb"), 2);
    assert_int_equal(usage_rows(f->usage)[0].type, USAGE_EXPOSED);
    assert_int_equal(f->tally.results[LOGLINE_PATH], 1);
}

static void start_and_end_are_inclusive_to_the_nanosecond(void **state)
{
    struct fixture *f = *state;

    f->context.start = (struct instant){START + 3600, 5};
    f->context.end = (struct instant){START + 7200, 7};
    put(f, "a.log",
        AT("01:00:00.000000004", "before") AT("01:00:00.000000005", "start") AT("02:00:00.000000007", "end")
            AT("02:00:00.000000008", "after") "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("timeless") "\n");
    read_files(f, "a.log");
    assert_ok(f);
    assert_int_equal(count_of(f, "start"), 1);
    assert_int_equal(count_of(f, "end"), 1);
    assert_int_equal(count_of(f, NULL), 2);
    assert_int_equal(f->tally.lines, 5);
    assert_int_equal(f->tally.results[LOGLINE_COUNTS], 2);
    assert_int_equal(f->tally.results[LOGLINE_TIME], 1);
}

static void a_file_is_read_once_whatever_its_names(void **state)
{
    struct fixture *f = *state;

    put(f, "a.log", FIRST);
    assert_int_equal(link(in(f, "a.log"), in(f, "hard.log")), 0);
    assert_int_equal(symlink("a.log", in(f, "soft.log")), 0);
    read_files(f, "*.log,a.log,?.log,./a.log");
    assert_ok(f);
    assert_int_equal(count_of(f, NULL), 1);
    assert_int_equal(f->tally.files, 1);
}

static void nul_bytes_are_part_of_a_line(void **state)
{
    struct fixture *f = *state;

    write_bytes(f, "a.log", 0, TEXT_LITERAL("\0\0\n" FIRST "\0" FIRST "\0\0"));
    read_files(f, "a.log");
    assert_ok(f);
    assert_int_equal(count_of(f, NULL), 1);
    assert_int_equal(f->tally.lines, 4);
}

/* ---- what cannot be read ---- */

static void globs_that_match_nothing_are_named(void **state)
{
    struct fixture *f = *state;

    read_files(f, "*.log");
    assert_notes(f, STATUS_MISSING, "no log file matches %s/*.log", f->folder);
    assert_false(f->status.has_time);
    put(f, "a.log", FIRST);
    read_files(f, "*.log,b.log,none/*.log");
    assert_notes(f, STATUS_PARTIAL, "no log file matches %s/b.log; no log file matches %s/none/*.log",
                 f->folder, f->folder);
    assert_int_equal(count_of(f, NULL), 1);
}

static void empty_globs_are_no_globs(void **state)
{
    struct fixture *f = *state;

    status_init(&f->status, f->arena, "request-logs");
    f->job = logfiles_start(&f->context, " , ", &f->rules, f->usage, &f->status, &f->tally);
    finish(f);
    assert_notes(f, STATUS_MISSING, "no log files are configured");
}

/* Root may read everything, so what cannot be opened here is a link to itself and a link to nothing. */
static void files_that_cannot_be_opened_are_named(void **state)
{
    struct fixture *f = *state;
    const char *at = f->folder;

    assert_int_equal(mkdir(in(f, "dir.log"), 0700), 0);
    assert_int_equal(mkfifo(in(f, "fifo.log"), 0600), 0);
    assert_int_equal(symlink("loop.log", in(f, "loop.log")), 0);
    assert_int_equal(symlink("nowhere", in(f, "void.log")), 0);
    assert_int_equal(symlink("/dev/zero", in(f, "zero.log")), 0);
    put(f, "a.log", FIRST);
    read_files(f, "*.log");
    assert_notes(
        f, STATUS_PARTIAL,
        "%s/dir.log is not a regular file; %s/fifo.log is not a regular file; cannot open %s/loop.log: "
        "Too many levels of symbolic links; cannot open %s/void.log: No such file or directory; "
        "%s/zero.log is not a regular file",
        at, at, at, at, at);
    assert_int_equal(count_of(f, NULL), 1);
    read_files(f, "fifo.log");
    assert_notes(f, STATUS_MISSING, "%s/fifo.log is not a regular file", at);
}

static void a_folder_that_cannot_be_read_is_said(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(in(f, "b"), 0700), 0);
    put(f, "b/a.log", FIRST);
    assert_int_equal(symlink("loop", in(f, "loop")), 0);
    read_files(f, "b/*.log,loop/*.log");
    assert_notes(f, STATUS_PARTIAL, "a folder of %s/loop/*.log cannot be read", f->folder);
    assert_int_equal(count_of(f, NULL), 1);
}

static void names_of_any_bytes_are_shown_as_text(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(in(f, "x\xff\ny"), 0700), 0);
    assert_int_equal(mkdir(in(f, "x\xc3\xa9"), 0700), 0);
    read_files(f, "x*");
    assert_notes(f, STATUS_MISSING, "%s/x\xc3\xa9 is not a regular file; %s/x??y is not a regular file",
                 f->folder, f->folder);
}

static void more_files_than_descriptors_are_a_partial_reading(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, few;
    int spare;

    for (int i = 0; i < 9; i++)
        put(f, arena_format(f->arena, "%d.log", i), FIRST);
    spare = open("/dev/null", O_RDONLY);
    close(spare);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    few = (struct rlimit){(rlim_t)spare + 3, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    /* glob() itself needs a descriptor: without wildcards it does not. */
    read_files(f, "0.log,1.log,2.log,3.log");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_notes(f, STATUS_PARTIAL, "cannot open %s/3.log: Too many open files", f->folder);
    assert_int_equal(count_of(f, NULL), 3);
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
        put(f, name, FIRST);
    }
    read_files(f, "*.log");
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_notes(f, STATUS_PARTIAL, "more than 4096 log files: the rest is left out");
    assert_int_equal(count_of(f, NULL), 4096);
}

static void a_gzip_file_that_is_cut_short_counts_as_far_as_it_goes(void **state)
{
    struct fixture *f = *state;
    size_t size;

    put_gzip(f, "a.gz", TEXT_LITERAL(FIRST));
    size = (size_t)size_of(f, "a.gz");
    put_gzip(f, "a.gz", noise(f, 300000));
    cut_to(f, "a.gz", size_of(f, "a.gz") - 2000);
    read_files(f, "*.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz ends early", f->folder);
    assert_int_equal(count_of(f, NULL), 1);
    assert_true(f->tally.lines > 2000);
    cut_to(f, "a.gz", (int64_t)size + 1); /* in the middle of the second member's header */
    read_files(f, "*.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz ends early", f->folder);
    assert_int_equal(count_of(f, NULL), 2);
    cut_to(f, "a.gz", (int64_t)size); /* at its end: nothing tells */
    read_files(f, "*.gz");
    assert_ok(f);
    assert_int_equal(count_of(f, NULL), 3);
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
    put_gzip(f, "a.gz", (struct text){data, UNPACKED});
    size = (size_t)size_of(f, "a.gz");
    read_bytes(f, "a.gz", data, size);
    for (size_t cut = 8; cut < size - 50; cut++) {
        z_stream zlib = {.next_in = (unsigned char *)data,
                         .avail_in = (unsigned)(size - cut),
                         .next_out = whole,
                         .avail_out = UNPACKED};

        assert_int_equal(inflateInit2(&zlib, 31), Z_OK);
        inflate(&zlib, Z_SYNC_FLUSH);
        cut_to(f, "a.gz", (int64_t)(size - cut));
        read_files(f, "a.gz");
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

    put_gzip(f, "a.gz", TEXT_LITERAL(FIRST AT("01:00:00", "half") AT("01:00:00", "half")));
    cut_to(f, "a.gz", size_of(f, "a.gz") - 8); /* without the trailer: all bytes, but nobody knows */
    read_files(f, "a.gz");
    assert_int_equal(count_of(f, NULL), 3);
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz ends early", f->folder);
    put_gzip(f, "b.gz", TEXT_LITERAL(FIRST "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z" FIELDS("half")));
    cut_to(f, "b.gz", size_of(f, "b.gz") - 8);
    read_files(f, "b.gz");
    assert_int_equal(count_of(f, NULL), 4);
    assert_notes(f, STATUS_PARTIAL, "%s/b.gz ends early", f->folder);
}

static void damaged_gzip_files_count_up_to_the_damage(void **state)
{
    struct fixture *f = *state;

    put_gzip(f, "a.gz", TEXT_LITERAL(FIRST));
    append(f, "a.gz", "\x1f\x8b\x08 this is no gzip");
    read_files(f, "a.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/a.gz is damaged", f->folder);
    assert_int_equal(count_of(f, NULL), 1);
    put_gzip(f, "b.gz", TEXT_LITERAL(FIRST));
    append(f, "b.gz", "something else");
    read_files(f, "b.gz");
    assert_notes(f, STATUS_PARTIAL, "%s/b.gz is damaged", f->folder);
    assert_int_equal(count_of(f, NULL), 2);
}

static void zeros_behind_a_gzip_file_are_padding(void **state)
{
    struct fixture *f = *state;

    put_gzip(f, "a.gz", TEXT_LITERAL(FIRST));
    write_bytes(f, "a.gz", O_APPEND, TEXT_LITERAL("\0\0\0\0\0"));
    read_files(f, "a.gz");
    assert_ok(f);
    assert_int_equal(count_of(f, NULL), 1);
}

/* ---- rotation ---- */

/* The older file becomes .2, the live one .1, and a new one begins. */
static void rotate(struct fixture *f)
{
    move(f, "app.log.1", "app.log.2");
    move(f, "app.log", "app.log.1");
    put(f, "app.log", AT("03:00:00", "new"));
}

/* Between any two steps: before the looking, between looking and opening, while reading. */
static void a_rotation_loses_and_doubles_nothing(void **state)
{
    struct fixture *f = *state;

    for (int steps = 0; steps < 8; steps++) {
        usage_free(f->usage);
        f->usage = usage_new(1024 * 1024);
        unlink(in(f, "app.log.2"));
        put(f, "app.log.1", FIRST AT("01:00:00", "old"));
        put(f, "app.log", AT("02:00:00", "live"));
        begin(f, "app.log*");
        for (int i = 0; i < steps; i++)
            if (step(f) == JOB_DONE)
                return;
        rotate(f);
        finish(f);
        assert_ok(f);
        assert_int_equal(count_of(f, "first"), 1);
        assert_int_equal(count_of(f, "old"), 1);
        assert_int_equal(count_of(f, "live"), 1);
        assert_true(count_of(f, "new") <= 1);
        unlink(in(f, "app.log.1"));
    }
    fail_msg("the job should have ended");
}

static void compressing_meanwhile_loses_and_doubles_nothing(void **state)
{
    static const char lines[] = FIRST AT("01:00:00", "old");
    struct fixture *f = *state;

    for (int steps = 0; steps < 10; steps++) {
        usage_free(f->usage);
        f->usage = usage_new(1024 * 1024);
        put(f, "app.log.1", lines);
        put(f, "app.log", AT("02:00:00", "live"));
        begin(f, "app.log*");
        for (int i = 0; i < steps; i++)
            if (step(f) == JOB_DONE)
                return;
        put_gzip(f, "app.log.1.gz", text_of(lines));
        unlink(in(f, "app.log.1"));
        finish(f);
        assert_ok(f);
        assert_int_equal(count_of(f, "old"), 1);
        assert_int_equal(count_of(f, NULL), 3);
        unlink(in(f, "app.log.1.gz"));
    }
    fail_msg("the job should have ended");
}

static void a_copy_in_the_making_is_skipped_without_a_word(void **state)
{
    struct fixture *f = *state;
    struct text rest = noise(f, 200000);

    put(f, "a.log.1", FIRST);
    write_bytes(f, "a.log.1", O_APPEND, rest);
    put_gzip(f, "a.log.1.gz", TEXT_LITERAL(FIRST));
    put_gzip(f, "a.log.1.gz", rest);
    cut_to(f, "a.log.1.gz", size_of(f, "a.log.1.gz") / 2); /* more than 64 KB unpacked */
    read_files(f, "a*");
    assert_ok(f);
    assert_int_equal(count_of(f, NULL), 1);
    cut_to(f, "a.log.1.gz", 60); /* less */
    read_files(f, "a*");
    assert_ok(f);
    assert_int_equal(count_of(f, NULL), 2);
    cut_to(f, "a.log.1.gz", 10); /* only a header: the name tells */
    read_files(f, "a*");
    assert_ok(f);
    assert_int_equal(count_of(f, NULL), 3);
}

static void a_gzip_file_with_other_lines_is_no_copy(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(mkdir(in(f, "x"), 0700), 0);
    put(f, "a.log", FIRST);
    put_gzip(f, "x/a.log.gz", TEXT_LITERAL(FIRST));             /* another folder */
    put_gzip(f, "a.log.gz", TEXT_LITERAL(AT("00:00:00", "b"))); /* another beginning */
    put_gzip(f, "b.log.gz", TEXT_LITERAL(FIRST FIRST));         /* it has more */
    put_gzip(f, "a.log.1.gz", TEXT_LITERAL("x"));
    cut_to(f, "a.log.1.gz", 10); /* nothing in it, and the name is not a.log's */
    read_files(f, "*.log,*.gz,x/*");
    assert_notes(f, STATUS_PARTIAL, "%s/a.log.1.gz ends early", f->folder);
    assert_int_equal(count_of(f, "first"), 4);
    assert_int_equal(count_of(f, "b"), 1);
}

static void what_is_appended_meanwhile_is_not_read(void **state)
{
    struct fixture *f = *state;

    put(f, "a.log", FIRST);
    begin(f, "a.log");
    for (int i = 0; i < 4; i++)
        assert_int_equal(step(f), JOB_READY);
    append(f, "a.log", AT("01:00:00", "late"));
    finish(f);
    assert_ok(f);
    assert_int_equal(count_of(f, "first"), 1);
    assert_int_equal(count_of(f, "late"), 0);
}

static void a_file_that_shrinks_is_said(void **state)
{
    struct fixture *f = *state;

    put(f, "a.log", FIRST);
    write_bytes(f, "a.log", O_APPEND, noise(f, 3 * 1024 * 1024));
    begin(f, "a.log");
    while (f->tally.bytes == 0)
        assert_int_equal(step(f), JOB_READY);
    cut_to(f, "a.log", 100);
    finish(f);
    assert_notes(f, STATUS_PARTIAL, "%s/a.log was cut while it was read", f->folder);
    assert_int_equal(count_of(f, NULL), 1);
}

/* ---- lines ---- */

static void lines_up_to_64_kib_count(void **state)
{
    struct fixture *f = *state;
    const char begin_line[] =
        "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z | 200 | 1ms | ::1 | POST /run/long?";
    const char end_line[] = " | a1\n";
    struct text fill = letters(f, LINE_MAX_BYTES - (sizeof(begin_line) - 1) - (sizeof(end_line) - 2));

    put(f, "a.log", FIRST);
    append(f, "a.log", begin_line);
    write_bytes(f, "a.log", O_APPEND, fill);
    append(f, "a.log", end_line);
    read_files(f, "a.log");
    assert_ok(f);
    assert_int_equal(count_of(f, "long"), 1);
    for (int i = 0; i < 2; i++) { /* one byte more, twice */
        append(f, "a.log", begin_line);
        write_bytes(f, "a.log", O_APPEND, fill);
        append(f, "a.log", "x");
        append(f, "a.log", end_line);
    }
    append(f, "a.log", AT("02:00:00", "behind"));
    put(f, "b.log", "");
    read_files(f, "*.log");
    assert_notes(f, STATUS_PARTIAL, "2 lines longer than 64 KiB skipped in %s/a.log", f->folder);
    assert_int_equal(count_of(f, "long"), 2); /* of both readings */
    assert_int_equal(count_of(f, "behind"), 1);
    assert_int_equal(f->tally.lines, 5);
}

static void long_lines_that_cannot_count_are_no_loss(void **state)
{
    struct fixture *f = *state;
    struct text fill = letters(f, 500000);

    put(f, "a.log", FIRST "panic: ");
    write_bytes(f, "a.log", O_APPEND, fill);
    append(f, "a.log", "\n[GIN-EXECUTIONS-LOGGER] 2020-01-01T00:00:00Z" FIELDS("long"));
    write_bytes(f, "a.log", O_APPEND, fill);
    append(f, "a.log", "\n" AT("02:00:00", "behind"));
    f->context.start = (struct instant){START, 0};
    read_files(f, "a.log");
    assert_ok(f);
    assert_int_equal(count_of(f, "behind"), 1);
    append(f, "a.log", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("long")); /* no time: it could */
    write_bytes(f, "a.log", O_APPEND, fill);                        /* and no end */
    read_files(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
}

static void long_access_lines_are_judged_by_their_path(void **state)
{
    struct fixture *f = *state;
    struct text fill = letters(f, 100000);

    f->rules.kind = LOGLINE_EXPOSED;
    put(f, "a.log", ACCESS("/") "::1 - - [01/May/2026:00:00:00 +0000] \"GET /other?");
    write_bytes(f, "a.log", O_APPEND, fill);
    append(f, "a.log", "\n");
    read_files(f, "a.log");
    assert_ok(f);
    append(f, "a.log", "::1 - - [01/May/2026:00:00:00 +0000] \"GET /system/services/nb/exposed?");
    write_bytes(f, "a.log", O_APPEND, fill);
    append(f, "a.log", "\n");
    read_files(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
}

static void pieces_of_a_line_are_joined_by_stream(void **state)
{
    struct fixture *f = *state;

    put(f, "a.log",
        FIRST CRI("01:00:00", "stderr", "P", "[GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | PO")
            CRI("05:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("between"))
                CRI("23:59:59", "stderr", "P", "ST /run/jo") CRI("05:00:00", "stdout", "P", "noise")
                    CRI("23:59:59", "stderr", "F", "ined | a") CRI("06:00:00", "stderr", "F", "ined | a")
                        CRI("06:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("swallowed")));
    read_files(f, "a.log");
    assert_ok(f);
    assert_int_equal(count_of(f, "joined"), 1);
    assert_int_equal(count_of(f, "between"), 1);
    assert_int_equal(count_of(f, NULL), 3);
    for (size_t i = 0; i < usage_row_count(f->usage); i++)
        if (text_is(usage_string(f->usage, usage_rows(f->usage)[i].service), "joined"))
            assert_int_equal(usage_rows(f->usage)[i].hour, START / 3600 + 1); /* of the first piece */
}

static void joined_lines_are_limited_too(void **state)
{
    struct fixture *f = *state;
    struct text fill = letters(f, 16384);

    put(f, "a.log", FIRST);
    append(f, "a.log",
           "2026-05-01T01:00:00Z stderr P [GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | POST /run/x?");
    for (int i = 0; i < 5; i++) {
        append(f, "a.log", "\n2026-05-01T01:00:00Z stderr P ");
        write_bytes(f, "a.log", O_APPEND, fill);
    }
    append(f, "a.log", "\n2026-05-01T01:00:00Z stderr F  | a\n" AT("02:00:00", "behind"));
    read_files(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "1 lines longer than 64 KiB skipped in %s/a.log", f->folder);
    assert_int_equal(count_of(f, "behind"), 1);
    assert_int_equal(count_of(f, NULL), 2);
}

static void pieces_do_not_reach_into_the_next_file(void **state)
{
    struct fixture *f = *state;

    put(f, "a.log",
        FIRST CRI("01:00:00", "stderr", "P", "[GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | POST /run/"));
    append(f, "a.log",
           CRI("01:00:00", "stdout", "P", "[GIN-EXECUTIONS-LOGGER] ? | 200 | 1ms | ::1 | POST /run/"));
    put(f, "b.log",
        CRI("02:00:00", "stderr", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("whole"))
            CRI("02:00:00", "stdout", "F", "[GIN-EXECUTIONS-LOGGER] ?" FIELDS("whole")));
    read_files(f, "*.log");
    assert_ok(f);
    assert_int_equal(count_of(f, "whole"), 2);
    set_age(f, "a.log", 10);
    f->context.end = (struct instant){NOW, 0};
    read_files(f, "*.log");
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

    put(f, "a.log", FIRST);
    append(f, "a.log", half);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t before = count_of(f, "last");

        set_age(f, "a.log", rows[i].age);
        f->context.end = (struct instant){NOW - rows[i].end, 0};
        read_files(f, "a.log");
        if ((count_of(f, "last") > before) != rows[i].counts ||
            (f->status.level == STATUS_PARTIAL) != rows[i].said)
            fail_msg("row of line %d", rows[i].line);
        if (rows[i].said)
            assert_notes(f, STATUS_PARTIAL, "%s/a.log ends in an unfinished line", f->folder);
    }
    put_gzip(f, "b.gz", TEXT_LITERAL("[GIN-EXECUTIONS-LOGGER] 2026-05-01T00:00:00Z" FIELDS("packed")));
    set_age(f, "b.gz", 0);
    f->context.end = (struct instant){NOW, 0};
    read_files(f, "b.gz");
    assert_ok(f);
    assert_int_equal(count_of(f, "packed"), 1);
}

/* ---- how far it reaches ---- */

static void a_range_that_begins_before_the_logs_is_partial(void **state)
{
    struct fixture *f = *state;

    put(f, "a.log", AT("05:00:00", "x") AT("04:00:00", "x"));
    put(f, "b.log", "noise\n" CRI("00:00:03.25", "stdout", "F", "listening"));
    read_files(f, "*.log");
    assert_notes(f, STATUS_PARTIAL, "logs begin at 2026-05-01T00:00:03Z");
    assert_int_equal(count_of(f, NULL), 2);
    f->context.start = (struct instant){START + 3, 250000000};
    read_files(f, "*.log");
    assert_ok(f);
    f->context.start = (struct instant){START + 3, 249999999};
    read_files(f, "*.log");
    assert_notes(f, STATUS_PARTIAL, "logs begin at 2026-05-01T00:00:03Z");
}

static void logs_without_any_time_say_nothing(void **state)
{
    struct fixture *f = *state;

    put(f, "a.log", "noise\n\n[GIN-EXECUTIONS-LOGGER] ?" FIELDS("x") "\n");
    put(f, "b.log", "");
    read_files(f, "*.log");
    assert_notes(f, STATUS_MISSING, "no line with a time in the log files");
    assert_false(f->status.has_time);
}

static void memory_that_is_full_is_a_partial_reading(void **state)
{
    struct fixture *f = *state;
    struct buf lines;

    usage_free(f->usage);
    f->usage = usage_new(200 * 1024);
    put(f, "a.log", FIRST);
    buf_init(&lines, 1024 * 1024);
    for (int i = 0; i < 5000; i++)
        buf_format(&lines,
                   "[GIN-EXECUTIONS-LOGGER] 2026-05-01T01:00:00Z | 200 | 1ms | ::1 | POST /run/s%d | u\n", i);
    write_bytes(f, "a.log", O_APPEND, buf_text(&lines));
    buf_free(&lines);
    read_files(f, "a.log");
    assert_notes(f, STATUS_PARTIAL, "memory limit reached (OSCAR_METRICS_MEMORY)");
    assert_true(count_of(f, NULL) > 10 && count_of(f, NULL) < 5001);
}

static void a_deadline_says_how_far_it_got(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    put(f, "a.log", FIRST);
    write_bytes(f, "b.log", 0, noise(f, 4 * 1024 * 1024));
    put(f, "c.log", AT("01:00:00", "late"));
    begin(f, "*.log");
    while (f->tally.bytes < 1000)
        assert_int_equal(step(f), JOB_READY);
    f->job->ops->stop(f->job, JOB_DEADLINE);
    assert_int_equal(f->tally.files, 1);
    assert_notes(f, STATUS_PARTIAL, "deadline passed after 1 of 3 files (%d %%)",
                 (int)(f->tally.bytes * 100 /
                       (uint64_t)(size_of(f, "a.log") + size_of(f, "b.log") + size_of(f, "c.log"))));
    assert_int_equal(count_of(f, NULL), 1);
    assert_true(f->status.has_time);
    assert_int_equal(open_descriptors(), before);
}

static void a_deadline_before_all_is_open_says_so(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    put(f, "a.log", FIRST);
    begin(f, "*.log");
    assert_int_equal(step(f), JOB_READY);
    assert_int_equal(step(f), JOB_READY);
    f->job->ops->stop(f->job, JOB_DEADLINE);
    assert_notes(f, STATUS_PARTIAL, "deadline passed while log files were opened");
    assert_int_equal(open_descriptors(), before);
}

static void a_reading_that_nobody_wants_leaves_nothing_open(void **state)
{
    struct fixture *f = *state;
    size_t before = open_descriptors();

    put(f, "a.log", FIRST CRI("01:00:00", "stderr", "P", "x"));
    put_gzip(f, "b.gz", noise(f, 3000000));
    for (int steps = 0; steps < 12; steps++) {
        bool done = false;

        begin(f, "a.log,b.gz");
        for (int i = 0; i < steps && !done; i++)
            done = step(f) == JOB_DONE;
        if (!done)
            f->job->ops->stop(f->job, JOB_GONE);
        assert_int_equal(open_descriptors(), before);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_and_packed_files_are_read),
        TEST(a_row_is_what_the_line_says),
        TEST(exposed_requests_are_read),
        TEST(start_and_end_are_inclusive_to_the_nanosecond),
        TEST(a_file_is_read_once_whatever_its_names),
        TEST(nul_bytes_are_part_of_a_line),
        TEST(globs_that_match_nothing_are_named),
        TEST(empty_globs_are_no_globs),
        TEST(files_that_cannot_be_opened_are_named),
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
        TEST(compressing_meanwhile_loses_and_doubles_nothing),
        TEST(a_copy_in_the_making_is_skipped_without_a_word),
        TEST(a_gzip_file_with_other_lines_is_no_copy),
        TEST(what_is_appended_meanwhile_is_not_read),
        TEST(a_file_that_shrinks_is_said),
        TEST(lines_up_to_64_kib_count),
        TEST(long_lines_that_cannot_count_are_no_loss),
        TEST(long_access_lines_are_judged_by_their_path),
        TEST(pieces_of_a_line_are_joined_by_stream),
        TEST(joined_lines_are_limited_too),
        TEST(pieces_do_not_reach_into_the_next_file),
        TEST(a_last_line_without_its_end_counts_when_nobody_writes_any_more),
        TEST(a_range_that_begins_before_the_logs_is_partial),
        TEST(logs_without_any_time_say_nothing),
        TEST(memory_that_is_full_is_a_partial_reading),
        TEST(a_deadline_says_how_far_it_got),
        TEST(a_deadline_before_all_is_open_says_so),
        TEST(a_reading_that_nobody_wants_leaves_nothing_open),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
