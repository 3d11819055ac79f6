/* How far back the logs go. The kubelet gives of a container the log since its last rotation, of the present
 * run and of the one before; of a pod that is gone nothing. Where the range begins before, lines may have
 * been lost, and nobody can say how many.
 *
 * A container whose log holds no line of the logger or the controller beside one that does is another
 * program: nothing can be lost of it. */
#include "sources/podlogs_job.h"

/* A program says something when it starts. */
enum { FIRST_LINE_SECONDS = 30 };

struct reach {
    bool cut;
    struct instant begin; /* the latest of all */
    const char *why;
};

static void see_begin(const struct podlogs *logs, struct reach *reach, struct instant begin, const char *why)
{
    if (instant_compare(begin, logs->context->start) <= 0 ||
        (reach->cut && instant_compare(begin, reach->begin) <= 0))
        return;
    *reach = (struct reach){true, begin, why};
}

/* The first line there is tells whether others stood before it. */
static bool was_rotated(const struct podlogs *logs, const struct pod_run *run, const struct podlogs_log *log)
{
    struct instant expected = run->started;

    if (!log->known || !log->has_first)
        return false;
    expected.seconds += FIRST_LINE_SECONDS;
    if (instant_compare(expected, logs->context->start) < 0)
        expected = logs->context->start;
    return instant_compare(log->first, expected) > 0;
}

static void look_at_container(const struct podlogs *logs, const struct podlogs_reading *reading,
                              struct reach *reach)
{
    const struct pod_container *container = reading->container;
    const struct pod_run *oldest = NULL;

    for (size_t i = POD_RUNS; i-- > 0;) {
        const struct pod_run *run = &container->runs[i];

        if (!run->exists)
            continue;
        if (was_rotated(logs, run, &reading->logs[i]))
            see_begin(logs, reach, reading->logs[i].first, "older lines were rotated away");
        oldest = run;
    }
    if (oldest && pod_lost_runs(container) > 0)
        see_begin(logs, reach, oldest->started, "a container was restarted more than once");
}

static bool any_log(const struct podlogs_reading *reading, bool (*holds)(const struct podlogs_log *log))
{
    for (; reading; reading = reading->next)
        for (size_t i = 0; i < POD_RUNS; i++)
            if (holds(&reading->logs[i]))
                return true;
    return false;
}

static bool speaks(const struct podlogs_log *log)
{
    return log->speaks;
}

static bool has_lines(const struct podlogs_log *log)
{
    return log->has_first;
}

static bool is_known(const struct podlogs_log *log)
{
    return log->known;
}

static bool container_speaks(const struct podlogs_reading *reading)
{
    for (size_t i = 0; i < POD_RUNS; i++)
        if (reading->logs[i].speaks)
            return true;
    return false;
}

static void look_at_pod(struct podlogs *logs, const struct podlogs_pod *of, struct reach *reach)
{
    const struct pod *pod = of->pod;
    bool some_speak = any_log(of->readings, speaks);

    if (pod->container_count == 0 && !pod->is_pending)
        status_note(logs->status, STATUS_PARTIAL, "pod %s has no logs any more", pod->name.data);
    for (const struct podlogs_reading *reading = of->readings; reading; reading = reading->next)
        if (!some_speak || container_speaks(reading))
            look_at_container(logs, reading, reach);
    /* Just rotated, and nothing was written since: nobody can say. */
    if (any_log(of->readings, is_known) && !any_log(of->readings, has_lines))
        status_note(logs->status, STATUS_PARTIAL, "the log of pod %s is empty", pod->name.data);
    see_begin(logs, reach, pod->created, "what pods before that wrote is gone with them");
}

void podlogs_note_reach(struct podlogs *logs)
{
    struct reach reach = {.cut = false};
    char begin[TIMESTAMP_SIZE];

    for (const struct podlogs_pod *pod = logs->pods; pod; pod = pod->next)
        look_at_pod(logs, pod, &reach);
    if (!reach.cut)
        return;
    instant_format_seconds(reach.begin, begin);
    status_note_open(logs->status, STATUS_PARTIAL, "logs begin at %s: %s", begin, reach.why);
}
