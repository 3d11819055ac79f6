/* The database in force, and lookups in it.
 *
 * libmaxminddb maps the file that it opens, and a mapped file that somebody truncates or writes over ends the
 * process (SIGBUS) or changes under a lookup. So it is given a sealed copy in memory, by the only thing that
 * it takes, a name: /proc/self/fd/N. A copy that was taken while somebody wrote is noticed and taken again.
 */
#include "sources/geoip.h"

#include <errno.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps.h"
#include "log.h"
#include "util/address.h"
#include "util/hash.h"
#include "util/memory.h"

enum {
    FAULT_SIZE = 160,
    COPY_PIECE = 256 * 1024,
};

struct geoip {
    atomic_int holders;
    atomic_bool damaged;
    uint64_t generation;
    char fault[FAULT_SIZE]; /* empty: the database is open */
    MMDB_s database;
    bool settled;     /* another try is worth nothing before the file changes */
    struct stat seen; /* what the file was, when settled */
};

struct geoip_store {
    pthread_mutex_t lock;
    char *path;
    struct geoip *current; /* NULL: not asked for yet */
    uint64_t generation;
};

/* ---- opening ---- */

static void set_fault(struct geoip *geoip, const char *why)
{
    snprintf(geoip->fault, sizeof(geoip->fault), "%s", why);
}

static void set_errno_fault(struct geoip *geoip, int error)
{
    char why[FAULT_SIZE];

    set_fault(geoip, strerror_r(error, why, sizeof(why)));
}

static bool same_bytes(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* The time of the last change counts too: it cannot be set back by who copies a file with its times. */
static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && same_bytes(a, b) &&
           a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static bool write_all(int fd, const char *data, ssize_t length)
{
    while (length > 0) {
        ssize_t put = write(fd, data, (size_t)length);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        data += put;
        length -= put;
    }
    return true;
}

/* Copies at most GEOIP_FILE_MAX_BYTES and a bit: more than the file had is noticed afterwards. 0 or an error
 * number. */
static int copy(int from, int to)
{
    char *piece = memory_new(COPY_PIECE, 1);
    int64_t total = 0;
    ssize_t got = 0;
    int error = 0;

    while (error == 0 && total <= GEOIP_FILE_MAX_BYTES && (got = read(from, piece, COPY_PIECE)) != 0) {
        if (got > 0 && write_all(to, piece, got))
            total += got;
        else if (errno != EINTR)
            error = errno;
    }
    free(piece);
    return error;
}

/* A sealed copy of the file in memory. -1: the fault is set. */
static int copy_to_memory(struct geoip *geoip, int fd)
{
    struct stat after;
    int error, memory = memfd_create("oscar-metrics-countries", MFD_CLOEXEC | MFD_ALLOW_SEALING);

    if (memory < 0) {
        set_errno_fault(geoip, errno);
        return -1;
    }
    error = copy(fd, memory);
    if (error == 0 &&
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
        error = errno;
    if (error == 0 && fstat(fd, &after) != 0)
        error = errno;
    /* Not same_file(): another file that takes its name changes the time of its last change. */
    if (error == 0 && same_bytes(&after, &geoip->seen))
        return memory;
    if (error)
        set_errno_fault(geoip, error);
    else
        set_fault(geoip, "the file changed while it was read");
    close(memory);
    return -1;
}

static void open_copy(struct geoip *geoip, int memory)
{
    char name[64];
    int status;

    snprintf(name, sizeof(name), "/proc/self/fd/%d", memory);
    status = MMDB_open(name, MMDB_MODE_MMAP, &geoip->database);
    if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
        set_errno_fault(geoip, errno);
    else if (status == MMDB_OUT_OF_MEMORY_ERROR)
        set_errno_fault(geoip, ENOMEM);
    else if (status != MMDB_SUCCESS)
        set_fault(geoip, "the file is not a MaxMind database, or is damaged");
    geoip->settled = geoip->fault[0] == '\0' || status == MMDB_INVALID_METADATA_ERROR ||
                     status == MMDB_UNKNOWN_DATABASE_FORMAT_ERROR || status == MMDB_INVALID_DATA_ERROR ||
                     status == MMDB_CORRUPT_SEARCH_TREE_ERROR;
}

static void open_database(struct geoip *geoip, const char *path)
{
    /* O_NONBLOCK: a pipe in the place of the file must not hold up a worker. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), memory;

    if (fd < 0) {
        set_errno_fault(geoip, errno);
        return;
    }
    if (fstat(fd, &geoip->seen) != 0) {
        set_errno_fault(geoip, errno);
    } else if (!S_ISREG(geoip->seen.st_mode)) {
        set_fault(geoip, "not a regular file");
    } else if (geoip->seen.st_size == 0) {
        set_fault(geoip, "the file is empty");
    } else if (geoip->seen.st_size > GEOIP_FILE_MAX_BYTES) {
        set_fault(geoip, "the file is larger than 1 GiB");
    } else if ((memory = copy_to_memory(geoip, fd)) >= 0) {
        open_copy(geoip, memory);
        close(memory);
    }
    close(fd);
}

/* ---- the store ---- */

struct geoip_store *geoip_store_new(const char *path)
{
    struct geoip_store *store = memory_new(1, sizeof(*store));

    pthread_mutex_init(&store->lock, NULL);
    store->path = memory_copy(path, strlen(path));
    return store;
}

void geoip_store_free(struct geoip_store *store)
{
    if (store == NULL)
        return;
    geoip_release(store->current);
    pthread_mutex_destroy(&store->lock);
    free(store->path);
    free(store);
}

void geoip_release(struct geoip *geoip)
{
    if (geoip == NULL || atomic_fetch_sub(&geoip->holders, 1) > 1)
        return;
    if (geoip->fault[0] == '\0')
        MMDB_close(&geoip->database);
    free(geoip);
}

static bool is_current(const struct geoip_store *store)
{
    struct stat now;

    return store->current && store->current->settled && stat(store->path, &now) == 0 &&
           same_file(&now, &store->current->seen);
}

/* A file that still cannot be read, for the same reason, is nothing new. */
static void replace(struct geoip_store *store, struct geoip *next)
{
    struct geoip *old = store->current;
    char number[24];

    if (old && old->fault[0] && strcmp(old->fault, next->fault) == 0) {
        old->settled = next->settled;
        old->seen = next->seen;
        geoip_release(next);
        return;
    }
    next->generation = ++store->generation;
    snprintf(number, sizeof(number), "%llu", (unsigned long long)next->generation);
    if (next->fault[0])
        log_event(LOG_WARNING, "GEOIP_DATABASE cannot be read", "path", store->path, "reason", next->fault,
                  NULL);
    else if (old)
        log_event(LOG_INFO, "GEOIP_DATABASE opened again", "path", store->path, "generation", number, NULL);
    store->current = next;
    geoip_release(old);
}

struct geoip *geoip_store_current(struct geoip_store *store)
{
    struct geoip *held;

    if (store == NULL || store->path[0] == '\0')
        return NULL;
    pthread_mutex_lock(&store->lock);
    if (!is_current(store)) {
        struct geoip *next = memory_new(1, sizeof(*next));

        atomic_init(&next->holders, 1);
        open_database(next, store->path);
        replace(store, next);
    }
    held = store->current;
    atomic_fetch_add(&held->holders, 1);
    pthread_mutex_unlock(&store->lock);
    return held;
}

const char *geoip_fault(const struct geoip *geoip)
{
    return geoip->fault[0] ? geoip->fault : NULL;
}

bool geoip_is_damaged(const struct geoip *geoip)
{
    return atomic_load(&geoip->damaged);
}

uint64_t geoip_generation(const struct geoip *geoip)
{
    return geoip ? geoip->generation : 0;
}

/* ---- lookups ---- */

struct code {
    char letters[2];
    unsigned char length; /* 0: no country; else 2 */
};

/* What an address came to. */
struct entry {
    struct address address;
    bool taken;
    struct code code;
};

/* An address has a pair of places: of two others there, the one asked for longer ago goes. */
struct pair {
    struct entry recent, older;
};

struct geoip_reader {
    struct geoip *geoip; /* NULL: nobody has a country, and there is no memory */
    struct pair *pairs;
};

struct geoip_reader *geoip_reader_new(struct geoip *geoip)
{
    struct geoip_reader *reader = memory_new(1, sizeof(*reader));

    if (geoip && geoip->fault[0] == '\0') {
        reader->geoip = geoip;
        reader->pairs = memory_new(GEOIP_PAIRS_MAX, sizeof(*reader->pairs));
    }
    return reader;
}

void geoip_reader_free(struct geoip_reader *reader)
{
    if (reader == NULL)
        return;
    free(reader->pairs);
    free(reader);
}

static MMDB_lookup_result_s find(const MMDB_s *database, const struct address *address, int *status)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct sockaddr_in v4 = {.sin_family = AF_INET};

    if (address->v6)
        memcpy(&v6.sin6_addr, address->bytes, 16);
    else
        memcpy(&v4.sin_addr, address->bytes, 4);
    return MMDB_lookup_sockaddr(
        database, address->v6 ? (const struct sockaddr *)&v6 : (const struct sockaddr *)&v4, status);
}

static struct code take_code(const MMDB_entry_data_s *data)
{
    struct code code = {.length = 2};

    if (!data->has_data || data->type != MMDB_DATA_TYPE_UTF8_STRING || data->data_size != 2)
        return (struct code){.length = 0};
    for (size_t i = 0; i < 2; i++) {
        char c = data->utf8_string[i];

        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c < 'A' || c > 'Z')
            return (struct code){.length = 0};
        code.letters[i] = c;
    }
    return code;
}

/* Only `country` is where somebody is: `registered_country` is where the network's owner is. */
static struct code look_up(struct geoip *geoip, const struct address *address)
{
    static const char *const path[] = {"country", "iso_code", NULL};
    const struct code none = {.length = 0};
    MMDB_lookup_result_s found;
    MMDB_entry_data_s data;
    int status;

    found = find(&geoip->database, address, &status);
    if (status == MMDB_SUCCESS && !found.found_entry)
        return none;
    if (status == MMDB_SUCCESS)
        status = MMDB_aget_value(&found.entry, &data, path);
    if (status == MMDB_SUCCESS)
        return take_code(&data);
    if (status != MMDB_IPV6_LOOKUP_IN_IPV4_DATABASE_ERROR &&
        status != MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR && !atomic_exchange(&geoip->damaged, true))
        log_event(LOG_WARNING, "GEOIP_DATABASE is damaged", "reason", MMDB_strerror(status), NULL);
    return none;
}

static bool holds(const struct entry *entry, const struct address *address)
{
    return entry->taken && entry->address.v6 == address->v6 &&
           memcmp(entry->address.bytes, address->bytes, sizeof(address->bytes)) == 0;
}

static struct pair *place_of(struct geoip_reader *reader, const struct address *address)
{
    uint64_t halves[2];

    memcpy(halves, address->bytes, sizeof(halves));
    return &reader->pairs[hash_mix(halves[0], halves[1]) & (GEOIP_PAIRS_MAX - 1)];
}

struct text geoip_country(struct geoip_reader *reader, struct text client)
{
    struct address address;
    struct pair *pair;

    if (reader->geoip == NULL || !address_parse(client, &address) || address_is_private(&address))
        return (struct text){NULL, 0};
    pair = place_of(reader, &address);
    if (!holds(&pair->recent, &address)) {
        struct entry entry = pair->older;

        if (!holds(&entry, &address))
            entry = (struct entry){address, true, look_up(reader->geoip, &address)};
        pair->older = pair->recent;
        pair->recent = entry;
    }
    return (struct text){pair->recent.code.letters, pair->recent.code.length};
}
