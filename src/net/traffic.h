/* What became of the requests to each backend, counted for the operator. Threads share one. */
#ifndef OM_NET_TRAFFIC_H
#define OM_NET_TRAFFIC_H

#include <stdbool.h>
#include <stdint.h>

#include "caps.h"
#include "net/backend.h"
#include "net/fetch.h"
#include "util/histogram.h"
#include "util/timestamp.h"

enum traffic_outcome {
    TRAFFIC_OK, /* 2xx */
    TRAFFIC_4XX,
    TRAFFIC_5XX,
    TRAFFIC_OTHER, /* any other status */
    TRAFFIC_REFUSED,
    TRAFFIC_TLS,
    TRAFFIC_TIMEOUT,
    TRAFFIC_BROKEN,
    TRAFFIC_TOO_LARGE,
    TRAFFIC_INVALID,
    TRAFFIC_CANCELLED,
    TRAFFIC_ENOUGH,
    TRAFFIC_OUTCOMES
};

/* "ok", "status_4xx", ... */
const char *traffic_outcome_name(enum traffic_outcome outcome);

/* What the last request that had an end says of a backend. */
enum traffic_health { TRAFFIC_UNKNOWN, TRAFFIC_UP, TRAFFIC_FAILED };

/* A backend, seen at one moment. */
struct traffic_view {
    uint64_t ended[TRAFFIC_OUTCOMES];
    struct histogram times; /* of all that ended */
    uint64_t running;
    enum traffic_health health;
    struct instant last_answer, last_failure; /* seconds 0: never */
    char reason[TRAFFIC_REASON_MAX_BYTES]; /* of the last failure, for an operator; never a URL's credentials
                                            */
};

/* The end of a request. */
struct traffic_end {
    enum backend backend;
    enum fetch_outcome outcome;
    long status;     /* HTTP, of FETCH_ANSWERED */
    const char *why; /* of all other outcomes */
    bool tried;   /* false: too late to be sent, or refused at once for what was found out before; no news of
                     the backend */
    int64_t took; /* microseconds */
};

struct traffic *traffic_new(void);
void traffic_free(struct traffic *traffic); /* NULL is allowed */

void traffic_begin(struct traffic *traffic, enum backend backend); /* each is followed by one traffic_end() */
void traffic_end(struct traffic *traffic, const struct traffic_end *end);

/* Is this end a failure of the backend? A 4xx is an answer (a query that is too large, a pod that is gone),
 * but not 401 and 403 to credentials of ours; to clients' tokens (BACKEND_OIDC) they are. What was cancelled
 * says nothing. */
bool traffic_is_failure(const struct traffic_end *end);

void traffic_look(struct traffic *traffic, enum backend backend, struct traffic_view *out);

#endif
