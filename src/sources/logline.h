/* One log line -> one event, or the reason why it does not count. Pure: no allocation, no state, any bytes.
 * The formats are those of the contract, section 7 ("The log lines"), held against the recorded lines. */
#ifndef OM_SOURCES_LOGLINE_H
#define OM_SOURCES_LOGLINE_H

#include <stdbool.h>

#include "model/usage.h"
#include "util/text.h"
#include "util/timestamp.h"

enum logline_kind {
    LOGLINE_REQUESTS, /* of OSCAR's manager: sync and async */
    LOGLINE_EXPOSED,  /* of the ingress controller: ingress-nginx or Traefik, told apart by the line */
};

struct logline_rules {
    enum logline_kind kind;
    const char *services_namespace; /* OSCAR_SERVICES_NAMESPACE */
};

enum logline_result {
    LOGLINE_COUNTS,
    LOGLINE_NO_PREFIX, /* not a line of the executions' logger, or not an access line */
    LOGLINE_FIELDS,    /* not six or eight fields; not a readable access line */
    LOGLINE_NAMESPACE, /* an eighth field that is no namespace of services */
    LOGLINE_PATH,      /* another path */
    LOGLINE_SERVICE,   /* the service is no DNS-1123 name */
    LOGLINE_TIME,      /* no time that can be read, and none given from outside */
};
enum { LOGLINE_RESULTS = LOGLINE_TIME + 1 };

struct logline_event {
    enum usage_type type;
    struct instant time;
    struct text service;   /* all texts point into the line */
    struct text namespace; /* empty: the line carries none */
    struct text user;      /* empty: nobody */
    struct text client;    /* the client's address as logged; not checked */
};

/* `line` without its line end. `written` is when the entry was written, if something outside the line knows
 * it (Loki); NULL: the container runtime's prefix decides, else the line's own time. */
enum logline_result logline_parse(const struct logline_rules *rules, struct text line,
                                  const struct instant *written, struct logline_event *event);

/* When any line, counted or not, was written: the runtime's prefix, else a time that the line begins with in
 * a form known above. False when it does not say. For "data since". */
bool logline_time(const struct logline_rules *rules, struct text line, struct instant *out);

/* "no_prefix", "fields", ...: for counters and logs. */
const char *logline_result_name(enum logline_result result);

#endif
