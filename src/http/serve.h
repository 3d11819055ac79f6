/* One request from its parameters to its answer. */
#ifndef OM_HTTP_SERVE_H
#define OM_HTTP_SERVE_H

#include <stdbool.h>

struct arena;
struct exchange;
struct fetcher;
struct pool;
struct server;

/* What a worker has of its own. */
struct worker_memory {
    struct arena *arena;
    struct fetcher *fetcher;
    struct pool *pool; /* whose worker it is; NULL: none */
};

/* Whether a request may wait for a network. */
enum serve_as {
    SERVE_UNADMITTED,  /* not yet: it is to be asked about again */
    SERVE_ADMITTED,    /* it may, as long as it has time left */
    SERVE_TURNED_AWAY, /* it may not: when it would have to, the answer is 503 */
};

/* Answers, or finds that nobody waits any more. False, of SERVE_UNADMITTED alone: it would have to wait for a
 * network; nothing was answered, call it again as one of the others. The worker's arena is empty again
 * afterwards. */
bool serve(const struct server *server, const struct worker_memory *memory, struct exchange *exchange,
           enum serve_as as) __attribute__((warn_unused_result));

#endif
