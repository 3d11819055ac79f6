/* uthash for finding, a list for the order of use, one lock for both. */
#include "util/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "util/hash.h"

/* Keys come from strangers: hashed with the seed of the cache that a function has at hand. */
#define HASH_FUNCTION(key, key_length, hash)                                                                 \
    ((hash) = (unsigned)hash_text(cache->seed, (struct text){(const char *)(key), (key_length)}))
#include <uthash.h>
#include <utlist.h>

#include "util/memory.h"
#include "util/timestamp.h"

struct entry {
    UT_hash_handle hh;
    struct entry *prev, *next; /* the least recently used first */
    char *key;
    struct cache_value *value;
    int64_t born;
};

struct cache {
    pthread_mutex_t lock;
    size_t max_bytes, bytes, hours;
    uint64_t evictions;
    atomic_uint_fast64_t hits, misses;
    int64_t max_age_ms;
    uint64_t seed;
    struct entry *entries; /* by key */
    struct entry *order;
};

void cache_value_init(struct cache_value *value, size_t bytes, void (*destroy)(struct cache_value *value))
{
    atomic_init(&value->holders, 1);
    value->bytes = bytes;
    value->hours = 0;
    value->destroy = destroy;
}

void cache_value_release(struct cache_value *value)
{
    if (value && atomic_fetch_sub(&value->holders, 1) == 1)
        value->destroy(value);
}

struct cache *cache_new(size_t max_bytes, int64_t max_age_ms)
{
    struct cache *cache = memory_new(1, sizeof(*cache));

    cache->seed = hash_seed();
    pthread_mutex_init(&cache->lock, NULL);
    cache->max_bytes = max_bytes;
    cache->max_age_ms = max_age_ms;
    return cache;
}

/* The lock is held. */
static void remove_entry(struct cache *cache, struct entry *entry)
{
    HASH_DEL(cache->entries, entry);
    DL_DELETE(cache->order, entry);
    cache->bytes -= entry->value->bytes;
    cache->hours -= entry->value->hours;
    cache_value_release(entry->value);
    free(entry->key);
    free(entry);
}

void cache_free(struct cache *cache)
{
    if (cache == NULL)
        return;
    while (cache->order)
        remove_entry(cache, cache->order);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}

/* The lock is held. What is too old is gone. */
static struct entry *find(struct cache *cache, struct text key)
{
    struct entry *entry;

    HASH_FIND(hh, cache->entries, key.data, key.length, entry);
    if (entry == NULL || clock_ms() - entry->born <= cache->max_age_ms)
        return entry;
    remove_entry(cache, entry);
    return NULL;
}

struct cache_value *cache_get(struct cache *cache, struct text key)
{
    struct cache_value *value = NULL;
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    entry = find(cache, key);
    if (entry) {
        DL_DELETE(cache->order, entry);
        DL_APPEND(cache->order, entry);
        value = entry->value;
        atomic_fetch_add(&value->holders, 1);
    }
    pthread_mutex_unlock(&cache->lock);
    return value;
}

void cache_put(struct cache *cache, struct text key, struct cache_value *value, int64_t born)
{
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    entry = find(cache, key);
    if (entry)
        remove_entry(cache, entry);
    if (value->bytes <= cache->max_bytes) {
        for (; cache->bytes > cache->max_bytes - value->bytes; cache->evictions++)
            remove_entry(cache, cache->order);
        entry = memory_new(1, sizeof(*entry));
        entry->key = memory_copy(key.data, key.length);
        entry->value = value;
        entry->born = born;
        atomic_fetch_add(&value->holders, 1);
        HASH_ADD_KEYPTR(hh, cache->entries, entry->key, key.length, entry);
        DL_APPEND(cache->order, entry);
        cache->bytes += value->bytes;
        cache->hours += value->hours;
    }
    pthread_mutex_unlock(&cache->lock);
}

void cache_drop(struct cache *cache, struct text key)
{
    struct entry *entry;

    pthread_mutex_lock(&cache->lock);
    entry = find(cache, key);
    if (entry)
        remove_entry(cache, entry);
    pthread_mutex_unlock(&cache->lock);
}

void cache_hit(struct cache *cache)
{
    if (cache)
        atomic_fetch_add_explicit(&cache->hits, 1, memory_order_relaxed);
}

void cache_missed(struct cache *cache)
{
    if (cache)
        atomic_fetch_add_explicit(&cache->misses, 1, memory_order_relaxed);
}

void cache_look(struct cache *cache, struct cache_view *out)
{
    pthread_mutex_lock(&cache->lock);
    *out = (struct cache_view){
        .hits = atomic_load_explicit(&cache->hits, memory_order_relaxed),
        .misses = atomic_load_explicit(&cache->misses, memory_order_relaxed),
        .evictions = cache->evictions,
        .hours = cache->hours,
        .entries = HASH_COUNT(cache->entries),
        .bytes = cache->bytes,
        .max_bytes = cache->max_bytes,
    };
    pthread_mutex_unlock(&cache->lock);
}

size_t cache_limit(const struct cache *cache)
{
    return cache->max_bytes;
}

size_t cache_bytes(struct cache *cache)
{
    size_t bytes;

    pthread_mutex_lock(&cache->lock);
    bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
    return bytes;
}

size_t cache_count(struct cache *cache)
{
    size_t count;

    pthread_mutex_lock(&cache->lock);
    count = HASH_COUNT(cache->entries);
    pthread_mutex_unlock(&cache->lock);
    return count;
}
