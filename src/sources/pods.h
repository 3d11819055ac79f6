/* A pod as the Kubernetes API lists it: what its logs are, and since when there can be any. */
#ifndef OM_SOURCES_PODS_H
#define OM_SOURCES_PODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/text.h"
#include "util/timestamp.h"

struct arena;
struct json_object;

/* A run of a container: after a restart there is another one. The kubelet keeps the logs of two. */
struct pod_run {
    bool exists;
    struct text id;         /* of the runtime's container; may be empty */
    struct instant started; /* whole seconds, rounded down; the pod's creation where it is not said */
    bool has_ended;
    struct instant ended; /* the same */
};

enum { POD_RUN_PREVIOUS, POD_RUN_CURRENT, POD_RUNS };

struct pod_container {
    struct text name;
    int64_t restarts;
    struct pod_run runs[POD_RUNS];
};

struct pod {
    struct text name, uid;
    struct instant created; /* whole seconds */
    bool is_pending;        /* nothing has run in it yet */
    struct pod_container *containers;
    size_t container_count; /* those that have or had a run, or wait for one; no init containers */
};

/* In the arena, with its texts. NULL when the item is no pod of which a log can be asked for. */
struct pod *pod_read(struct arena *arena, struct json_object *item);

/* How many runs of the container have no log any more. */
int64_t pod_lost_runs(const struct pod_container *container);

#endif
