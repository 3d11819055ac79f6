/* A short table: backends come from the settings and from providers' documents. */
#include "net/outage.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "caps.h"
#include "util/memory.h"

struct outage {
    char *backend; /* NULL: a free row */
    char why[OUTAGE_WHY_MAX_BYTES];
    int64_t failed; /* clock_ms() */
};

struct outages {
    pthread_mutex_t lock;
    struct outage rows[OUTAGE_BACKENDS_MAX];
};

struct outages *outages_new(void)
{
    struct outages *outages = memory_new(1, sizeof(*outages));

    pthread_mutex_init(&outages->lock, NULL);
    return outages;
}

static void forget(struct outage *row)
{
    free(row->backend);
    row->backend = NULL;
}

void outages_free(struct outages *outages)
{
    if (outages == NULL)
        return;
    for (size_t i = 0; i < OUTAGE_BACKENDS_MAX; i++)
        forget(&outages->rows[i]);
    pthread_mutex_destroy(&outages->lock);
    free(outages);
}

void outages_forget(struct outages *outages)
{
    pthread_mutex_lock(&outages->lock);
    for (size_t i = 0; i < OUTAGE_BACKENDS_MAX; i++)
        forget(&outages->rows[i]);
    pthread_mutex_unlock(&outages->lock);
}

/* The lock is held. */
static struct outage *find(struct outages *outages, struct text backend)
{
    for (size_t i = 0; i < OUTAGE_BACKENDS_MAX; i++)
        if (outages->rows[i].backend && text_is(backend, outages->rows[i].backend))
            return &outages->rows[i];
    return NULL;
}

/* A free row, else the oldest. */
static struct outage *make_room(struct outages *outages)
{
    struct outage *oldest = &outages->rows[0];

    for (size_t i = 0; i < OUTAGE_BACKENDS_MAX && oldest->backend; i++)
        if (outages->rows[i].backend == NULL || outages->rows[i].failed < oldest->failed)
            oldest = &outages->rows[i];
    forget(oldest);
    return oldest;
}

void outages_begin(struct outages *outages, struct text backend, const char *why, int64_t now)
{
    struct outage *row;

    pthread_mutex_lock(&outages->lock);
    row = find(outages, backend);
    if (row == NULL) {
        row = make_room(outages);
        row->backend = memory_copy(backend.data, backend.length);
    }
    snprintf(row->why, sizeof(row->why), "%s", why);
    row->failed = now;
    pthread_mutex_unlock(&outages->lock);
}

void outages_end(struct outages *outages, struct text backend)
{
    struct outage *row;

    pthread_mutex_lock(&outages->lock);
    row = find(outages, backend);
    if (row)
        forget(row);
    pthread_mutex_unlock(&outages->lock);
}

int64_t outages_left(struct outages *outages, struct text backend, int64_t now, char words[OUTAGE_WORDS_SIZE])
{
    struct outage *row;
    int64_t ago, left = 0;

    pthread_mutex_lock(&outages->lock);
    row = find(outages, backend);
    if (row) {
        ago = now - row->failed;
        if (ago < OUTAGE_MS) {
            left = OUTAGE_MS - ago;
            snprintf(words, OUTAGE_WORDS_SIZE, "%s (tried %d.%d s ago, not again yet)", row->why,
                     (int)(ago / 1000), (int)(ago / 100 % 10));
        } else {
            forget(row);
        }
    }
    pthread_mutex_unlock(&outages->lock);
    return left;
}
