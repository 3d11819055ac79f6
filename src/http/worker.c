/* A worker: a thread with an arena and a fetcher of its own. */
#include "http/worker.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "http/fcgi.h"
#include "http/lobby.h"
#include "http/serve.h"
#include "net/fetch.h"
#include "util/arena.h"
#include "util/memory.h"

struct pool {
    const struct server *server;
    struct lobby *lobby;
    pthread_t *threads;
    size_t count;
};

struct worker {
    const struct server *server;
    struct worker_memory memory;
};

static void handle(void *context, struct exchange *exchange)
{
    const struct worker *worker = context;

    if (!serve(worker->server, &worker->memory, exchange, false) &&
        !serve(worker->server, &worker->memory, exchange, true))
        abort();
}

static void *work(void *context)
{
    struct pool *pool = context;
    struct worker worker = {pool->server, {arena_new(), fetcher_new()}};
    struct arrival arrival;

    while ((arrival = lobby_next(pool->lobby)).connection >= 0)
        if (fcgi_serve(arrival.connection, arrival.seen.nul, handle, &worker))
            lobby_leave(pool->lobby, &arrival);
    fetcher_free(worker.memory.fetcher);
    arena_free(worker.memory.arena);
    return NULL;
}

static void pool_free(struct pool *pool)
{
    lobby_free(pool->lobby);
    free(pool->threads);
    free(pool);
}

struct pool *pool_start(const struct server *server, int listening, size_t count)
{
    struct pool *pool = memory_new(1, sizeof(*pool));

    pool->server = server;
    pool->threads = memory_new(count, sizeof(*pool->threads));
    pool->lobby = lobby_new(listening);
    while (pool->lobby && pool->count < count &&
           pthread_create(&pool->threads[pool->count], NULL, work, pool) == 0)
        pool->count++;
    if (pool->count == count)
        return pool;
    if (pool->lobby)
        lobby_close(pool->lobby);
    for (size_t i = 0; i < pool->count; i++)
        pthread_join(pool->threads[i], NULL);
    pool_free(pool);
    return NULL;
}

bool pool_stop(struct pool *pool, int64_t patience_ms)
{
    struct timespec end;

    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)(patience_ms / 1000) + 1;
    lobby_close(pool->lobby);
    for (size_t i = 0; i < pool->count; i++)
        if (pthread_timedjoin_np(pool->threads[i], NULL, &end) != 0)
            return false;
    pool_free(pool);
    return true;
}
