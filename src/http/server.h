/* What all requests of a process share: the settings in force, the countries, and what is remembered of what
 * was read. */
#ifndef OM_HTTP_SERVER_H
#define OM_HTTP_SERVER_H

#include <stdbool.h>

struct cache;
struct claims;
struct counters;
struct fetch_shared;
struct geoip_store;
struct oidc;
struct settings;
struct settings_store;

struct server {
    struct settings_store *settings;
    struct geoip_store *geoip;
    struct fetch_shared *fetch;
    struct counters *counters;
    struct oidc *oidc;        /* providers, keys, tokens */
    struct cache *remembered; /* NULL: nothing is */
    struct claims *claims;    /* who reads what will be remembered; NULL: nothing will be */
};

/* With the process' first settings, which are held as long. `remembers`: more than one report is expected. */
void server_open(struct server *server, struct settings *settings, bool remembers);
void server_close(struct server *server);

/* Takes a new snapshot of what comes from files (secrets, certificates, countries), forgets which backends
 * were away, and says in one line of the log what came of it. Requests that run keep what they began with.
 * While workers serve, from one thread at a time. */
void server_reload(const struct server *server);

#endif
