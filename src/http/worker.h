/* The pool: threads that serve what comes in over one listening socket, until they are told to stop. */
#ifndef OM_HTTP_WORKER_H
#define OM_HTTP_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;
struct server;

/* Starts `count` threads. `server` and the socket must outlive the pool. NULL when they cannot be started. */
struct pool *pool_start(const struct server *server, int listening, size_t count);

/* Accepts no more, and lets finish what runs; answers whose peers have not taken them `patience_ms` after who
 * was let in last are cut. True: all threads have ended and the pool is freed; false: some still run a second
 * later, and only the end of the process ends them. */
bool pool_stop(struct pool *pool, int64_t patience_ms);

/* A pool, seen at one moment: figures for the operator. */
struct pool_view {
    size_t workers, busy;                      /* busy: with a request */
    size_t slots, running, queued, queued_max; /* reports; see http/admission.h */
    size_t arriving, arriving_max;             /* connections whose request has not arrived */
};

void pool_look(struct pool *pool, struct pool_view *out);

#endif
