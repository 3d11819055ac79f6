/* uthash for the keys, a list of listeners, one lock for both. */
#include "util/claims.h"

#include <pthread.h>
#include <stdlib.h>

#include "util/hash.h"

/* Keys hold what strangers chose: hashed with the seed of the table that a function has at hand. */
#define HASH_FUNCTION(key, key_length, hash)                                                                 \
    ((hash) = (unsigned)hash_text(claims->seed, (struct text){(const char *)(key), (key_length)}))
#include <uthash.h>
#include <utlist.h>

#include "util/memory.h"

struct claim {
    UT_hash_handle hh;
    char *key;
};

struct claims {
    pthread_mutex_t lock;
    uint64_t seed;
    struct claim *held;
    struct claims_listener *listeners;
};

struct claims *claims_new(void)
{
    struct claims *claims = memory_new(1, sizeof(*claims));

    claims->seed = hash_seed();
    pthread_mutex_init(&claims->lock, NULL);
    return claims;
}

void claims_free(struct claims *claims)
{
    if (claims == NULL)
        return;
    pthread_mutex_destroy(&claims->lock);
    free(claims);
}

void claims_listen(struct claims *claims, struct claims_listener *listener)
{
    pthread_mutex_lock(&claims->lock);
    DL_APPEND(claims->listeners, listener);
    pthread_mutex_unlock(&claims->lock);
}

void claims_unlisten(struct claims *claims, struct claims_listener *listener)
{
    pthread_mutex_lock(&claims->lock);
    DL_DELETE(claims->listeners, listener);
    pthread_mutex_unlock(&claims->lock);
}

struct claim *claims_take(struct claims *claims, struct text key)
{
    struct claim *claim;

    pthread_mutex_lock(&claims->lock);
    HASH_FIND(hh, claims->held, key.data, key.length, claim);
    if (claim) {
        claim = NULL;
    } else {
        claim = memory_new(1, sizeof(*claim));
        claim->key = memory_copy(key.data, key.length);
        HASH_ADD_KEYPTR(hh, claims->held, claim->key, key.length, claim);
    }
    pthread_mutex_unlock(&claims->lock);
    return claim;
}

void claims_release(struct claims *claims, struct claim *claim)
{
    pthread_mutex_lock(&claims->lock);
    HASH_DEL(claims->held, claim);
    for (struct claims_listener *listener = claims->listeners; listener; listener = listener->next)
        listener->wake(listener->context);
    pthread_mutex_unlock(&claims->lock);
    free(claim->key);
    free(claim);
}
