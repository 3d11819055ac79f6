/* One request from its parameters to its answer. */
#ifndef OM_HTTP_SERVE_H
#define OM_HTTP_SERVE_H

#include <stdbool.h>

struct arena;
struct exchange;
struct fetcher;
struct server;

/* What a worker has of its own. */
struct worker_memory {
    struct arena *arena;
    struct fetcher *fetcher;
};

/* Answers, or finds that nobody waits any more. False: it would have to wait for a network, and was not
 * admitted to that; nothing was answered, call it again with `admitted`. The worker's arena is empty again
 * afterwards. */
bool serve(const struct server *server, const struct worker_memory *memory, struct exchange *exchange,
           bool admitted) __attribute__((warn_unused_result));

#endif
