/* One request from its parameters to its answer. */
#ifndef OM_HTTP_SERVE_H
#define OM_HTTP_SERVE_H

struct arena;
struct exchange;
struct fetcher;
struct geoip_store;
struct settings_store;

/* What a worker has of its own, and what all share. */
struct server {
    struct settings_store *settings;
    struct geoip_store *geoip;
};

struct worker_memory {
    struct arena *arena;
    struct fetcher *fetcher;
};

/* Answers, or finds that nobody waits any more. The worker's arena is empty again afterwards. */
void serve(const struct server *server, const struct worker_memory *memory, struct exchange *exchange);

#endif
