/* CPU and GPU hours from Prometheus (HTTP API v1, POST /api/v1/query). */
#ifndef OM_SOURCES_PROMETHEUS_H
#define OM_SOURCES_PROMETHEUS_H

#include <stdbool.h>

#include "model/status.h"
#include "sources/job.h"
#include "util/text.h"

enum hours_kind { HOURS_CPU, HOURS_GPU };
enum { HOURS_KINDS = HOURS_GPU + 1 };

/* Some services in one place. */
struct hours_part {
    const struct text *services; /* these; of none: all (".*") */
    size_t service_count;
    struct text namespace; /* exactly that one; empty: OSCAR's services' */
};

/* The sum over the parts, which must not overlap; of no part: 0, and no question is asked. */
struct hours_query {
    bool wanted[HOURS_KINDS];
    const struct hours_part *parts; /* must live as long as the job */
    size_t part_count;
};

/* The status' name is "prometheus". Where only some of what makes up a value could be got: that, partial, and
 * the note names what is not in it. With one of two kinds failed: 0 for that one. */
struct hours {
    double value[HOURS_KINDS]; /* hours; 0 where it could not be got; always finite */
    struct source_status status;
};

/* True when a template of those that are wanted has {{namespace}}. Another one could not be limited to a
 * namespace. */
bool prometheus_can_limit(const struct settings *settings, const struct hours_query *query);

/* Starts the queries that are wanted, side by side. The job lies in the context's arena; *out must live as
 * long.
 *
 * A part of several services is one query with an alternation, or several where the names are too many; with
 * a template that has them behind "=" it is a query for each. A query that is too large for the server, or
 * takes too long, is asked again as the halves of its range, and those as theirs, where the template adds up
 * (sources/additive.h). increase() looks at the samples between the two ends of its range and estimates what
 * happened between them and the ends: the halves' sum is exactly the whole where there is a sample at the
 * cut, and otherwise off by at most about one scrape interval's hours at each cut. */
struct job *prometheus_start(const struct source_context *context, const struct hours_query *query,
                             struct hours *out);

/* Replaces {{service}}, {{range}}, {{services_namespace}} and {{namespace}} in a template, each escaped by
 * the operator before its string (contract, section 7). In the arena. NULL when the template cannot be used
 * for this query; *why then says it for an operator. `range_ms` is at least 1000. */
const char *prometheus_fill(struct arena *arena, const char *template, const struct hours_part *part,
                            const char *services_namespace, int64_t range_ms, const char **why);

/* How many of the services (of a part that has some left: at least 1) the next query with that template asks
 * for: as many as the template and PROMETHEUS_NAMES_MAX_BYTES allow. */
size_t prometheus_group(const char *template, const struct text *services, size_t count);

enum prometheus_result {
    PROMETHEUS_VALUE,
    PROMETHEUS_TOO_MUCH, /* too many samples, or too much time: of a shorter range it may succeed */
    PROMETHEUS_BUSY,     /* a moment later it may succeed */
    PROMETHEUS_FAILED,
};

/* Reads one answer of /api/v1/query: sums it up into *value (finite), and notes warnings, samples left out
 * and everything that is not an answer in *status, as `what` ("CPU"). Unless there is a value the note is at
 * level partial: the caller knows whether the other queries gave one. */
enum prometheus_result prometheus_read(struct text body, long http_status, const char *what, double *value,
                                       struct source_status *status);

#endif
