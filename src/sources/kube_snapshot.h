/* What the API said at one moment: the definitions in its ConfigMaps, or whose its namespaces are. Immutable
 * once finished; shared by all workers through the cache. */
#ifndef OM_SOURCES_KUBE_SNAPSHOT_H
#define OM_SOURCES_KUBE_SNAPSHOT_H

#include <stdint.h>

#include "sources/inventory_draft.h"
#include "util/cache.h"

struct json_object;

/* A ConfigMap as it was read. */
struct kube_entry {
    struct text uid, version; /* of another uid or version the definition is parsed again */
    struct service service;   /* of a broken one only name (by which it is hidden) and namespace are of use */
    const char *why;          /* it is broken; NULL: it is not */
    struct text stated;       /* the name that a broken one states, if it came to that: hidden, too */
};

struct kube_snapshot {
    struct cache_value value;   /* first */
    struct arena *arena;        /* everything below lies there */
    int64_t began, ended;       /* clock_ms(): when it was read */
    const char *fault;          /* why it could not be read; NULL: it was, to its end */
    struct kube_entry *entries; /* sorted by uid */
    size_t entry_count;
    struct inventory inventory; /* its status too: what it says of the ConfigMaps, or of the namespaces */
};

/* A snapshot in the making. */
struct kube_draft;

/* `previous` (may be NULL) must live as long: what has not changed since is not parsed again. */
struct kube_draft *kube_draft_new(const struct kube_snapshot *previous);
void kube_draft_free(struct kube_draft *draft); /* NULL is allowed */

/* What was taken is void. */
void kube_draft_clear(struct kube_draft *draft);

/* An item of a list. Whatever it is, it costs at most itself. */
void kube_draft_take_configmap(struct kube_draft *draft, struct json_object *item);
void kube_draft_take_namespace(struct kube_draft *draft, struct json_object *item);

size_t kube_draft_parsed(const struct kube_draft *draft); /* definitions that were */

/* The snapshot has one holder, the caller. The draft is empty again. A `fault` gives one that says only
 * that. */
struct kube_snapshot *kube_draft_finish(struct kube_draft *draft, int64_t began, struct instant read_at,
                                        const char *fault);

#endif
