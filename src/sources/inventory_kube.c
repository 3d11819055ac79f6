/* The inventory from the Kubernetes API: the ConfigMaps that hold definitions, and when it matters whose they
 * are the namespaces. Each list is read by one worker at a time and shared for some seconds; those who wait
 * look again when somebody has finished.
 *
 * A snapshot counts from the moment at which its reading began: what was changed before that is in it. */
#include <stdlib.h>

#include "caps.h"
#include "net/fetch.h"
#include "settings.h"
#include "sources/kube.h"
#include "sources/kube_list.h"
#include "sources/kube_snapshot.h"
#include "util/arena.h"
#include "util/cache.h"
#include "util/claims.h"

struct kube_job;

/* The two lists. */
enum { DEFINITIONS, NAMESPACES, LISTS };

static const struct {
    const char *path, *selector, *kind, *what;
    void (*take)(struct kube_draft *draft, struct json_object *item);
} lists[LISTS] = {
    [DEFINITIONS] = {"/api/v1/configmaps", "oscar_service", "ConfigMapList",
                     "list configmaps in all namespaces", kube_draft_take_configmap},
    [NAMESPACES] = {"/api/v1/namespaces", "app.kubernetes.io/managed-by=oscar", "NamespaceList",
                    "list namespaces", kube_draft_take_namespace},
};

/* One of them, on its way to a snapshot. */
struct reading {
    struct kube_job *job;
    size_t which;
    struct text key, fault_key;     /* in the cache */
    struct kube_snapshot *result;   /* held; NULL: not yet */
    struct kube_snapshot *previous; /* held: what is too old to be shown */
    struct claim *claim;
    struct kube_list *list; /* NULL: somebody else is reading it */
    struct kube_draft *draft;
    int64_t began;
    struct instant read_at;
};

struct kube_job {
    struct job job; /* first */
    const struct source_context *context;
    struct inventory *out;
    struct kube *kube;
    int64_t began;
    bool wanted[LISTS];
    struct reading readings[LISTS];
    struct claims_listener listener;
};

/* A snapshot of the cache, held, if it is young enough for this report. */
static bool look_for(struct reading *reading, struct text key)
{
    const struct kube_job *job = reading->job;
    struct kube_snapshot *found = (struct kube_snapshot *)cache_get(job->context->remembered, key);
    bool young = found && found->began > job->context->fresh_after &&
                 (found->fault ? found->ended + INVENTORY_KUBE_FAULT_MS
                               : found->began + INVENTORY_KUBE_SHARED_MS) >= job->began;

    if (young)
        reading->result = found;
    else if (found && found->fault == NULL && reading->previous == NULL)
        reading->previous = found;
    else if (found)
        cache_value_release(&found->value);
    return young;
}

static bool look(struct reading *reading)
{
    return reading->job->context->remembered &&
           (look_for(reading, reading->key) || look_for(reading, reading->fault_key));
}

static void take_item(void *context, struct json_object *item)
{
    const struct reading *reading = context;

    lists[reading->which].take(reading->draft, item);
}

static void void_all(void *context)
{
    struct reading *reading = context;

    kube_draft_clear(reading->draft);
    reading->began = clock_ms();
    reading->read_at = instant_now();
}

static void let_go(struct reading *reading)
{
    if (reading->claim)
        claims_release(reading->job->context->claims, reading->claim);
    if (reading->list)
        kube_list_stop(reading->list);
    kube_draft_free(reading->draft);
    if (reading->previous)
        cache_value_release(&reading->previous->value);
    reading->claim = NULL;
    reading->list = NULL;
    reading->draft = NULL;
    reading->previous = NULL;
}

/* True: it is this worker that reads; false: somebody else does, or has just done it. */
static bool begin(struct reading *reading)
{
    const struct source_context *context = reading->job->context;

    if (context->claims) {
        reading->claim = claims_take(context->claims, reading->key);
        if (reading->claim == NULL)
            return false;
        /* Somebody may have finished between the look and the claim. */
        if (look(reading)) {
            let_go(reading);
            return false;
        }
    }
    reading->began = clock_ms();
    reading->read_at = instant_now();
    reading->draft = kube_draft_new(reading->previous);
    reading->list = kube_list_start(context, reading->job->kube,
                                    &(struct kube_list_request){.path = lists[reading->which].path,
                                                                .selector = lists[reading->which].selector,
                                                                .kind = lists[reading->which].kind,
                                                                .what = lists[reading->which].what,
                                                                .take = take_item,
                                                                .restart = void_all,
                                                                .context = reading});
    return true;
}

static void finish(struct reading *reading)
{
    struct cache *remembered = reading->job->context->remembered;
    const char *fault = kube_list_fault(reading->list);

    reading->result = kube_draft_finish(reading->draft, reading->began, reading->read_at, fault);
    cache_missed(remembered);
    if (remembered)
        cache_put(remembered, fault ? reading->fault_key : reading->key, &reading->result->value,
                  reading->began);
    let_go(reading);
}

static enum job_state step_reading(struct reading *reading, int64_t *wake_at)
{
    enum job_state state;

    if (reading->result)
        return JOB_DONE;
    if (reading->list == NULL && (look(reading) || !begin(reading))) {
        if (reading->result == NULL)
            return JOB_WAITING;
        cache_hit(reading->job->context->remembered);
        let_go(reading); /* what was too old, when somebody else read anew */
        return JOB_DONE;
    }
    state = kube_list_step(reading->list, wake_at);
    if (state == JOB_DONE)
        finish(reading);
    return state;
}

/* The snapshots become the answer, and are held as long as it. At the deadline one may not be there. */
static void settle(struct kube_job *job)
{
    struct inventory *out = job->out;
    const struct kube_snapshot *definitions = job->readings[DEFINITIONS].result;
    const struct kube_snapshot *namespaces = job->readings[NAMESPACES].result;
    struct source_status status = out->status;

    if (definitions == NULL) {
        status_note(&status, STATUS_MISSING,
                    "the Kubernetes API did not give the services before the deadline");
    } else if (definitions->fault) {
        status_note(&status, STATUS_MISSING, "%s", definitions->fault);
    } else {
        *out = definitions->inventory;
        status_join(&status, &definitions->inventory.status);
    }
    if (namespaces == NULL && job->wanted[NAMESPACES]) {
        status_note(&status, STATUS_PARTIAL,
                    "the Kubernetes API did not give the namespaces before the deadline");
    } else if (namespaces && namespaces->fault) {
        status_note(&status, STATUS_PARTIAL, "%s", namespaces->fault);
    } else if (namespaces) {
        out->namespaces = namespaces->inventory.namespaces;
        out->namespace_count = namespaces->inventory.namespace_count;
        out->namespaces_known = true;
        status_join(&status, &namespaces->inventory.status);
    }
    out->status = status;
    for (size_t i = 0; i < LISTS; i++)
        out->held[i] = job->readings[i].result ? &job->readings[i].result->value : NULL;
}

static void end_listening(struct kube_job *job)
{
    if (job->context->claims)
        claims_unlisten(job->context->claims, &job->listener);
}

static enum job_state kube_step(struct job *base)
{
    struct kube_job *job = (struct kube_job *)base;
    enum job_state all = JOB_DONE;

    job->job.wake_at = 0;
    for (size_t i = 0; i < LISTS; i++) {
        int64_t wake_at = 0;
        enum job_state state = job->wanted[i] ? step_reading(&job->readings[i], &wake_at) : JOB_DONE;

        if (state == JOB_READY || (state == JOB_WAITING && all == JOB_DONE))
            all = state;
        if (wake_at > 0 && (job->job.wake_at == 0 || wake_at < job->job.wake_at))
            job->job.wake_at = wake_at;
    }
    if (all == JOB_DONE) {
        end_listening(job);
        settle(job);
    }
    return all;
}

static void kube_stop(struct job *base, enum job_stop why)
{
    struct kube_job *job = (struct kube_job *)base;

    end_listening(job);
    for (size_t i = 0; i < LISTS; i++) {
        struct reading *reading = &job->readings[i];

        let_go(reading);
        if (reading->result && why != JOB_DEADLINE)
            cache_value_release(&reading->result->value);
    }
    if (why == JOB_DEADLINE)
        settle(job);
}

static void wake(void *context)
{
    fetcher_wake(context);
}

struct job *inventory_kube_start(const struct source_context *context, bool namespaces, struct inventory *out)
{
    static const struct job_ops ops = {kube_step, kube_stop};
    struct kube_job *job = ARENA_NEW(context->arena, struct kube_job);

    *job = (struct kube_job){.job = {.ops = &ops},
                             .context = context,
                             .out = out,
                             .kube = kube_open(context),
                             .began = clock_ms(),
                             .wanted = {[DEFINITIONS] = true, [NAMESPACES] = namespaces},
                             .listener = {.wake = wake, .context = context->fetcher}};
    for (size_t i = 0; i < LISTS; i++)
        job->readings[i] = (struct reading){
            .job = job,
            .which = i,
            .key = text_of(arena_format(context->arena, "kube %s %s", lists[i].path, kube_base(job->kube))),
            .fault_key = text_of(
                arena_format(context->arena, "kube fault %s %s", lists[i].path, kube_base(job->kube)))};
    if (context->claims)
        claims_listen(context->claims, &job->listener);
    return &job->job;
}
