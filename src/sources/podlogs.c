/* The job: pods are listed, their logs are read, some at a time, and in the end the pods are listed once
 * more, to see whether any was restarted meanwhile. What was lost is said (podlogs_reach.c: what is not there
 * any more). */
#include "sources/podlogs.h"

#include <inttypes.h>
#include <stdlib.h>

#include "caps.h"
#include "settings.h"
#include "sources/geoip.h"
#include "sources/kube.h"
#include "sources/kube_list.h"
#include "sources/podlogs_job.h"
#include "sources/uncounted.h"
#include "util/arena.h"
#include "util/memory.h"

/* ---- the lists ---- */

/* A run whose lines cannot lie in the range is not read. Its times are rounded down, and the clock that
 * stamps the lines is not the one that says when it ended. */
static bool overlaps(const struct podlogs *logs, const struct pod_run *run)
{
    if (!run->exists || run->started.seconds > logs->context->end.seconds)
        return false;
    return !run->has_ended || run->ended.seconds + PODLOGS_SKEW_SECONDS >= logs->context->start.seconds;
}

static void add_reading(struct podlogs *logs, struct podlogs_pod *of, struct pod_container *container)
{
    struct podlogs_reading *reading = ARENA_NEW(logs->context->arena, struct podlogs_reading);

    reading->pod = of;
    reading->container = container;
    for (size_t i = 0; i < POD_RUNS; i++)
        reading->logs[i].wanted = overlaps(logs, &container->runs[i]);
    reading->next = of->readings;
    of->readings = reading;
    *logs->last_reading = reading;
    logs->last_reading = &reading->in_order;
}

static void take_pod(void *context, struct json_object *item)
{
    struct podlogs *logs = context;
    struct pod *pod = pod_read(logs->context->arena, item);
    struct podlogs_pod *of;

    if (pod == NULL) {
        logs->odd_pods++;
        return;
    }
    of = ARENA_NEW(logs->context->arena, struct podlogs_pod);
    of->pod = pod;
    *logs->last_pod = of;
    logs->last_pod = &of->next;
    logs->pod_count++;
    for (size_t i = 0; i < pod->container_count; i++)
        add_reading(logs, of, &pod->containers[i]);
}

static void forget_pods(void *context)
{
    struct podlogs *logs = context;

    logs->pods = NULL;
    logs->last_pod = &logs->pods;
    logs->readings = NULL;
    logs->last_reading = &logs->readings;
    logs->pod_count = logs->odd_pods = 0;
}

static int compare_pods(const void *a, const void *b)
{
    return text_compare((*(struct podlogs_pod *const *)a)->pod->uid,
                        (*(struct podlogs_pod *const *)b)->pod->uid);
}

/* All pods by uid, for find_pod(). */
static void sort_pods(struct podlogs *logs)
{
    size_t count = 0;

    logs->sorted = ARENA_ARRAY(logs->context->arena, logs->pod_count, struct podlogs_pod *);
    for (struct podlogs_pod *pod = logs->pods; pod; pod = pod->next)
        logs->sorted[count++] = pod;
    if (count > 0)
        qsort(logs->sorted, count, sizeof(*logs->sorted), compare_pods); // NOLINT(bugprone-sizeof-expression)
}

static void compare_container(struct podlogs *logs, const struct podlogs_pod *before,
                              const struct pod_container *now)
{
    for (const struct podlogs_reading *reading = before->readings; reading; reading = reading->next)
        if (text_equal(reading->container->name, now->name) && reading->container->restarts != now->restarts)
            status_note(logs->status, STATUS_PARTIAL,
                        "container %s of pod %s was restarted while its log was read", now->name.data,
                        before->pod->name.data);
}

/* Of the second list. A pod that is gone by now either was read, or that was said. */
static void compare_pod(void *context, struct json_object *item)
{
    struct podlogs *logs = context;
    struct podlogs_pod now = {.pod = pod_read(logs->context->arena, item)}, *key = &now, **found;

    if (now.pod == NULL)
        return;
    found = bsearch(&key, logs->sorted, logs->pod_count, sizeof(struct podlogs_pod *), compare_pods);
    for (size_t i = 0; found && i < now.pod->container_count; i++)
        compare_container(logs, *found, &now.pod->containers[i]);
}

/* What has been said stays said. */
static void compare_again(void *context)
{
    (void)context;
}

static void list_pods(struct podlogs *logs, bool again)
{
    logs->list = kube_list_start(
        logs->context, logs->kube,
        &(struct kube_list_request){
            .path = arena_format(logs->context->arena, "/api/v1/namespaces/%s/pods", logs->namespace),
            .selector = logs->selector,
            .kind = "PodList",
            .what = arena_format(logs->context->arena, "list pods in namespace %s", logs->namespace),
            .take = again ? compare_pod : take_pod,
            .restart = again ? compare_again : forget_pods,
            .context = logs});
}

static void drop_list(struct podlogs *logs)
{
    if (logs->list)
        kube_list_stop(logs->list);
    logs->list = NULL;
}

/* ---- the end ---- */

static void release(struct podlogs *logs)
{
    drop_list(logs);
    for (size_t i = 0; i < PODLOGS_STREAMS_MAX; i++) {
        free(logs->streams[i].lines);
        logs->streams[i].lines = NULL;
    }
    geoip_reader_free(logs->countries);
    logs->countries = NULL;
    logs->stopped = true;
}

static void settle(struct podlogs *logs)
{
    if (logs->read > 0)
        status_read_at(logs->status, logs->context->now);
    if (logs->odd_pods > 0)
        status_note(logs->status, STATUS_PARTIAL, "pods that cannot be made out in the list: %" PRIu64,
                    logs->odd_pods);
    if (logs->full)
        status_note_open(logs->status, STATUS_PARTIAL, "memory limit reached (OSCAR_METRICS_MEMORY)");
    if (logs->read == 0 && logs->failed > 0)
        status_note_open(logs->status, STATUS_MISSING, "no log of a pod could be read");
    if (logs->context->remembered) /* a report on a terminal has no log */
        uncounted_log(logs->status->name, logs->results);
}

static void finish(struct podlogs *logs)
{
    if (logs->pods == NULL && logs->odd_pods == 0 && logs->status->level == STATUS_OK)
        status_note(logs->status, STATUS_MISSING, "no pod with %s in namespace %s", logs->selector,
                    logs->namespace);
    if (!logs->full)
        podlogs_note_reach(logs);
    settle(logs);
    release(logs);
}

/* ---- the job ---- */

static enum job_state end_list(struct podlogs *logs)
{
    const char *fault = kube_list_fault(logs->list);
    bool first = logs->phase == PODLOGS_LISTING;

    drop_list(logs);
    if (fault)
        status_note(logs->status, first ? STATUS_MISSING : STATUS_PARTIAL, "%s", fault);
    if (fault || !first || logs->pods == NULL) {
        finish(logs);
        return JOB_DONE;
    }
    logs->phase = PODLOGS_READING;
    logs->next_reading = logs->readings;
    return JOB_READY;
}

static enum job_state step_reading(struct podlogs *logs)
{
    if (podlogs_read_on(logs))
        return JOB_WAITING;
    if (logs->read == 0 || logs->full) {
        finish(logs);
        return JOB_DONE;
    }
    logs->phase = PODLOGS_LOOKING_AGAIN;
    sort_pods(logs);
    list_pods(logs, true);
    return JOB_READY;
}

static enum job_state step(struct job *job)
{
    struct podlogs *logs = (struct podlogs *)job;
    enum job_state state;

    job->wake_at = 0;
    if (logs->phase == PODLOGS_READING)
        return step_reading(logs);
    state = kube_list_step(logs->list, &job->wake_at);
    return state == JOB_DONE ? end_list(logs) : state;
}

static void stop(struct job *job, enum job_stop why)
{
    struct podlogs *logs = (struct podlogs *)job;

    if (why == JOB_DEADLINE) {
        if (logs->phase == PODLOGS_LISTING)
            status_note_open(logs->status, STATUS_MISSING, "deadline passed while pods were listed");
        else
            status_note_open(logs->status, logs->read > 0 ? STATUS_PARTIAL : STATUS_MISSING,
                             "deadline passed while pods' logs were read: %" PRIu64 " of %" PRIu64
                             " were read to their end",
                             logs->read, logs->read + logs->failed + podlogs_left(logs));
        settle(logs);
    }
    release(logs);
}

struct job *podlogs_start(const struct source_context *context, const struct logline_rules *rules,
                          struct usage *usage, struct source_status *status)
{
    static const struct job_ops ops = {step, stop};
    const struct settings *settings = context->settings;
    struct podlogs *logs = ARENA_NEW(context->arena, struct podlogs);
    bool exposed = rules->kind == LOGLINE_EXPOSED;

    logs->job.ops = &ops;
    logs->context = context;
    logs->rules = *rules;
    logs->usage = usage;
    logs->status = status;
    logs->kube = kube_open(context);
    logs->namespace = settings_text(settings, exposed ? LOKI_EXPOSED_NAMESPACE : OSCAR_NAMESPACE);
    logs->selector = exposed ? arena_format(context->arena, "app.kubernetes.io/name=%s",
                                            settings_text(settings, LOKI_EXPOSED_APP))
                             : "app=oscar";
    /* Exposed requests give no countries: rows by country would only be more of them. */
    logs->countries = geoip_reader_new(exposed ? NULL : context->geoip);
    forget_pods(logs);
    list_pods(logs, false);
    return &logs->job;
}
