/* Paths to handlers: one row each, with what it needs. */
#ifndef OM_HTTP_ROUTE_H
#define OM_HTTP_ROUTE_H

#include <stdbool.h>

#include "http/request.h"

/* What metrics call the paths: few, whatever is asked for. */
enum route_label {
    ROUTE_SUMMARY,
    ROUTE_BREAKDOWN,
    ROUTE_OWNERS,
    ROUTE_SERVICE,
    ROUTE_HEALTHY,
    ROUTE_READY,
    ROUTE_METRICS,
    ROUTE_OTHER, /* no such path */
    ROUTE_LABELS
};

/* "/system/metrics/{serviceName}", "other" */
const char *route_label_name(enum route_label label);

struct route {
    enum route_label label;
    const char *path;       /* "*" stands for one segment, the service's name */
    bool needs_credentials; /* the gate comes first */
    bool needs_admin;       /* and lets only the admin through */
    enum report_kind kind;
    enum stage (*handler)(struct request *request);
};

/* The first row that fits; request->segment gets what the "*" stands for. NULL: no such path. */
const struct route *route_find(struct text path, struct text *segment);

#endif
