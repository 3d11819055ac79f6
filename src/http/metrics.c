/* GET /-/metrics: every figure of the process, gathered and written down. Nobody is asked for it. */
#include <string.h>

#include "auth/oidc.h"
#include "caps.h"
#include "config.h"
#include "http/counters.h"
#include "http/exposition.h"
#include "http/handlers.h"
#include "http/process.h"
#include "http/respond.h"
#include "http/server.h"
#include "http/worker.h"
#include "net/fetch.h"
#include "net/traffic.h"
#include "report/backends.h"
#include "settings.h"
#include "util/cache.h"

#define LABELS(...)                                                                                          \
    (const struct exposition_label[])                                                                        \
    {                                                                                                        \
        __VA_ARGS__,                                                                                         \
        {                                                                                                    \
            NULL, NULL                                                                                       \
        }                                                                                                    \
    }

/* A family of one sample without labels. */
static void add_gauge(struct buf *out, const char *name, const char *help, uint64_t value)
{
    exposition_family(out, name, EXPOSITION_GAUGE, help);
    exposition_number(out, name, NULL, value);
}

static int64_t seconds_of(struct instant instant) /* in microseconds, as they are written */
{
    return instant.seconds * 1000000 + instant.nanoseconds / 1000;
}

static void add_process(struct buf *out, const struct counters_view *counters)
{
    const struct process_view process = process_look();

    exposition_family(out, "oscar_metrics_build_info", EXPOSITION_GAUGE, "The program's version; always 1.");
    exposition_number(out, "oscar_metrics_build_info", LABELS({"version", PACKAGE_VERSION}), 1);
    exposition_family(out, "process_start_time_seconds", EXPOSITION_GAUGE,
                      "When the process began to count, in seconds since 1970.");
    exposition_seconds(out, "process_start_time_seconds", NULL, seconds_of(counters->since));
    exposition_family(out, "process_cpu_seconds_total", EXPOSITION_COUNTER,
                      "Processor time of the process, user and system.");
    exposition_seconds(out, "process_cpu_seconds_total", NULL, process.cpu);
    if (process.has_memory)
        add_gauge(out, "process_resident_memory_bytes", "Memory of the process that is in RAM.",
                  process.resident_bytes);
    if (process.has_allocated)
        add_gauge(out, "oscar_metrics_allocated_bytes",
                  "Memory that the program has in use, without what its allocator keeps.",
                  process.allocated_bytes);
    if (process.has_files)
        add_gauge(out, "process_open_fds", "Open file descriptors.", process.open_files);
    add_gauge(out, "process_max_fds", "How many file descriptors may be open.", process.max_files);
}

static void add_http(struct buf *out, const struct counters_view *view)
{
    const char *name = "oscar_metrics_http_requests_total";

    exposition_family(out, name, EXPOSITION_COUNTER,
                      "Requests that ended, by route and HTTP status; 499: the client went away.");
    for (size_t i = 0; i < ROUTE_LABELS; i++)
        for (size_t j = 0; j < HTTP_STATUSES; j++)
            exposition_number(
                out, name,
                LABELS({"route", route_label_name((enum route_label)i)}, {"status", http_status_number(j)}),
                view->requests[i][j]);
    name = "oscar_metrics_http_request_duration_seconds";
    exposition_family(out, name, EXPOSITION_HISTOGRAM,
                      "From a request's arrival to its answer, waiting for its turn included.");
    for (size_t i = 0; i < ROUTE_LABELS; i++)
        exposition_histogram(out, name, LABELS({"route", route_label_name((enum route_label)i)}),
                             &view->times[i]);
    name = "oscar_metrics_http_response_bytes_total";
    exposition_family(out, name, EXPOSITION_COUNTER, "Bytes of bodies that were sent.");
    for (size_t i = 0; i < ROUTE_LABELS; i++)
        exposition_number(out, name, LABELS({"route", route_label_name((enum route_label)i)}),
                          view->bytes[i]);
}

static void add_reports(struct buf *out, const struct counters_view *view)
{
    const char *name = "oscar_metrics_reports_total";

    exposition_family(out, name, EXPOSITION_COUNTER,
                      "Reports that were answered; complete: every source was whole.");
    exposition_number(out, name, LABELS({"complete", "true"}), view->reports[true]);
    exposition_number(out, name, LABELS({"complete", "false"}), view->reports[false]);
    name = "oscar_metrics_source_reports_total";
    exposition_family(out, name, EXPOSITION_COUNTER,
                      "Sources of the reports that were answered, by what they could see.");
    for (size_t i = 0; i < COUNTERS_SOURCES; i++)
        for (size_t j = 0; j < COUNTERS_STATUSES; j++)
            exposition_number(
                out, name, LABELS({"source", counters_source_name(i)}, {"status", counters_status_name(j)}),
                view->sources[i][j]);
    name = "oscar_metrics_reports_refused_total";
    exposition_family(out, name, EXPOSITION_COUNTER, "Requests that were refused with 503 too busy.");
    exposition_number(out, name, NULL, view->refused);
}

static void add_pool(struct buf *out, struct pool *pool)
{
    struct pool_view view;

    pool_look(pool, &view);
    add_gauge(out, "oscar_metrics_reports_running", "Requests that may wait for backends.", view.running);
    add_gauge(out, "oscar_metrics_reports_running_max", "How many may at once.", view.slots);
    add_gauge(out, "oscar_metrics_reports_waiting", "Requests that queue for that.", view.queued);
    add_gauge(out, "oscar_metrics_reports_waiting_max", "Places in the queue.", view.queued_max);
    add_gauge(out, "oscar_metrics_workers", "Threads that serve requests.", view.workers);
    add_gauge(out, "oscar_metrics_workers_busy", "Threads with a request, this one among them.", view.busy);
    add_gauge(out, "oscar_metrics_connections_waiting", "Connections whose request has not arrived.",
              view.arriving);
    add_gauge(out, "oscar_metrics_connections_waiting_max", "How many there may be.", view.arriving_max);
}

struct backend_view {
    bool configured;
    const char *name;
    struct traffic_view traffic;
};

static void add_backend_requests(struct buf *out, const struct backend_view *views)
{
    const char *name = "oscar_metrics_backend_requests_total";

    exposition_family(out, name, EXPOSITION_COUNTER, "Requests to backends that ended, by how.");
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        for (size_t j = 0; j < TRAFFIC_OUTCOMES; j++)
            exposition_number(out, name,
                              LABELS({"backend", views[i].name},
                                     {"outcome", traffic_outcome_name((enum traffic_outcome)j)}),
                              views[i].traffic.ended[j]);
    name = "oscar_metrics_backend_request_duration_seconds";
    exposition_family(out, name, EXPOSITION_HISTOGRAM,
                      "How long requests to backends took until they ended.");
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        exposition_histogram(out, name, LABELS({"backend", views[i].name}), &views[i].traffic.times);
    name = "oscar_metrics_backend_requests_running";
    exposition_family(out, name, EXPOSITION_GAUGE, "Requests to backends that have not ended.");
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        exposition_number(out, name, LABELS({"backend", views[i].name}), views[i].traffic.running);
}

static void add_backend_health(struct buf *out, const struct backend_view *views)
{
    const char *name = "oscar_metrics_backend_configured";

    exposition_family(out, name, EXPOSITION_GAUGE, "Whether the settings have reports or logins ask it.");
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        exposition_number(out, name, LABELS({"backend", views[i].name}), views[i].configured);
    name = "oscar_metrics_backend_last_success_timestamp_seconds";
    exposition_family(out, name, EXPOSITION_GAUGE, "When it answered last, in seconds since 1970; 0: never.");
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        exposition_seconds(out, name, LABELS({"backend", views[i].name}),
                           seconds_of(views[i].traffic.last_answer));
    name = "oscar_metrics_backend_last_failure_timestamp_seconds";
    exposition_family(out, name, EXPOSITION_GAUGE, "When it failed last, in seconds since 1970; 0: never.");
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        exposition_seconds(out, name, LABELS({"backend", views[i].name}),
                           seconds_of(views[i].traffic.last_failure));
    name = "oscar_metrics_backend_up";
    exposition_family(out, name, EXPOSITION_GAUGE,
                      "Whether the last request to it was answered; not there until one has ended.");
    for (size_t i = 0; i < BACKEND_COUNT; i++)
        if (views[i].traffic.health != TRAFFIC_UNKNOWN)
            exposition_number(out, name, LABELS({"backend", views[i].name}),
                              views[i].traffic.health == TRAFFIC_UP);
}

static void add_backends(struct buf *out, const struct request *request)
{
    struct traffic *traffic = fetch_shared_traffic(request->server->fetch);
    struct backend_view views[BACKEND_COUNT];

    for (unsigned i = 0; i < BACKEND_COUNT; i++) {
        views[i].name = backend_name((enum backend)i);
        views[i].configured = backend_is_configured(request->settings, (enum backend)i);
        traffic_look(traffic, (enum backend)i, &views[i].traffic);
    }
    add_backend_requests(out, views);
    add_backend_health(out, views);
}

enum { BODY_SIZE = 512 * 1024 }; /* fits all series, some 60 KB */
enum { MEMORIES = 2, MEMORY_OF_REQUESTS = 0 };

static const struct exposition_label memories[MEMORIES][2] = {{{"memory", "requests"}},
                                                              {{"memory", "tokens"}}};

static void add_memory(struct buf *out, const struct request *request)
{
    static const struct {
        const char *name, *help;
        enum exposition_kind kind;
    } families[] = {
        {"oscar_metrics_memory_entries", "Things that are remembered.", EXPOSITION_GAUGE},
        {"oscar_metrics_memory_bytes", "What they take.", EXPOSITION_GAUGE},
        {"oscar_metrics_memory_max_bytes", "What they may take.", EXPOSITION_GAUGE},
        {"oscar_metrics_memory_hits_total", "What was needed and remembered.", EXPOSITION_COUNTER},
        {"oscar_metrics_memory_misses_total", "What was needed and had to be read.", EXPOSITION_COUNTER},
        {"oscar_metrics_memory_evictions_total", "What had to make room for others.", EXPOSITION_COUNTER},
    };
    const char *name = "oscar_metrics_memory_logs_seconds";
    struct cache_view views[MEMORIES];

    cache_look(request->server->remembered, &views[MEMORY_OF_REQUESTS]);
    oidc_look(request->server->oidc, &views[1]);
    exposition_family(out, name, EXPOSITION_GAUGE, "The time of whose logs the counts are remembered.");
    exposition_number(out, name, memories[MEMORY_OF_REQUESTS], views[MEMORY_OF_REQUESTS].hours * 3600);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        exposition_family(out, families[i].name, families[i].kind, families[i].help);
        for (size_t j = 0; j < MEMORIES; j++) {
            const uint64_t values[] = {views[j].entries, views[j].bytes,  views[j].max_bytes,
                                       views[j].hits,    views[j].misses, views[j].evictions};

            exposition_number(out, families[i].name, memories[j], values[i]);
        }
    }
}

static void add_settings(struct buf *out, const struct request *request)
{
    struct settings_history history;
    const char *name = "oscar_metrics_settings_reloads_total";

    settings_store_history(request->server->settings, &history);
    add_gauge(out, "oscar_metrics_settings_last_reload_successful",
              "Whether the secrets' files could be read when they were read last.", history.good);
    exposition_family(out, "oscar_metrics_settings_last_reload_timestamp_seconds", EXPOSITION_GAUGE,
                      "When that was, in seconds since 1970.");
    exposition_seconds(out, "oscar_metrics_settings_last_reload_timestamp_seconds", NULL,
                       seconds_of(history.tried));
    exposition_family(out, name, EXPOSITION_COUNTER, "Readings of the settings after the first.");
    exposition_number(out, name, LABELS({"result", "success"}), history.successes);
    exposition_number(out, name, LABELS({"result", "failure"}), history.failures);
}

/* A process that lives for one request has nothing to show. */
enum stage handle_metrics(struct request *request)
{
    struct counters_view counters;
    enum stage stage;
    struct buf body;

    if (request->pool == NULL)
        return respond_text(request, 404, "not found");
    counters_look(request->server->counters, &counters);
    buf_init(&body, BODY_SIZE);
    add_process(&body, &counters);
    add_http(&body, &counters);
    add_reports(&body, &counters);
    add_pool(&body, request->pool);
    add_backends(&body, request);
    add_memory(&body, request);
    add_settings(&body, request);
    stage = body.full ? respond_text(request, 500, "answer too large")
                      : respond(request, 200, exposition_type, NULL, buf_text(&body));
    buf_free(&body);
    return stage;
}
