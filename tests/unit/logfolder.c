/* Files with the ages, sizes and bytes that a test wants, and a job over them. */
#include "logfolder.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "util/arena.h"
#include "util/cache.h"

int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    if (f == NULL)
        return -1;
    snprintf(f->folder, sizeof(f->folder), "/tmp/test-logfiles-XXXXXX");
    if (mkdtemp(f->folder) == NULL)
        return -1;
    f->arena = arena_new();
    f->context = (struct source_context){
        .arena = f->arena, .start = {START, 0}, .end = {END, 999999999}, .now = {NOW, 0}};
    f->rules = (struct logline_rules){.kind = LOGLINE_REQUESTS, .services_namespace = "oscar-svc"};
    f->usage = usage_new(16 * 1024 * 1024);
    *state = f;
    return 0;
}

int set_up_remembering(void **state)
{
    struct fixture *f;

    if (set_up(state) != 0)
        return -1;
    f = *state;
    f->context.remembered = cache_new(64 * 1024 * 1024, 3600 * 1000);
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

int tear_down(void **state)
{
    struct fixture *f = *state;

    remove_tree(f->folder);
    usage_free(f->usage);
    cache_free(f->context.remembered);
    arena_free(f->arena);
    free(f);
    return 0;
}

/* ---- files ---- */

const char *folder_path(struct fixture *f, const char *name)
{
    return arena_format(f->arena, "%s/%s", f->folder, name);
}

void folder_age(struct fixture *f, const char *name, int seconds)
{
    struct timespec times[2] = {{NOW - seconds, 0}, {NOW - seconds, 0}};

    assert_int_equal(utimensat(AT_FDCWD, folder_path(f, name), times, 0), 0);
}

void folder_write(struct fixture *f, const char *name, int flags, struct text text)
{
    int fd = open(folder_path(f, name), O_WRONLY | O_CREAT | flags, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text.data, text.length), text.length);
    close(fd);
    folder_age(f, name, 3600);
}

void folder_put(struct fixture *f, const char *name, const char *text)
{
    folder_write(f, name, O_TRUNC, text_of(text));
}

void folder_append(struct fixture *f, const char *name, const char *text)
{
    folder_write(f, name, O_APPEND, text_of(text));
}

/* One gzip member, appended. */
void folder_put_gzip(struct fixture *f, const char *name, struct text text)
{
    gzFile file = gzopen(folder_path(f, name), "ab9");

    assert_non_null(file);
    if (text.length > 0)
        assert_int_equal(gzwrite(file, text.data, (unsigned)text.length), text.length);
    assert_int_equal(gzclose(file), Z_OK);
    folder_age(f, name, 3600);
}

int64_t folder_size(struct fixture *f, const char *name)
{
    struct stat file;

    assert_int_equal(stat(folder_path(f, name), &file), 0);
    return file.st_size;
}

void folder_read(struct fixture *f, const char *name, char *to, size_t size)
{
    int fd = open(folder_path(f, name), O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, to, size), size);
    close(fd);
}

void folder_cut(struct fixture *f, const char *name, int64_t size)
{
    assert_int_equal(truncate(folder_path(f, name), size), 0);
    folder_age(f, name, 3600);
}

void folder_move(struct fixture *f, const char *from, const char *to)
{
    assert_int_equal(rename(folder_path(f, from), folder_path(f, to)), 0);
}

/* Lines that do not count, some `bytes` of them, of random letters so that gzip has something to do. */
struct text folder_noise(struct fixture *f, size_t bytes)
{
    char *data = arena_alloc(f->arena, bytes, 1);
    unsigned random = 1;

    for (size_t i = 0; i < bytes; i++) {
        random = random * 1103515245 + 12345;
        data[i] = i % 100 == 99 ? '\n' : (char)('A' + (random >> 16) % 26);
    }
    return (struct text){data, bytes};
}

struct text folder_letters(struct fixture *f, size_t count)
{
    char *data = arena_alloc(f->arena, count + 1, 1);

    memset(data, 'x', count);
    return (struct text){data, count};
}

/* ---- reading ---- */

void reading_begin(struct fixture *f, const char *names)
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

enum job_state reading_step(struct fixture *f)
{
    return f->job->ops->step(f->job);
}

void reading_finish(struct fixture *f)
{
    for (int i = 0; i < 100000; i++) {
        enum job_state now = reading_step(f);

        if (now == JOB_DONE)
            return;
        assert_int_equal(now, JOB_READY);
    }
    fail_msg("the job does not end");
}

void reading_forget(struct fixture *f)
{
    usage_free(f->usage);
    f->usage = usage_new(16 * 1024 * 1024);
}

/* Reads for what is remembered alone; gives the number of requests. */
static uint64_t read_aside(struct fixture *f, const char *names)
{
    struct usage *usage = f->usage;
    uint64_t count;

    f->usage = usage_new(16 * 1024 * 1024);
    reading_begin(f, names);
    reading_finish(f);
    count = reading_count(f, NULL);
    usage_free(f->usage);
    f->usage = usage;
    return count;
}

void reading_run(struct fixture *f, const char *names)
{
    uint64_t aside = 0, before = reading_count(f, NULL);
    struct logfiles_tally tally = {0};
    const char *notes = NULL, *now;

    if (f->context.remembered) {
        aside = read_aside(f, names);
        tally = f->tally;
        notes = status_notes(&f->status);
    }
    reading_begin(f, names);
    reading_finish(f);
    if (f->context.remembered == NULL)
        return;
    now = status_notes(&f->status);
    assert_int_equal(reading_count(f, NULL) - before, aside);
    assert_string_equal(now ? now : "", notes ? notes : "");
    f->tally = tally;
}

uint64_t reading_count(const struct fixture *f, const char *service)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < usage_row_count(f->usage); i++) {
        const struct usage_row row = usage_row(f->usage, i);

        if (service == NULL || text_is(usage_string(f->usage, row.service), service))
            sum += row.count;
    }
    return sum;
}

void assert_notes(const struct fixture *f, enum status_level level, const char *format, ...)
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

void assert_ok(const struct fixture *f)
{
    assert_notes(f, STATUS_OK, "%s", "");
}

size_t open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}
