/* Pods out of a PodList. Init containers are left out: they are at their end before anybody can be served. */
#include "sources/pods.h"

#include <json-c/json.h>

#include "caps.h"
#include "util/arena.h"
#include "util/json.h"

static struct text string_of(struct json_object *object, const char *name)
{
    struct text text;

    return json_string(json_member(object, name), &text) ? text : (struct text){NULL, 0};
}

static bool time_of(struct json_object *object, const char *name, struct instant *out)
{
    struct timestamp time;

    if (!timestamp_parse(string_of(object, name), &time))
        return false;
    *out = time.instant;
    return true;
}

/* `state` is "running" or "terminated" as a status has it; NULL: there is no such run. */
static struct pod_run read_run(struct arena *arena, struct json_object *state, struct text id,
                               struct instant created)
{
    struct pod_run run = {.exists = state != NULL, .started = created};

    if (!run.exists)
        return run;
    time_of(state, "startedAt", &run.started);
    run.has_ended = time_of(state, "finishedAt", &run.ended);
    run.id = arena_text(arena, id);
    return run;
}

/* While a container waits to be started again, what the API gives as its present log is the one of the last
 * run, which is the previous one, too: it is told apart by the id. */
static bool read_container(struct arena *arena, struct json_object *status, struct instant created,
                           struct pod_container *out)
{
    struct json_object *state = json_member(status, "state");
    struct json_object *running = json_member(state, "running"), *ended = json_member(state, "terminated");
    struct json_object *last = json_member(json_member(status, "lastState"), "terminated");
    struct text last_id = string_of(last, "containerID"), name = string_of(status, "name");
    struct pod_run *current = &out->runs[POD_RUN_CURRENT];

    if (!text_is_dns_name(name))
        return false;
    out->name = arena_text(arena, name);
    out->restarts = json_object_get_int64(json_member(status, "restartCount"));
    if (out->restarts < 0 || out->restarts > PODS_RESTARTS_MAX)
        return false;
    *current = running ? read_run(arena, running, string_of(status, "containerID"), created)
                       : read_run(arena, ended, string_of(ended, "containerID"), created);
    if (current->exists && last_id.length > 0 && text_equal(last_id, current->id))
        last = NULL;
    out->runs[POD_RUN_PREVIOUS] = read_run(arena, last, last_id, created);
    return true;
}

struct pod *pod_read(struct arena *arena, struct json_object *item)
{
    struct json_object *metadata = json_member(item, "metadata"), *status = json_member(item, "status");
    struct json_object *statuses = json_member(status, "containerStatuses");
    struct pod *pod = ARENA_NEW(arena, struct pod);
    size_t count = json_object_is_type(statuses, json_type_array) ? json_object_array_length(statuses) : 0;

    if (!text_is_dns_name(string_of(metadata, "name")) ||
        !time_of(metadata, "creationTimestamp", &pod->created))
        return NULL;
    pod->name = arena_text(arena, string_of(metadata, "name"));
    pod->uid = arena_text(arena, string_of(metadata, "uid"));
    pod->is_pending = text_is(string_of(status, "phase"), "Pending");
    pod->containers = ARENA_ARRAY(arena, count, struct pod_container);
    for (size_t i = 0; i < count; i++)
        if (read_container(arena, json_object_array_get_idx(statuses, i), pod->created,
                           &pod->containers[pod->container_count]))
            pod->container_count++;
    return pod;
}

int64_t pod_lost_runs(const struct pod_container *container)
{
    int64_t kept = container->runs[POD_RUN_PREVIOUS].exists + container->runs[POD_RUN_CURRENT].exists;

    return kept > 0 && container->restarts + 1 > kept ? container->restarts + 1 - kept : 0;
}
