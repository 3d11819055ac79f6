/* One query for CPU and one for GPU, at once. The job has nothing to do but wait: each answer is read when it
 * comes, and when none is missing any more the level is settled. */
#include "sources/prometheus.h"

#include <inttypes.h>
#include <string.h>

#include "net/fetch.h"
#include "net/form.h"
#include "settings.h"
#include "sources/template.h"
#include "util/arena.h"
#include "util/buf.h"

enum { MAX_ANSWER_BYTES = 4 * 1024 * 1024, MAX_FORM_BYTES = 4 * TEMPLATE_MAX_BYTES };

struct prometheus_job;

struct query {
    struct prometheus_job *job;
    bool wanted, running, answered;
    struct source_status status; /* its own notes: joined at the end, CPU's first whichever came first */
};

struct prometheus_job {
    struct job job; /* first */
    const struct source_context *context;
    struct hours *out;
    struct query queries[HOURS_KINDS];
    bool settled; /* what still comes is not looked at */
};

static const struct {
    const char *what;
    enum setting query;
} kinds[] = {
    [HOURS_CPU] = {"CPU", PROMETHEUS_CPU_QUERY},
    [HOURS_GPU] = {"GPU", PROMETHEUS_GPU_QUERY},
};

const char *prometheus_fill(struct arena *arena, const char *template, const struct hours_part *part,
                            const char *services_namespace, int64_t range_seconds, const char **why)
{
    bool all = part->service_count == 0, owner = part->namespace.length > 0;
    struct template_value values[] = {
        {.name = "{{service}}",
         .text = all ? (struct text){NULL, 0} : part->services[0],
         .tail = all ? ".*" : NULL,
         .no_exact =
             all ? "the query template matches one service exactly (\"=\") and cannot ask for all" : NULL},
        {.name = "{{namespace}}",
         .text = owner ? part->namespace : text_of(services_namespace),
         .tail = owner ? NULL : ".*"},
        {.name = "{{services_namespace}}", .text = text_of(services_namespace)},
        {.name = "{{range}}",
         .text = text_of(arena_format(arena, "%" PRId64 "s", range_seconds)),
         .bare = true},
    };
    const char *filled = template_fill(arena, template, values, sizeof(values) / sizeof(values[0]), why);

    if (filled && owner && !values[1].used) {
        *why = "the query template has no {{namespace}} and cannot be limited to an owner";
        return NULL;
    }
    return filled;
}

bool prometheus_can_limit(const struct settings *settings, const struct hours_query *query)
{
    for (size_t kind = 0; kind < HOURS_KINDS; kind++)
        if (query->wanted[kind] && strstr(settings_text(settings, kinds[kind].query), "{{namespace}}"))
            return true;
    return false;
}

static void take_answer(void *context, const struct fetch_answer *answer)
{
    struct query *query = context;
    struct prometheus_job *job = query->job;
    size_t kind = (size_t)(query - job->queries);
    struct source_status *status = &query->status;

    query->running = false;
    if (job->settled)
        return;
    if (answer->outcome != FETCH_ANSWERED) {
        status_note(status, STATUS_PARTIAL, "%s query: %s", kinds[kind].what, answer->why);
        return;
    }
    query->answered =
        prometheus_read(answer->body, answer->status, kinds[kind].what, &job->out->value[kind], status);
    if (query->answered)
        status_read_at(status, job->context->now);
}

/* Whole seconds between the two, rounded down. */
static int64_t range_of(struct instant start, struct instant end)
{
    return end.seconds - start.seconds - (end.nanoseconds < start.nanoseconds ? 1 : 0);
}

static const char *query_url(const struct source_context *context)
{
    struct text url = text_of(settings_text(context->settings, PROMETHEUS_URL));

    while (url.length > 0 && url.data[url.length - 1] == '/')
        url.length--;
    return arena_format(context->arena, "%.*s/api/v1/query", (int)url.length, url.data);
}

/* Seconds with milliseconds, as Prometheus reads a time; also before 1970. */
static const char *query_time(struct arena *arena, struct instant at)
{
    int64_t ms = at.seconds * 1000 + at.nanoseconds / 1000000;
    int64_t size = ms < 0 ? -ms : ms;

    return arena_format(arena, "%s%" PRId64 ".%03" PRId64, ms < 0 ? "-" : "", size / 1000, size % 1000);
}

static void start_query(struct query *query, const char *promql)
{
    const struct source_context *context = query->job->context;
    const struct settings *settings = context->settings;
    const struct fetch_access access = {
        .token = settings_text(settings, PROMETHEUS_TOKEN),
        .username = settings_text(settings, PROMETHEUS_USERNAME),
        .password = settings_text(settings, PROMETHEUS_PASSWORD),
        .ca_file = settings_text(settings, PROMETHEUS_CA_FILE),
    };
    struct buf form;

    buf_init(&form, MAX_FORM_BYTES);
    form_add(&form, "query", text_of(promql));
    form_add(&form, "time", text_of(query_time(context->arena, context->end)));
    fetch_start(context->fetcher,
                &(struct fetch_request){.url = query_url(context),
                                        .access = &access,
                                        .body = buf_text(&form),
                                        .max_bytes = MAX_ANSWER_BYTES,
                                        .deadline = context->deadline},
                take_answer, query);
    query->running = true;
    buf_free(&form);
}

static void start_queries(struct prometheus_job *job, const struct hours_query *query)
{
    const struct source_context *context = job->context;
    struct source_status *status = &job->out->status;
    int64_t range = range_of(context->start, context->end);

    if (text_is(text_of(settings_text(context->settings, PROMETHEUS_URL)), "none")) {
        status_note_open(status, STATUS_MISSING, "not configured");
        return;
    }
    if (range < 1) {
        status_note_open(status, STATUS_MISSING, "invalid time range");
        return;
    }
    for (size_t kind = 0; kind < HOURS_KINDS; kind++) {
        const char *why, *promql;

        if (!job->queries[kind].wanted)
            continue;
        promql = prometheus_fill(context->arena, settings_text(context->settings, kinds[kind].query),
                                 &query->parts[0], settings_text(context->settings, OSCAR_SERVICES_NAMESPACE),
                                 range, &why);
        if (promql)
            start_query(&job->queries[kind], promql);
        else
            status_note(&job->queries[kind].status, STATUS_PARTIAL, "%s query: %s", kinds[kind].what, why);
    }
}

static void join_status(struct source_status *status, const struct source_status *part)
{
    for (size_t i = 0; i < part->note_count && i < STATUS_NOTES_MAX; i++)
        status_note(status, part->level, "%s", part->notes[i]);
    if (part->has_time)
        status_read_at(status, part->last_updated);
}

/* With no value at all the source is missing, whatever the notes of the single queries said. */
static void settle(struct prometheus_job *job)
{
    size_t wanted = 0, answered = 0;

    for (size_t kind = 0; kind < HOURS_KINDS; kind++) {
        wanted += job->queries[kind].wanted;
        answered += job->queries[kind].answered;
        join_status(&job->out->status, &job->queries[kind].status);
    }
    if (wanted > 0 && answered == 0)
        job->out->status.level = STATUS_MISSING;
    job->settled = true;
}

static enum job_state prometheus_step(struct job *base)
{
    struct prometheus_job *job = (struct prometheus_job *)base;

    for (size_t kind = 0; kind < HOURS_KINDS; kind++)
        if (job->queries[kind].running)
            return JOB_WAITING;
    settle(job);
    return JOB_DONE;
}

static void prometheus_stop(struct job *base, enum job_stop why)
{
    struct prometheus_job *job = (struct prometheus_job *)base;

    if (why == JOB_DEADLINE)
        for (size_t kind = 0; kind < HOURS_KINDS; kind++)
            if (job->queries[kind].running)
                status_note(&job->queries[kind].status, STATUS_PARTIAL,
                            "%s query: no answer before the deadline", kinds[kind].what);
    settle(job);
}

struct job *prometheus_start(const struct source_context *context, const struct hours_query *query,
                             struct hours *out)
{
    static const struct job_ops ops = {prometheus_step, prometheus_stop};
    struct prometheus_job *job = ARENA_NEW(context->arena, struct prometheus_job);

    *out = (struct hours){.value = {0}};
    status_init(&out->status, context->arena, "prometheus");
    *job = (struct prometheus_job){.job = {.ops = &ops}, .context = context, .out = out};
    for (size_t kind = 0; kind < HOURS_KINDS; kind++) {
        job->queries[kind] = (struct query){.job = job, .wanted = query->wanted[kind]};
        status_init(&job->queries[kind].status, context->arena, "prometheus");
    }
    start_queries(job, query);
    return &job->job;
}
