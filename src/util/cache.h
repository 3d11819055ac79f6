/* A bounded, expiring store of immutable values that all workers share. Whoever gets a value holds it; it
 * goes when the cache and its last holder have let it go. */
#ifndef OM_UTIL_CACHE_H
#define OM_UTIL_CACHE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "util/text.h"

struct cache;

/* Stands first in the struct of each kind of value. */
struct cache_value {
    atomic_int holders;
    size_t bytes; /* what it costs */
    size_t hours; /* of logs that it holds; 0 to begin with, its maker sets it before it is kept */
    void (*destroy)(struct cache_value *value);
};

/* A new value has one holder: who made it. */
void cache_value_init(struct cache_value *value, size_t bytes, void (*destroy)(struct cache_value *value));
void cache_value_release(struct cache_value *value); /* NULL is allowed */

/* When more than max_bytes would be kept, what was asked for the longest time ago goes; what is older than
 * max_age_ms is not given any more. */
struct cache *cache_new(size_t max_bytes, int64_t max_age_ms);
void cache_free(struct cache *cache); /* NULL is allowed */

/* Held for the caller: cache_value_release() it. NULL when there is none. */
struct cache_value *cache_get(struct cache *cache, struct text key);

/* Keeps a value (the caller's hold stays the caller's) in place of what had the same key. `born` is when the
 * oldest of its data was read, clock_ms(). One that is larger than the whole cache is not kept. */
void cache_put(struct cache *cache, struct text key, struct cache_value *value, int64_t born);

void cache_drop(struct cache *cache, struct text key);

/* Whoever looked for something says whether it was there or had to be got; the cache only counts. (It is
 * looked into for other reasons, too, and more than once for the same thing.) NULL is allowed. */
void cache_hit(struct cache *cache);
void cache_missed(struct cache *cache);

/* All of one moment. What is too old and was not asked for since is still in it. */
struct cache_view {
    uint64_t hits, misses;
    uint64_t evictions; /* what went to make room */
    size_t hours, entries, bytes, max_bytes;
};

void cache_look(struct cache *cache, struct cache_view *out);

size_t cache_limit(const struct cache *cache); /* max_bytes */
size_t cache_bytes(struct cache *cache);
size_t cache_count(struct cache *cache);

#endif
