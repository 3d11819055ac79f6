/* Counted X509_STOREs: a connection holds the one that it began with. */
#include "net/trust.h"

#include <inttypes.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "caps.h"
#include "util/memory.h"
#include "util/text.h"

/* What tells that a file was changed or replaced; zeroed: there is none. */
struct version {
    uint64_t device, inode;
    int64_t size, seconds, nanoseconds;
};

struct row {
    X509_STORE *store; /* NULL: a free row */
    char *file, *folder;
    struct version version;
};

struct trust {
    pthread_mutex_t lock;
    struct row rows[TRUST_STORES_MAX];
    size_t next;         /* the row to be filled */
    uint64_t generation; /* how often all was to be read anew */
};

bool trust_fits(const char *library)
{
    struct text rest = text_of(library), name = text_cut(&rest, '/');

    return text_is(name, "OpenSSL") && text_is(rest, OpenSSL_version(OPENSSL_VERSION_STRING));
}

struct trust *trust_new(void)
{
    struct trust *trust = memory_new(1, sizeof(*trust));

    pthread_mutex_init(&trust->lock, NULL);
    return trust;
}

static void forget(struct row *row)
{
    X509_STORE_free(row->store);
    free(row->file);
    free(row->folder);
    *row = (struct row){0};
}

void trust_free(struct trust *trust)
{
    if (trust == NULL)
        return;
    for (size_t i = 0; i < TRUST_STORES_MAX; i++)
        forget(&trust->rows[i]);
    pthread_mutex_destroy(&trust->lock);
    free(trust);
}

void trust_renew(struct trust *trust)
{
    pthread_mutex_lock(&trust->lock);
    for (size_t i = 0; i < TRUST_STORES_MAX; i++)
        forget(&trust->rows[i]);
    trust->generation++;
    pthread_mutex_unlock(&trust->lock);
}

static struct version version_of(const char *file)
{
    struct version version = {0};
    struct stat info;

    if (file && stat(file, &info) == 0) {
        version.device = info.st_dev;
        version.inode = info.st_ino;
        version.size = info.st_size;
        version.seconds = info.st_mtim.tv_sec;
        version.nanoseconds = info.st_mtim.tv_nsec;
    }
    return version;
}

/* What OpenSSL finds out about a certificate when it first verifies by it, it keeps in it. Now, under our
 * lock: a store that is shared does not change any more. */
static void look_through(const X509_STORE *store)
{
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509 *certificate = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));

        if (certificate)
            X509_check_purpose(certificate, -1, 0);
    }
    ERR_clear_error(); /* a fault of a certificate is its connections' business */
}

static X509_STORE *read_store(const char *file, const char *folder)
{
    X509_STORE *store = X509_STORE_new();

    if (store == NULL)
        abort();
    if ((file && X509_STORE_load_file(store, file) != 1) ||
        (folder && X509_STORE_load_path(store, folder) != 1)) {
        ERR_clear_error();
        X509_STORE_free(store);
        return NULL;
    }
    /* As curl does: what is trusted need not be a root. */
    X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN);
    look_through(store);
    return store;
}

static char *copy(const char *string)
{
    return string ? memory_copy(string, strlen(string)) : NULL;
}

static struct row *find(struct trust *trust, const char *file, const char *folder)
{
    for (size_t i = 0; i < TRUST_STORES_MAX; i++) {
        struct row *row = &trust->rows[i];

        if (row->store && text_equal(text_of(row->file), text_of(file)) &&
            text_equal(text_of(row->folder), text_of(folder)))
            return row;
    }
    return NULL;
}

/* The lock is held. NULL: it cannot be read. */
static X509_STORE *current_store(struct trust *trust, const char *file, const char *folder)
{
    /* Before it is read: of a file that changes meanwhile, the version will not be the one that is kept. */
    struct version version = version_of(file);
    struct row *row = find(trust, file, folder);
    X509_STORE *store;

    if (row && memcmp(&row->version, &version, sizeof(version)) == 0)
        return row->store;
    if (row)
        forget(row);
    store = read_store(file, folder);
    /* One that cannot be read takes no other's place. */
    if (store == NULL)
        return NULL;
    if (row == NULL) {
        row = &trust->rows[trust->next];
        trust->next = (trust->next + 1) % TRUST_STORES_MAX;
        forget(row);
    }
    *row = (struct row){store, copy(file), copy(folder), version};
    return store;
}

void trust_state(struct trust *trust, const char *file, char state[TRUST_STATE_SIZE])
{
    struct version version = version_of(file);
    uint64_t generation;

    pthread_mutex_lock(&trust->lock);
    generation = trust->generation;
    pthread_mutex_unlock(&trust->lock);
    snprintf(state, TRUST_STATE_SIZE, "%" PRIu64 ".%" PRIu64 ".%" PRIu64 ".%" PRId64 ".%" PRId64 ".%" PRId64,
             generation, version.device, version.inode, version.size, version.seconds, version.nanoseconds);
}

bool trust_reads(struct trust *trust, const char *file)
{
    bool read;

    pthread_mutex_lock(&trust->lock);
    read = current_store(trust, file, NULL) != NULL;
    pthread_mutex_unlock(&trust->lock);
    return read;
}

bool trust_give(struct trust *trust, struct ssl_ctx_st *connection, const char *file, const char *folder)
{
    X509_STORE *store;
    bool given;

    pthread_mutex_lock(&trust->lock);
    store = current_store(trust, file, folder);
    /* Not as its cert_store, to which curl adds (some versions after this): a shared one must not change.
     * Where there is a store for verifying, the other is not asked. */
    given = store && SSL_CTX_set1_verify_cert_store(connection, store) == 1;
    pthread_mutex_unlock(&trust->lock);
    return given;
}
