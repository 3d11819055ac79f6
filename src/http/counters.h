/* What was asked and answered, counted for the operator. Threads share one; labels come from tables, so that
 * no client can make a new one. */
#ifndef OM_HTTP_COUNTERS_H
#define OM_HTTP_COUNTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/route.h"
#include "http/status.h"
#include "model/status.h"
#include "util/histogram.h"
#include "util/timestamp.h"

struct report;

/* The names that sources have in answers. */
enum { COUNTERS_SOURCES = 6 };
const char *counters_source_name(size_t source);

/* Their statuses there, by enum status_level, and one more: of what is missing, what the settings do not
 * want. */
enum { COUNTERS_OFF = STATUS_MISSING + 1, COUNTERS_STATUSES };
const char *counters_status_name(size_t status);

/* All of one moment. */
struct counters_view {
    struct instant since;                           /* when counting began */
    uint64_t requests[ROUTE_LABELS][HTTP_STATUSES]; /* by http_status_row() */
    struct histogram times[ROUTE_LABELS];
    uint64_t bytes[ROUTE_LABELS]; /* of bodies */
    uint64_t reports[2];          /* [1]: complete */
    uint64_t sources[COUNTERS_SOURCES][COUNTERS_STATUSES];
    uint64_t refused; /* 503 too busy */
};

struct counters;

struct counters *counters_new(void);
void counters_free(struct counters *counters); /* NULL is allowed */

/* A request has ended. `took`: microseconds. */
void counters_answer(struct counters *counters, enum route_label route, int status, int64_t took,
                     size_t bytes);

/* A report was answered, and so were its sources. */
void counters_report(struct counters *counters, const struct report *report);

void counters_refuse(struct counters *counters);

void counters_look(struct counters *counters, struct counters_view *out);

#endif
