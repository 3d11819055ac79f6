/* Files are renamed, compressed and removed while they are read. A descriptor outlives all of that, so
 * everything is opened before anything is read; and because a rename may slip in between the looking and the
 * opening, both are done again until nothing new appears. What a file is, its device and inode say, never its
 * name. */
#include "sources/logset.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps.h"
#include "sources/logreader.h"
#include "util/arena.h"
#include "util/text.h"

enum {
    OPEN_PIECE = 64, /* files a step */
    NOT_A_FILE = -1, /* among the errnos of problems */
    NOT_GZIP = -2,
    COMPARED_PIECE = 4096,
    /* A copy that was written to longer ago is complete, and the original empty or gone. */
    COPIED_SECONDS = 60,
};

/* One of the globs, with what it names in this round. */
struct pattern {
    const char *glob;
    glob_t names;
    bool unreadable; /* not every folder could be looked into */
};

struct problem {
    const char *path;
    int error;
};

enum phase { LOOK, OPEN, COPIES, COMPLETE };

struct logset {
    struct arena *arena;
    struct instant now;
    enum phase phase;
    struct pattern *patterns;
    size_t pattern_count, pattern_at, name_at; /* where opening is */
    int round;
    bool grown, moved; /* in this round: there are new files; a name was gone again */
    bool full;
    struct problem problems[LOGSET_PROBLEMS_MAX]; /* of this round: a file that a rename took away is found in
                                                     the next */
    size_t problem_count;
    struct logfile *files[LOGSET_FILES_MAX];
    size_t count, copies_at;
};

static struct logfile *copy_file(struct arena *arena, struct logfile file)
{
    struct logfile *copy = ARENA_NEW(arena, struct logfile);

    *copy = file;
    return copy;
}

struct logset *logset_new(struct arena *arena, const char *globs, struct instant now)
{
    struct logset *set = ARENA_NEW(arena, struct logset);
    struct text rest = text_of(globs), glob;
    size_t most = 1;

    set->arena = arena;
    set->now = now;
    for (size_t i = 0; i < rest.length; i++)
        most += rest.data[i] == ',';
    set->patterns = ARENA_ARRAY(arena, most, struct pattern);
    while (text_next(&rest, &glob))
        set->patterns[set->pattern_count++].glob = arena_string(arena, glob);
    return set;
}

static void forget_names(struct logset *set)
{
    for (size_t i = 0; i < set->pattern_count; i++) {
        globfree(&set->patterns[i].names);
        set->patterns[i].names = (glob_t){0};
    }
}

void logset_close(struct logset *set)
{
    forget_names(set);
    for (size_t i = 0; i < set->count; i++)
        close(set->files[i]->fd);
    set->count = 0;
}

/* glob() asks: is this a reason to give up? A folder that is not there has no files in it. */
static int is_unreadable(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static void look(struct logset *set)
{
    forget_names(set);
    for (size_t i = 0; i < set->pattern_count; i++) {
        struct pattern *pattern = &set->patterns[i];
        int result = glob(pattern->glob, 0, is_unreadable, &pattern->names);

        pattern->unreadable = result == GLOB_ABORTED || result == GLOB_NOSPACE;
        if (pattern->unreadable) {
            /* Once more, for what can be seen all the same. */
            globfree(&pattern->names);
            pattern->names = (glob_t){0};
            glob(pattern->glob, 0, NULL, &pattern->names);
        }
    }
    set->pattern_at = set->name_at = 0;
    set->problem_count = 0;
    set->grown = set->moved = false;
    set->round++;
}

/* A name as it may stand in a note: names on a disk may be any bytes. */
static const char *shown(struct logset *set, const char *path)
{
    bool utf8 = text_is_utf8(text_of(path));
    char *copy = arena_alloc(set->arena, strlen(path) + 1, 1);

    for (size_t i = 0; path[i] != '\0'; i++) {
        unsigned char c = (unsigned char)path[i];

        copy[i] = path[i];
        if (c < ' ' || c == 0x7f || (c > 0x7f && !utf8))
            copy[i] = '?';
    }
    return copy;
}

static void add_problem(struct logset *set, const char *path, int error)
{
    if (set->problem_count < LOGSET_PROBLEMS_MAX)
        set->problems[set->problem_count] = (struct problem){shown(set, path), error};
    set->problem_count++;
}

static bool is_known(const struct logset *set, const struct stat *file)
{
    for (size_t i = 0; i < set->count; i++)
        if (set->files[i]->inode == file->st_ino && set->files[i]->device == file->st_dev)
            return true;
    return false;
}

static void add_file(struct logset *set, const char *path, int fd, const struct stat *file)
{
    set->files[set->count++] =
        copy_file(set->arena,
                  (struct logfile){.path = shown(set, path),
                                   .fd = fd,
                                   .gzip = logreader_is_gzip(fd),
                                   .size = file->st_size,
                                   .modified_ns = file->st_mtim.tv_sec * 1000000000LL + file->st_mtim.tv_nsec,
                                   .device = file->st_dev,
                                   .inode = file->st_ino});
    set->grown = true;
}

/* A name that is gone is no problem, but the file may have another name by now. A link to nothing is still
 * there. */
static void add_failure(struct logset *set, const char *path, int error)
{
    struct stat link;

    if (error == ENOENT && lstat(path, &link) != 0 && errno == ENOENT)
        set->moved = true;
    else
        add_problem(set, path, error);
}

/* Looks before it opens: opening some devices does things, and a known file needs no descriptor. */
static void open_name(struct logset *set, const char *path)
{
    struct stat file;
    int fd;

    if (stat(path, &file) != 0) {
        add_failure(set, path, errno);
        return;
    }
    if (is_known(set, &file))
        return;
    if (!S_ISREG(file.st_mode)) {
        add_problem(set, path, NOT_A_FILE);
        return;
    }
    if (set->count == LOGSET_FILES_MAX) {
        set->full = true;
        return;
    }
    fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &file) != 0) {
        add_failure(set, path, errno);
    } else if (is_known(set, &file)) {
        /* It was renamed between the two. */
    } else if (!S_ISREG(file.st_mode)) {
        add_problem(set, path, NOT_A_FILE);
    } else if (logreader_is_packed_otherwise(fd)) {
        add_problem(set, path, NOT_GZIP);
    } else {
        add_file(set, path, fd, &file);
        return;
    }
    if (fd >= 0)
        close(fd);
}

/* False: all names of this round have been tried. */
static bool open_some(struct logset *set)
{
    for (int tried = 0; tried < OPEN_PIECE;) {
        struct pattern *pattern = &set->patterns[set->pattern_at];

        if (set->pattern_at == set->pattern_count)
            return false;
        if (set->name_at == pattern->names.gl_pathc) {
            set->pattern_at++;
            set->name_at = 0;
            continue;
        }
        open_name(set, pattern->names.gl_pathv[set->name_at++]);
        tried++;
    }
    return true;
}

static void note_problem(struct source_status *status, enum status_level level, const struct problem *problem)
{
    char why[128];

    if (problem->error == NOT_A_FILE) {
        status_note(status, level, "%s is not a regular file", problem->path);
        return;
    }
    if (problem->error == NOT_GZIP) {
        status_note(status, level, "%s is compressed, but not by gzip", problem->path);
        return;
    }
    status_note(status, level, "cannot open %s: %s", problem->path,
                strerror_r(problem->error, why, sizeof(why)));
}

/* Said of the last round only: what is still so then. */
static void note_all(const struct logset *set, struct source_status *status)
{
    enum status_level level = set->count > 0 ? STATUS_PARTIAL : STATUS_MISSING;

    if (set->pattern_count == 0)
        status_note(status, level, "no log files are configured");
    for (size_t i = 0; i < set->pattern_count; i++) {
        const struct pattern *pattern = &set->patterns[i];

        if (pattern->unreadable)
            status_note(status, level, "a folder of %s cannot be read", pattern->glob);
        else if (pattern->names.gl_pathc == 0)
            status_note(status, level, "no log file matches %s", pattern->glob);
    }
    for (size_t i = 0; i < set->problem_count && i < LOGSET_PROBLEMS_MAX; i++)
        note_problem(status, level, &set->problems[i]);
    if (set->problem_count > LOGSET_PROBLEMS_MAX)
        status_note(status, level, "%zu more log files cannot be opened",
                    set->problem_count - LOGSET_PROBLEMS_MAX);
    if (set->full)
        status_note(status, level, "more than %d log files: the rest is left out", (int)LOGSET_FILES_MAX);
    if ((set->grown || set->moved) && !set->full)
        status_note(status, level, "log files were still being renamed after %d looks",
                    (int)LOGSET_ROUNDS_MAX);
}

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + 1 : 0;
}

static bool same_folder(const struct logfile *a, const struct logfile *b)
{
    size_t length = folder_length(a->path);

    return length == folder_length(b->path) && memcmp(a->path, b->path, length) == 0;
}

static bool begins_with(const struct logfile *file, struct text beginning)
{
    char piece[COMPARED_PIECE];
    size_t done = 0;

    while (done < beginning.length) {
        size_t want = beginning.length - done < sizeof(piece) ? beginning.length - done : sizeof(piece);
        ssize_t got = pread(file->fd, piece, want, (off_t)done);

        if (got < (ssize_t)want || memcmp(piece, beginning.data + done, want) != 0)
            return false;
        done += want;
    }
    return true;
}

/* "/log/app.1.gz" to "/log/app.1" */
static bool is_named_after(const char *packed, const char *original)
{
    struct text rest = text_of(packed);

    if (!text_starts(rest, original))
        return false;
    rest = text_skip(rest, strlen(original));
    return text_starts(rest, ".") && memchr(rest.data + 1, '.', rest.length - 1) == NULL;
}

static bool may_be_copy(const struct logset *set, const struct logfile *file)
{
    return file->gzip || set->now.seconds - file->modified_ns / 1000000000 < COPIED_SECONDS;
}

/* Does a plain file hold the same lines as a packed one with that beginning? One that is being unpacked may
 * be shorter. */
static bool holds_the_same(const struct logset *set, const struct logfile *file, const struct logfile *packed,
                           struct text beginning)
{
    if (beginning.length == 0)
        return is_named_after(packed->path, file->path);
    if (file->size > 0 && file->size < (int64_t)beginning.length && may_be_copy(set, file) &&
        file->modified_ns > packed->modified_ns)
        beginning.length = (size_t)file->size;
    return begins_with(file, beginning);
}

/* The plain file of the folder that begins as the packed one does; its place, or the number of files. With
 * nothing in the packed one yet only its name tells. */
static size_t find_original(const struct logset *set, const struct logfile *packed, struct logreader *reader)
{
    struct text beginning = {NULL, 0};

    for (size_t i = 0; i < set->count; i++) {
        const struct logfile *file = set->files[i];

        if (file->gzip || !same_folder(packed, file))
            continue;
        if (beginning.data == NULL) {
            logreader_open(reader, packed->fd, true, 0, packed->size);
            beginning = logreader_peek(reader);
        }
        if (holds_the_same(set, file, packed, beginning))
            return i;
    }
    return set->count;
}

/* Is there another plain file of the folder that begins as this one does, and goes on? */
static bool is_copied_from_another(const struct logset *set, const struct logfile *copy,
                                   struct logreader *reader)
{
    struct text beginning = {NULL, 0};

    for (size_t i = 0; i < set->count; i++) {
        const struct logfile *file = set->files[i];

        if (file == copy || file->gzip || file->size < copy->size || !same_folder(copy, file))
            continue;
        if (beginning.data == NULL) {
            logreader_open(reader, copy->fd, false, 0, copy->size);
            beginning = logreader_peek(reader);
        }
        if (beginning.length > 0 && begins_with(file, beginning))
            return true;
    }
    return false;
}

static void drop(struct logset *set, size_t at)
{
    close(set->files[at]->fd);
    set->files[at] = set->files[--set->count];
    set->copies_at = 0;
}

/* Lines that stand in two files for a while, of which one is a copy in the making; one file a call.
 *
 * logrotate and the kubelet write FILE.gz, then remove FILE; gunzip does it the other way round. The one that
 * was written to last is the copy, and may not be complete; of two that are as old either will do.
 * logrotate's copytruncate copies FILE, then empties it: there the copy is the one that is not longer, and it
 * was written to just now. */
static void drop_copies(struct logset *set, struct logreader *reader)
{
    size_t at = set->copies_at, original;

    while (at < set->count && !may_be_copy(set, set->files[at]))
        at++;
    set->copies_at = at + 1;
    if (at == set->count) {
        set->phase = COMPLETE;
    } else if (set->files[at]->gzip) {
        original = find_original(set, set->files[at], reader);
        if (original < set->count)
            drop(set, set->files[original]->modified_ns > set->files[at]->modified_ns ? original : at);
    } else if (is_copied_from_another(set, set->files[at], reader)) {
        drop(set, at);
    }
}

bool logset_step(struct logset *set, struct logreader *reader, struct source_status *status)
{
    switch (set->phase) {
    case LOOK:
        look(set);
        set->phase = OPEN;
        break;
    case OPEN:
        if (open_some(set))
            break;
        if ((set->grown || set->moved) && !set->full && set->round < LOGSET_ROUNDS_MAX) {
            set->phase = LOOK;
            break;
        }
        note_all(set, status);
        forget_names(set);
        set->phase = COPIES;
        break;
    case COPIES:
        drop_copies(set, reader);
        break;
    case COMPLETE:
        break;
    }
    return set->phase != COMPLETE;
}

size_t logset_count(const struct logset *set)
{
    return set->count;
}

const struct logfile *logset_file(const struct logset *set, size_t index)
{
    return set->files[index];
}
