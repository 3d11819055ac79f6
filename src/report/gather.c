/* The plan (a mask of sources), and the one loop that runs it. */
#include "report/gather.h"

#include <inttypes.h>

#include "net/client.h"
#include "net/fetch.h"
#include "report/hosts.h"
#include "report/report.h"
#include "settings.h"
#include "sources/geoip.h"
#include "sources/requests.h"
#include "util/arena.h"

enum { JOBS_MAX = SOURCE_COUNT };
/* Waited at a time; the deadline is the limit. */
enum { STRETCH_MS = 1000 };

struct jobs {
    struct job *job[JOBS_MAX]; /* NULL: done */
    size_t count;
    uint64_t read; /* bytes, by those that are done */
};

unsigned gather_needs(const struct report *report)
{
    const unsigned requests = 1u << SOURCE_REQUESTS | 1u << SOURCE_COUNTRIES;
    const struct question *question = &report->question;

    switch (question->kind) {
    case REPORT_SUMMARY:
        return 1u << SOURCE_INVENTORY | 1u << SOURCE_HOURS | requests | 1u << SOURCE_EXPOSED;
    case REPORT_BREAKDOWN:
        return requests | (question->group_by == GROUP_BY_SERVICE ? 1u << SOURCE_EXPOSED : 0);
    case REPORT_SERVICE:
        return metric_sources(question->metric);
    case REPORT_OWNERS:
        return 1u << SOURCE_INVENTORY;
    }
    return 0;
}

static void add_job(struct jobs *jobs, struct job *job)
{
    if (job)
        jobs->job[jobs->count++] = job;
}

static void start_hours(const struct source_context *context, struct report *report, struct jobs *jobs)
{
    const struct question *question = &report->question;
    struct hours_query query = {0};

    query.wanted[HOURS_CPU] = question->kind != REPORT_SERVICE || question->metric != METRIC_GPU_HOURS;
    query.wanted[HOURS_GPU] = question->kind != REPORT_SERVICE || question->metric != METRIC_CPU_HOURS;
    query.parts = scope_hours(context->arena, &report->scope, question->service,
                              prometheus_can_limit(context->settings, &query), &query.part_count);
    add_job(jobs, prometheus_start(context, &query, &report->hours));
    report->sources[SOURCE_HOURS] = &report->hours.status;
}

static void start_requests(const struct source_context *context, struct report *report, struct jobs *jobs,
                           enum report_source source)
{
    struct source_status *status = ARENA_NEW(context->arena, struct source_status);
    enum logline_kind kind = source == SOURCE_EXPOSED ? LOGLINE_EXPOSED : LOGLINE_REQUESTS;

    add_job(jobs, requests_start(context, kind, report->question.service, report->usage, status));
    report->sources[source] = status;
}

static void start(const struct source_context *context, unsigned mask, struct report *report,
                  struct jobs *jobs)
{
    if (mask >> SOURCE_INVENTORY & 1) {
        add_job(jobs, inventory_start(context, report->wants_owners, &report->inventory));
        report->sources[SOURCE_INVENTORY] = &report->inventory.status;
    }
    if (mask >> SOURCE_HOURS & 1)
        start_hours(context, report, jobs);
    if (mask >> SOURCE_REQUESTS & 1)
        start_requests(context, report, jobs, SOURCE_REQUESTS);
    if (mask >> SOURCE_EXPOSED & 1)
        start_requests(context, report, jobs, SOURCE_EXPOSED);
}

/* How long to wait at most for something to happen. */
static int patience(const struct source_context *context, const struct jobs *jobs)
{
    int64_t now = clock_ms(), until = now + STRETCH_MS;

    if (context->deadline < until)
        until = context->deadline;
    for (size_t i = 0; i < jobs->count; i++)
        if (jobs->job[i] && jobs->job[i]->wake_at > 0 && jobs->job[i]->wake_at < until)
            until = jobs->job[i]->wake_at;
    return until > now ? (int)(until - now) : 0;
}

/* One turn of everybody. */
static enum job_state step_all(struct jobs *jobs)
{
    enum job_state all = JOB_DONE;

    for (size_t i = 0; i < jobs->count; i++) {
        enum job_state state;

        if (jobs->job[i] == NULL)
            continue;
        state = jobs->job[i]->ops->step(jobs->job[i]);
        if (state == JOB_DONE) {
            jobs->read += jobs->job[i]->total;
            jobs->job[i] = NULL;
        } else if (state == JOB_READY || all == JOB_DONE) {
            all = state;
        }
    }
    return all;
}

static void tell_progress(struct progress *progress, const struct jobs *jobs)
{
    uint64_t done = jobs->read, total = done;

    for (size_t i = 0; i < jobs->count; i++) {
        done += jobs->job[i] ? jobs->job[i]->done : 0;
        total += jobs->job[i] ? jobs->job[i]->total : 0;
    }
    progress->tell(progress, done, total);
}

static void stop_all(const struct source_context *context, struct jobs *jobs, enum job_stop why)
{
    for (size_t i = 0; i < jobs->count; i++)
        if (jobs->job[i])
            jobs->job[i]->ops->stop(jobs->job[i], why);
    fetcher_cancel(context->fetcher);
}

static bool run(const struct source_context *context, struct jobs *jobs, int client)
{
    enum job_state state;

    while ((state = step_all(jobs)) != JOB_DONE) {
        if (context->progress)
            tell_progress(context->progress, jobs);
        if (clock_ms() >= context->deadline) {
            stop_all(context, jobs, JOB_DEADLINE);
            return true;
        }
        if (!client_wait(context->fetcher, client, state == JOB_READY ? 0 : patience(context, jobs))) {
            stop_all(context, jobs, JOB_GONE);
            return false;
        }
    }
    return true;
}

static void note_countries(const struct source_context *context, struct source_status *status)
{
    struct geoip *geoip = requests_need_geoip(context->settings) ? context->geoip : NULL;

    if (geoip && geoip_fault(geoip)) {
        status_note(status, STATUS_MISSING, "GEOIP_DATABASE cannot be read: %s", geoip_fault(geoip));
        return;
    }
    status_read_at(status, context->now);
    if (geoip && geoip_is_damaged(geoip))
        status_note(status, STATUS_PARTIAL,
                    "GEOIP_DATABASE is damaged: some addresses could not be looked up");
}

/* Countries come with the requests: there is a source to speak of only when there were any. */
static void settle_countries(const struct source_context *context, struct report *report)
{
    struct scope_lens *lens = scope_lens_new(context->arena, &report->scope, report->usage);
    struct source_status *status;

    for (size_t i = 0; i < usage_row_count(report->usage); i++) {
        const struct usage_row row = usage_row(report->usage, i);

        if (row.type == USAGE_EXPOSED || !scope_lens_sees(lens, &row))
            continue;
        status = ARENA_NEW(context->arena, struct source_status);
        status_init(status, context->arena, "country-attribution");
        note_countries(context, status);
        report->sources[SOURCE_COUNTRIES] = status;
        return;
    }
}

/* Lines that nobody can give to one owner are in no owner's report: the one they may be missing from says so.
 */
static void settle_scope(struct report *report)
{
    uint64_t doubtful[SOURCE_COUNT] = {0};

    for (size_t i = 0; i < usage_row_count(report->usage); i++) {
        const struct usage_row row = usage_row(report->usage, i);
        struct text service = usage_string(report->usage, row.service);

        if ((report->question.kind != REPORT_SERVICE || text_equal(service, report->question.service)) &&
            scope_doubts(&report->scope, usage_string(report->usage, row.namespace), service))
            doubtful[row.type == USAGE_EXPOSED ? SOURCE_EXPOSED : SOURCE_REQUESTS] += row.count;
    }
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        if (doubtful[i] > 0)
            status_note(report->sources[i], STATUS_PARTIAL,
                        "not counted, because their lines name no namespace and services of several have the "
                        "name: requests: %" PRIu64,
                        doubtful[i]);
}

bool gather(const struct source_context *context, unsigned mask, int client, struct report *report)
{
    struct jobs jobs = {0};
    bool hosts = mask >> SOURCE_EXPOSED & 1 && hosts_are_ambiguous(context->settings);
    bool aside = hosts && report->inventory.status.name == NULL && !(mask >> SOURCE_INVENTORY & 1);

    if (aside)
        mask |= 1u << SOURCE_INVENTORY;
    if (report->usage == NULL)
        report->usage = usage_new((size_t)settings_number(context->settings, OSCAR_METRICS_MEMORY));
    start(context, mask, report, &jobs);
    if (!run(context, &jobs, client))
        return false;
    if (mask >> SOURCE_COUNTRIES & 1)
        settle_countries(context, report);
    settle_scope(report);
    if (hosts)
        hosts_note_doubts(context->settings, report);
    if (aside) /* it has no part in what is answered */
        report->sources[SOURCE_INVENTORY] = NULL;
    return true;
}
