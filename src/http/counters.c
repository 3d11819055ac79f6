/* One short lock a request, so that what is seen is of one moment: the requests of a route are as many as its
 * times. */
#include "http/counters.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "report/report.h"
#include "util/memory.h"

static const char *const source_names[COUNTERS_SOURCES] = {
    "service-inventory", "prometheus", "loki", "request-logs", "exposed-request-logs", "country-attribution"};

const char *counters_status_name(size_t status)
{
    return status == COUNTERS_OFF ? "off" : status_level_name((enum status_level)status);
}

struct counters {
    pthread_mutex_t lock;
    struct counters_view view;
};

const char *counters_source_name(size_t source)
{
    return source_names[source];
}

struct counters *counters_new(void)
{
    struct counters *counters = memory_new(1, sizeof(*counters));

    pthread_mutex_init(&counters->lock, NULL);
    counters->view.since = instant_now();
    return counters;
}

void counters_free(struct counters *counters)
{
    if (counters == NULL)
        return;
    pthread_mutex_destroy(&counters->lock);
    free(counters);
}

void counters_answer(struct counters *counters, enum route_label route, int status, int64_t took,
                     size_t bytes)
{
    size_t row = http_status_row(status);

    pthread_mutex_lock(&counters->lock);
    counters->view.requests[route][row]++;
    histogram_add(&counters->view.times[route], took);
    counters->view.bytes[route] += bytes;
    pthread_mutex_unlock(&counters->lock);
}

/* The lock is held. */
static void add_source(struct counters *counters, const struct source_status *status)
{
    size_t row = status->off ? COUNTERS_OFF : (size_t)status->level;

    for (size_t i = 0; i < COUNTERS_SOURCES; i++)
        if (strcmp(source_names[i], status->name) == 0)
            counters->view.sources[i][row]++;
}

void counters_report(struct counters *counters, const struct report *report)
{
    pthread_mutex_lock(&counters->lock);
    counters->view.reports[report_is_complete(report)]++;
    for (size_t i = 0; i < SOURCE_COUNT; i++)
        if (report->sources[i])
            add_source(counters, report->sources[i]);
    pthread_mutex_unlock(&counters->lock);
}

void counters_refuse(struct counters *counters)
{
    pthread_mutex_lock(&counters->lock);
    counters->view.refused++;
    pthread_mutex_unlock(&counters->lock);
}

void counters_look(struct counters *counters, struct counters_view *out)
{
    pthread_mutex_lock(&counters->lock);
    *out = counters->view;
    pthread_mutex_unlock(&counters->lock);
}
