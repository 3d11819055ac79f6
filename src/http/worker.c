/* A worker: a thread with an arena and a fetcher of its own. */
#include "http/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "caps.h"
#include "http/admission.h"
#include "http/fcgi.h"
#include "http/lobby.h"
#include "http/serve.h"
#include "http/server.h"
#include "net/fetch.h"
#include "util/arena.h"
#include "util/memory.h"
#include "util/timestamp.h"

struct pool {
    const struct server *server;
    struct lobby *lobby;
    struct admission *admission;
    pthread_t *threads;
    size_t count, wanted;
    atomic_size_t busy;
    atomic_int_least64_t end; /* clock_ms(): what is still being written then is cut */
};

struct worker {
    struct pool *pool;
    struct worker_memory memory;
};

static void end_visit(struct pool *pool, struct visit *visit)
{
    if (fcgi_end(visit->exchange))
        lobby_leave(pool->lobby, &visit->arrival);
    free(visit);
}

static void finish_visit(const struct worker *worker, struct visit *visit, enum serve_as as)
{
    if (!serve(worker->pool->server, &worker->memory, visit->exchange, as))
        abort();
    end_visit(worker->pool, visit);
}

/* The visit's slot is this worker's, who serves whoever gets it afterwards, until nobody queues. */
static void use_slot(const struct worker *worker, struct visit *visit)
{
    while (visit) {
        bool hours = visit->hours;

        finish_visit(worker, visit, SERVE_ADMITTED);
        visit = admission_leave(worker->pool->admission, hours);
    }
}

/* The visit would have to wait for a network. */
static void admit(const struct worker *worker, struct visit *visit)
{
    struct admission *admission = worker->pool->admission;
    struct visit *gone;

    for (;;) {
        switch (admission_enter(admission, visit)) {
        case ADMISSION_SLOT:
            use_slot(worker, visit);
            return;
        case ADMISSION_QUEUED:
            return;
        case ADMISSION_FULL:
            break;
        }
        /* Those who went away while they queued are in nobody's way. */
        gone = admission_take_gone(admission);
        finish_visit(worker, gone ? gone : visit, SERVE_TURNED_AWAY);
        if (gone == NULL)
            return;
    }
}

static void receive(const struct worker *worker, const struct arrival *arrival)
{
    struct exchange *exchange = fcgi_begin(arrival->connection, arrival->seen.nul, &worker->pool->end);
    struct visit *visit;

    if (exchange == NULL)
        return;
    visit = memory_new(1, sizeof(*visit));
    *visit = (struct visit){.exchange = exchange, .arrival = *arrival};
    if (serve(worker->pool->server, &worker->memory, exchange, SERVE_UNADMITTED)) {
        end_visit(worker->pool, visit);
    } else {
        visit->hours = exchange->hours;
        admit(worker, visit);
    }
}

static void *work(void *context)
{
    struct pool *pool = context;
    struct worker worker = {pool, {arena_new(), fetcher_new(pool->server->fetch), pool}};
    struct arrival arrival;

    while ((arrival = lobby_next(pool->lobby)).connection >= 0) {
        atomic_fetch_add(&pool->busy, 1);
        receive(&worker, &arrival);
        atomic_fetch_sub(&pool->busy, 1);
    }
    fetcher_free(worker.memory.fetcher);
    arena_free(worker.memory.arena);
    return NULL;
}

static void pool_free(struct pool *pool)
{
    lobby_free(pool->lobby);
    admission_free(pool->admission);
    free(pool->threads);
    free(pool);
}

struct pool *pool_start(const struct server *server, int listening, size_t count)
{
    struct pool *pool = memory_new(1, sizeof(*pool));

    pool->server = server;
    pool->wanted = count;
    atomic_init(&pool->end, INT64_MAX);
    pool->admission = admission_new(admission_slots(count));
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

void pool_look(struct pool *pool, struct pool_view *out)
{
    struct admission_view admission;

    admission_look(pool->admission, &admission);
    *out = (struct pool_view){
        .workers = pool->wanted,
        .busy = atomic_load(&pool->busy),
        .slots = admission.slots,
        .running = admission.used,
        .queued = admission.queued,
        .queued_max = ADMISSION_QUEUE_MAX,
        .arriving = lobby_arriving(pool->lobby),
        .arriving_max = LOBBY_GUESTS_MAX,
    };
}

bool pool_stop(struct pool *pool, int64_t patience_ms)
{
    struct timespec end;

    /* Who is let in last has all of it, too. */
    patience_ms += LOBBY_CLOSING_MS;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += (time_t)(patience_ms / 1000) + 1;
    atomic_store(&pool->end, clock_ms() + patience_ms);
    lobby_close(pool->lobby);
    for (size_t i = 0; i < pool->count; i++)
        if (pthread_timedjoin_np(pool->threads[i], NULL, &end) != 0)
            return false;
    pool_free(pool);
    return true;
}
