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

/* What was found out about the times of the lines before. Zeroed at first; one thread at a time. */
struct logline_times {
    struct timezone_cache zone;
    struct minute_cache minute;
};

struct logline_rules {
    enum logline_kind kind;
    const char *services_namespace; /* OSCAR_SERVICES_NAMESPACE */
    struct logline_times *times;    /* the caller's, for many lines in order; NULL: none */
    bool subdomain_routes;          /* exposed services have host names of their own */
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

/* Fit what DNS allows, and every address. */
enum { LOGLINE_NAME_SIZE = 253, LOGLINE_NAMESPACE_SIZE = 63, LOGLINE_CLIENT_SIZE = 64 };

struct logline_event {
    bool timed; /* `time` is known: set for every line, also for one that does not count */
    struct instant time;
    /* Below: only of a line that counts. The texts point into the line or into the event: do not copy it. */
    enum usage_type type;
    struct text service;
    struct text namespace; /* empty: the line carries none */
    struct text user;      /* empty: nobody */
    struct text client;    /* the client's address as logged; not checked */
    /* What JSON spells with escapes. */
    char name[LOGLINE_NAME_SIZE], place[LOGLINE_NAMESPACE_SIZE], address[LOGLINE_CLIENT_SIZE];
};

/* `line` without its line end. `written` is when the entry was written, if something outside the line knows
 * it (Loki); NULL: the container runtime's prefix decides, else the line's own time. */
enum logline_result logline_parse(const struct logline_rules *rules, struct text line,
                                  const struct instant *written, struct logline_event *event);

/* When any line, counted or not, was written: the runtime's prefix, else a time that the line begins with in
 * a form known above. False when it does not say. For "data since". */
bool logline_time(const struct logline_rules *rules, struct text line, struct instant *out);

/* What CRI runtimes put before each piece of a line: "<time> stdout|stderr F|P ". */
struct logline_piece {
    bool is_stderr;
    bool continues;      /* P: the line goes on in the next piece of the same stream */
    struct text content; /* without the prefix */
};

/* False when the line has no such prefix (kubectl's, a time alone, is none). */
bool logline_piece(struct text line, struct logline_piece *out);

/* For a line that was too long to be kept, given its beginning: could the whole line have counted? */
bool logline_might_count(const struct logline_rules *rules, struct text beginning);

/* "no_prefix", "fields", ...: for counters and logs. */
const char *logline_result_name(enum logline_result result);

#endif
