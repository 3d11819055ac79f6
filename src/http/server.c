/* Opened once, before workers; closed after them. */
#include "http/server.h"

#include "auth/oidc.h"
#include "caps.h"
#include "http/counters.h"
#include "net/fetch.h"
#include "settings.h"
#include "sources/geoip.h"
#include "util/cache.h"
#include "util/claims.h"

void server_open(struct server *server, struct settings *settings, bool remembers)
{
    server->settings = settings_store_new(settings_hold(settings), settings_environment, NULL);
    server->fetch = fetch_shared_new();
    server->counters = counters_new();
    server->oidc = oidc_new(NULL);
    server->geoip = geoip_store_new(settings_text(settings, GEOIP_DATABASE));
    server->remembered =
        remembers ? cache_new((size_t)settings_number(settings, OSCAR_METRICS_MEMORY), SERVER_REMEMBERED_MS)
                  : NULL;
    server->claims = remembers ? claims_new() : NULL;
    /* Now, so that the log says at once when the database cannot be read. */
    geoip_release(geoip_store_current(server->geoip));
}

void server_close(struct server *server)
{
    claims_free(server->claims);
    cache_free(server->remembered);
    oidc_free(server->oidc);
    counters_free(server->counters);
    geoip_store_free(server->geoip);
    fetch_shared_free(server->fetch);
    settings_store_free(server->settings);
}
