/* A folder of definitions: OSCAR_METRICS_SERVICES_DIR/x.yaml and OSCAR_METRICS_SERVICES_DIR/NAMESPACE/x.yaml.
 *
 * First all names are listed, then the files are read in the order of their paths, a few milliseconds at a
 * time. A file that cannot be read costs its service, and the status names it; a folder that cannot be listed
 * to its end costs the whole inventory, because nobody would know which services it hides. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps.h"
#include "settings.h"
#include "sources/inventory_draft.h"
#include "sources/note.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/memory.h"
#include "util/text.h"
#include "util/timestamp.h"

enum { READ_PIECE = 64 * 1024 };

/* A file to be read, or (while listing) a sub-folder. Names lie in the arena. */
struct entry {
    const char *folder; /* NULL: the top */
    const char *file;
};

struct entries {
    struct entry *items;
    size_t count, capacity;
};

enum phase { LIST_FOLDER, NEXT_FOLDER, READ_FILES };

struct inventory_job {
    struct job job; /* first */
    const struct source_context *context;
    struct inventory *out;
    const char *namespace; /* of the top */
    enum phase phase;
    int root;           /* descriptor */
    DIR *dir;           /* the folder being listed */
    const char *folder; /* its name; NULL: the top */
    struct entries folders, files;
    size_t folders_listed, files_read, bytes_read;
    struct inventory_draft draft;
    struct buf bytes;
};

static void add_entry(struct entries *entries, struct entry entry)
{
    if (entries->count == entries->capacity) {
        entries->capacity = entries->capacity ? entries->capacity * 2 : 64;
        entries->items = memory_grow(entries->items, entries->capacity, sizeof(entry));
    }
    entries->items[entries->count++] = entry;
}

static void release(struct inventory_job *job)
{
    if (job->dir)
        closedir(job->dir);
    if (job->root >= 0)
        close(job->root);
    free(job->folders.items);
    free(job->files.items);
    buf_free(&job->bytes);
    inventory_draft_free(&job->draft);
    job->dir = NULL;
    job->root = -1;
    job->folders.items = job->files.items = NULL;
}

/* "NAMESPACE/FILE", fit for a note. */
static const char *path_words(const struct inventory_job *job, struct entry entry)
{
    struct arena *arena = job->context->arena;

    return arena_format(
        arena, "%s/%s",
        note_words(arena, text_of(entry.folder ? entry.folder : job->namespace), INVENTORY_SHOWN_MAX_BYTES),
        note_words(arena, text_of(entry.file), INVENTORY_SHOWN_MAX_BYTES));
}

static struct text without_ending(const char *file)
{
    struct text name = text_of(file);

    if (name.length > 5 && strcmp(file + name.length - 5, ".yaml") == 0)
        name.length -= 5;
    else if (name.length > 4 && strcmp(file + name.length - 4, ".yml") == 0)
        name.length -= 4;
    return name;
}

static bool is_definition(const char *file)
{
    return without_ending(file).length < strlen(file);
}

/* Nothing can be said about any service. */
static enum job_state give_up(struct inventory_job *job, const char *what, const char *why)
{
    status_note(&job->out->status, STATUS_MISSING, "%s: %s", what, why);
    release(job);
    return JOB_DONE;
}

static const char *error_words(int number)
{
    switch (number) {
    case ENOENT:
        return "no such file or folder";
    case EACCES:
    case EPERM:
        return "permission denied";
    case ENOTDIR:
        return "no folder";
    case EMFILE:
    case ENFILE:
        return "too many open files";
    case ELOOP:
        return "a symbolic link that leads nowhere";
    default:
        return "cannot be read";
    }
}

static const char *folder_words(const struct inventory_job *job)
{
    return job->folder ? note_words(job->context->arena, text_of(job->folder), INVENTORY_SHOWN_MAX_BYTES)
                       : "OSCAR_METRICS_SERVICES_DIR";
}

static bool is_folder(const struct inventory_job *job, const struct dirent *item)
{
    struct stat seen;

    if (item->d_type != DT_UNKNOWN && item->d_type != DT_LNK)
        return item->d_type == DT_DIR;
    return fstatat(job->root, item->d_name, &seen, 0) == 0 && S_ISDIR(seen.st_mode);
}

/* A name that cannot be a namespace's is not looked into: it may be lost+found, or a slip. */
static void add_folder(struct inventory_job *job, const char *name)
{
    struct text copy = arena_text(job->context->arena, text_of(name));

    if (text_is_dns_name(copy))
        add_entry(&job->folders, (struct entry){.file = copy.data});
    else
        status_note(&job->out->status, STATUS_PARTIAL, "%s/: not read, the name is no namespace's",
                    note_words(job->context->arena, copy, INVENTORY_SHOWN_MAX_BYTES));
}

static enum job_state list_next(struct inventory_job *job)
{
    const struct dirent *item;

    errno = 0;
    item = readdir(job->dir);
    if (item == NULL) {
        if (errno != 0)
            return give_up(job, folder_words(job), error_words(errno));
        closedir(job->dir);
        job->dir = NULL;
        job->phase = NEXT_FOLDER;
        return JOB_READY;
    }
    if (item->d_name[0] == '.')
        return JOB_READY;
    if (is_definition(item->d_name)) {
        if (job->files.count == INVENTORY_FOLDER_FILES_MAX)
            return give_up(job, "OSCAR_METRICS_SERVICES_DIR", "more than 20000 definitions");
        add_entry(&job->files,
                  (struct entry){.folder = job->folder,
                                 .file = arena_string(job->context->arena, text_of(item->d_name))});
    } else if (job->folder == NULL && is_folder(job, item)) {
        if (job->folders.count == INVENTORY_FOLDER_FILES_MAX)
            return give_up(job, "OSCAR_METRICS_SERVICES_DIR", "more than 20000 sub-folders");
        add_folder(job, item->d_name);
    }
    return JOB_READY;
}

static int compare_paths(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = text_compare(text_of(x->folder), text_of(y->folder));

    return order ? order : strcmp(x->file, y->file);
}

/* False when it cannot be; errno then says why. */
static bool open_folder(struct inventory_job *job, const char *path)
{
    int fd = openat(job->root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), number;

    job->dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (job->dir)
        return true;
    number = errno;
    if (fd >= 0)
        close(fd);
    errno = number;
    return false;
}

static enum job_state open_next_folder(struct inventory_job *job)
{
    if (job->folders_listed == job->folders.count) {
        if (job->files.count > 0)
            qsort(job->files.items, job->files.count, sizeof(job->files.items[0]), compare_paths);
        job->phase = READ_FILES;
        return JOB_READY;
    }
    job->folder = job->folders.items[job->folders_listed++].file;
    if (!open_folder(job, job->folder))
        return give_up(job, folder_words(job), error_words(errno));
    job->phase = LIST_FOLDER;
    return JOB_READY;
}

/* The bytes of a regular file, in job->bytes, which was cleared. NULL, or why not. */
static const char *read_bytes(struct inventory_job *job, int fd)
{
    char piece[READ_PIECE];
    struct stat seen;
    ssize_t got;

    if (fstat(fd, &seen) < 0)
        return error_words(errno);
    if (!S_ISREG(seen.st_mode))
        return "no regular file";
    while ((got = read(fd, piece, sizeof(piece))) > 0)
        if (!buf_add(&job->bytes, (struct text){piece, (size_t)got}))
            return "larger than 1 MiB";
    return got < 0 ? error_words(errno) : NULL;
}

/* NULL, or why the definition is none. What was read of it is in job->bytes. */
static const char *read_file(struct inventory_job *job, struct entry entry, struct service *out)
{
    struct arena *arena = job->context->arena;
    const char *path = entry.folder ? arena_format(arena, "%s/%s", entry.folder, entry.file) : entry.file;
    /* Without O_NONBLOCK a FIFO would hold the worker until somebody writes. */
    int fd = openat(job->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    const char *why;

    buf_clear(&job->bytes);
    out->name = (struct text){NULL, 0};
    if (fd < 0)
        return errno == ENXIO ? "no regular file" : error_words(errno);
    why = read_bytes(job, fd);
    close(fd);
    if (why)
        return why;
    out->namespace = text_of(entry.folder ? entry.folder : job->namespace);
    return definition_parse(arena, buf_text(&job->bytes), out, &why) ? NULL : why;
}

static enum job_state read_next(struct inventory_job *job)
{
    struct service service = {.namespace = {NULL, 0}};
    struct entry entry;
    const char *why;

    if (job->files_read == job->files.count) {
        inventory_draft_finish(&job->draft, job->context->arena, job->out);
        status_read_at(&job->out->status, job->context->now);
        release(job);
        return JOB_DONE;
    }
    entry = job->files.items[job->files_read++];
    why = read_file(job, entry, &service);
    job->bytes_read += job->bytes.length;
    if (job->bytes_read > INVENTORY_FOLDER_MAX_BYTES)
        return give_up(job, "OSCAR_METRICS_SERVICES_DIR", "more than 256 MiB of definitions");
    if (why) {
        struct text name = service.name.length ? service.name : without_ending(entry.file);

        status_note(&job->out->status, STATUS_PARTIAL, "%s: %s", path_words(job, entry), why);
        inventory_draft_break(&job->draft, text_of(entry.folder ? entry.folder : job->namespace), name);
    } else {
        inventory_draft_add(&job->draft, &service);
    }
    return JOB_READY;
}

static enum job_state inventory_step(struct job *base)
{
    struct inventory_job *job = (struct inventory_job *)base;
    enum job_state state = job->root < 0 ? JOB_DONE : JOB_READY;
    int64_t start = clock_ms();

    while (state == JOB_READY && clock_ms() - start < INVENTORY_FOLDER_STEP_MS)
        switch (job->phase) {
        case LIST_FOLDER:
            state = list_next(job);
            break;
        case NEXT_FOLDER:
            state = open_next_folder(job);
            break;
        case READ_FILES:
            state = read_next(job);
            break;
        }
    return state;
}

static void inventory_stop(struct job *base, enum job_stop why)
{
    struct inventory_job *job = (struct inventory_job *)base;

    if (why == JOB_DEADLINE && job->phase == READ_FILES)
        status_note(&job->out->status, STATUS_MISSING, "only %zu of %zu definitions read before the deadline",
                    job->files_read, job->files.count);
    else if (why == JOB_DEADLINE)
        status_note(&job->out->status, STATUS_MISSING, "the definitions were not listed before the deadline");
    release(job);
}

struct job *inventory_folder_start(const struct source_context *context, struct inventory *out)
{
    static const struct job_ops ops = {inventory_step, inventory_stop};
    struct inventory_job *job = ARENA_NEW(context->arena, struct inventory_job);

    *job = (struct inventory_job){.job = {.ops = &ops},
                                  .context = context,
                                  .out = out,
                                  .namespace = settings_text(context->settings, OSCAR_SERVICES_NAMESPACE),
                                  .phase = LIST_FOLDER,
                                  .root = -1};
    buf_init(&job->bytes, DEFINITION_MAX_BYTES);
    job->root = open(settings_text(context->settings, OSCAR_METRICS_SERVICES_DIR),
                     O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (job->root < 0 || !open_folder(job, "."))
        give_up(job, folder_words(job), error_words(errno));
    return &job->job;
}
