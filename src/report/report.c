/* The catalogue of metrics, and what a report says of itself. */
#include "report/report.h"

static const struct metric_row {
    const char *name;
    enum report_source source;
} metrics[METRIC_COUNT] = {
    [METRIC_CPU_HOURS] = {"cpu-hours", SOURCE_HOURS},
    [METRIC_GPU_HOURS] = {"gpu-hours", SOURCE_HOURS},
    [METRIC_REQUESTS_SYNC] = {"requests-sync-per-service", SOURCE_REQUESTS},
    [METRIC_REQUESTS_ASYNC] = {"requests-async-per-service", SOURCE_REQUESTS},
    [METRIC_REQUESTS_EXPOSED] = {"requests-exposed-per-service", SOURCE_EXPOSED},
    [METRIC_USERS] = {"users-per-service", SOURCE_REQUESTS},
};

static const char *const group_names[] = {
    [GROUP_BY_SERVICE] = "service",
    [GROUP_BY_USER] = "user",
    [GROUP_BY_COUNTRY] = "country",
};

void report_free(struct report *report)
{
    usage_free(report->usage);
    inventory_release(&report->inventory);
    report->usage = NULL;
}

size_t report_active_services(const struct report *report)
{
    size_t count = 0;

    for (size_t i = 0; i < report->inventory.count; i++)
        count += scope_sees_definition(&report->scope, &report->inventory, i);
    return count;
}

void report_hide_words(struct report *report)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        if (report->sources[i])
            status_hide_words(report->sources[i]);
}

bool report_is_complete(const struct report *report)
{
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        if (report->sources[i] && report->sources[i]->level != STATUS_OK)
            return false;
    return true;
}

unsigned metric_sources(enum metric metric)
{
    unsigned mask = 0;

    for (unsigned i = 0; i < METRIC_COUNT; i++)
        if (metric == METRIC_ALL || metric == (enum metric)i)
            mask |= 1u << metrics[i].source;
    return mask;
}

const char *metric_name(enum metric metric)
{
    return metrics[metric].name;
}

bool metric_is_hours(enum metric metric)
{
    return metrics[metric].source == SOURCE_HOURS;
}

const char *membership_of(struct text user)
{
    /* The manager logs these two when a service's token called, not a person. */
    if (text_is(user, "oscar") || text_is(user, "nil"))
        return "external";
    if (user.length == 0 || text_is(user, "minio"))
        return "unknown";
    return "member";
}

bool membership_is_person(struct text user)
{
    return text_is(text_of(membership_of(user)), "member");
}

const char *group_by_name(enum group_by group_by)
{
    return group_names[group_by];
}
