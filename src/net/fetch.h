/* HTTP requests to the backends: the only caller of libcurl, and the one place where a worker waits.
 *
 * A worker has one fetcher (one curl multi handle with its kept connections). What one finds out for all,
 * they share: a backend that could not be connected to is not tried again for some seconds (net/outage.h),
 * and certificates are read once (net/trust.h). Fetches run side by side; each ends in exactly one call of
 * its `done`, which may start others. TLS is always verified, redirects are not followed, only http and https
 * are spoken, an answer is capped in bytes, and proxies of the environment are not used. */
#ifndef OM_NET_FETCH_H
#define OM_NET_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/backend.h"
#include "util/text.h"

struct fetch_shared;
struct fetcher;
struct traffic;

/* How to get in at a backend. Any member may be NULL or empty. A token wins over a user name. */
struct fetch_access {
    const char *token;               /* Authorization: Bearer */
    const char *username, *password; /* Authorization: Basic */
    const char *ca_file;             /* PEM, instead of the system's; read again when it changes, and then no
                                        connection of before is used again */
    const char *tenant;              /* X-Scope-OrgID */
};

/* A piece of the body of a 200, as it comes; called from fetcher_wait(). Nothing is kept of it, and no more
 * is read before the call returns. False: no more is wanted, the fetch ends as FETCH_ENOUGH. */
typedef bool fetch_take(void *context, struct text piece);

struct fetch_request {
    enum backend backend;              /* whom it is counted for */
    const char *url;                   /* copied */
    const struct fetch_access *access; /* NULL: none; what it points to must live until the call returns */
    struct text body;                  /* data NULL: GET; else POST of these bytes as a form; copied */
    size_t max_bytes;                  /* of the answer's body; more is FETCH_TOO_LARGE */
    int64_t deadline;                  /* clock_ms() */
    fetch_take *take; /* NULL: the body is kept for done(). Else a 200 goes here, with done()'s context,
                         however long it is; max_bytes is for what comes with any other status. */
};

enum fetch_outcome {
    FETCH_ANSWERED,  /* there is a status and a whole body */
    FETCH_REFUSED,   /* no connection: refused, no such host, no route, connecting took too long; or that was
                        so just now, and it was not tried again */
    FETCH_TLS,       /* the certificate or the handshake was not accepted */
    FETCH_TIMEOUT,   /* the deadline passed */
    FETCH_BROKEN,    /* the connection ended inside the answer, or it was no HTTP */
    FETCH_TOO_LARGE, /* the body is over max_bytes */
    FETCH_ENOUGH,    /* take() wanted no more of it */
    FETCH_INVALID,   /* the URL or the request itself cannot be used */
    FETCH_CANCELLED, /* fetcher_cancel() */
};

struct fetch_answer {
    enum fetch_outcome outcome;
    long status;            /* HTTP; 0 unless FETCH_ANSWERED */
    struct text body;       /* valid during done(); empty when take() got it */
    int64_t retry_after_ms; /* what the server asked for (Retry-After), or how long a backend is not tried
                               that could not be connected to; 0: nothing */
    const char *why; /* when not FETCH_ANSWERED: words for an operator, without the URL's credentials */
};

typedef void fetch_done(void *context, const struct fetch_answer *answer);

/* Once a process, before threads: true when libcurl is usable. */
bool fetch_library_init(void);
void fetch_library_cleanup(void);

/* One for all fetchers of a process; it outlives them. */
struct fetch_shared *fetch_shared_new(void);
void fetch_shared_free(struct fetch_shared *shared); /* NULL is allowed */

/* Certificates are read anew, connections that were verified by those of before are not used again, and what
 * is known of backends that could not be connected to is forgotten. What runs goes on. Safe from any thread.
 */
void fetch_shared_renew(struct fetch_shared *shared);

/* Can the certificates of this file be read? Reads them unless they were already. Safe from any thread. */
bool fetch_shared_trusts(struct fetch_shared *shared, const char *ca_file)
    __attribute__((warn_unused_result));

/* What became of the requests of all fetchers. As long as `shared`. */
struct traffic *fetch_shared_traffic(const struct fetch_shared *shared);

struct fetcher *fetcher_new(struct fetch_shared *shared); /* NULL: it shares nothing */
void fetcher_free(struct fetcher *fetcher);               /* cancels what runs; NULL is allowed */

/* Starts a fetch. done() is called from fetcher_wait() or fetcher_cancel(), never from here. */
void fetch_start(struct fetcher *fetcher, const struct fetch_request *request, fetch_done *done,
                 void *context);

/* What one request of a client has asked of a backend. */
struct fetch_tally {
    uint64_t requests, failures; /* begun; ended as traffic_is_failure() says */
    int64_t first, last;         /* clock_us(): the first one began, the last one ended */
};

void fetcher_tally_reset(struct fetcher *fetcher);
/* Since the last reset. As long as the fetcher. */
const struct fetch_tally *fetcher_tally(const struct fetcher *fetcher, enum backend backend);

size_t fetcher_running(const struct fetcher *fetcher);

/* Moves everything on and waits up to timeout_ms for something to happen: a socket of a fetch, the descriptor
 * `watched` becoming readable or closed (-1: none), or fetcher_wake(). Finished fetches get their done()
 * here. */
void fetcher_wait(struct fetcher *fetcher, int watched, int timeout_ms);

/* Ends a fetcher_wait() of another thread. */
void fetcher_wake(struct fetcher *fetcher);

/* Ends all that runs; each done() gets FETCH_CANCELLED. */
void fetcher_cancel(struct fetcher *fetcher);

#endif
