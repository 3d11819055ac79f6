/* Any bytes as a page of pods: what comes out can stand in a path, and its runs make sense. */
#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "sources/kube_list.h"
#include "sources/pods.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct pod *pod)
{
    demand(text_is_dns_name(pod->name));
    for (size_t i = 0; i < pod->container_count; i++) {
        const struct pod_container *container = &pod->containers[i];
        const struct pod_run *previous = &container->runs[POD_RUN_PREVIOUS];
        const struct pod_run *current = &container->runs[POD_RUN_CURRENT];

        demand(text_is_dns_name(container->name) && container->restarts >= 0);
        demand(pod_lost_runs(container) >= 0 && pod_lost_runs(container) <= container->restarts);
        demand(!previous->exists || !current->exists || previous->id.length == 0 ||
               !text_equal(previous->id, current->id));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct text next;
    struct json_object *items =
        kube_page_read(arena, (struct text){(const char *)data, size}, "PodList", &next);

    for (size_t i = 0; items && i < json_object_array_length(items); i++) {
        const struct pod *pod = pod_read(arena, json_object_array_get_idx(items, i));

        if (pod)
            check(pod);
    }
    json_object_put(items);
    arena_free(arena);
    return 0;
}
