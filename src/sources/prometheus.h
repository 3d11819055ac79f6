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

/* The status' name is "prometheus". With one of two queries failed: 0 for that one, partial, the note names
 * it. */
struct hours {
    double value[HOURS_KINDS]; /* hours; 0 where it could not be got; always finite */
    struct source_status status;
};

/* True when a template of those that are wanted has {{namespace}}. Another one could not be limited to a
 * namespace. */
bool prometheus_can_limit(const struct settings *settings, const struct hours_query *query);

/* Starts the queries that are wanted, side by side. The job lies in the context's arena; *out must live as
 * long. */
struct job *prometheus_start(const struct source_context *context, const struct hours_query *query,
                             struct hours *out);

/* Replaces {{service}}, {{range}}, {{services_namespace}} and {{namespace}} in a template, each escaped by
 * the operator before its string (contract, section 7). In the arena. NULL when the template cannot be used
 * for this query; *why then says it for an operator. `range_seconds` is at least 1. */
const char *prometheus_fill(struct arena *arena, const char *template, const struct hours_part *part,
                            const char *services_namespace, int64_t range_seconds, const char **why);

/* Reads one answer of /api/v1/query: sums it up into *value (finite), and notes warnings, samples left out
 * and everything that is not an answer in *status, as `what` ("CPU"). False when there is no value at all
 * (the note is then there, at level partial: the caller knows whether the other query gave one). */
bool prometheus_read(struct text body, long http_status, const char *what, double *value,
                     struct source_status *status);

#endif
