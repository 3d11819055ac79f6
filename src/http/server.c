/* Opened once, before workers; closed after them. */
#include "http/server.h"

#include "auth/oidc.h"
#include "caps.h"
#include "http/counters.h"
#include "log.h"
#include "net/fetch.h"
#include "settings.h"
#include "sources/geoip.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/claims.h"

/* Fits the names below. */
enum { CERTIFICATES_SIZE = 128 };

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

/* The settings whose certificates cannot be read; empty: there are none. */
static void check_certificates(const struct server *server, const struct settings *settings,
                               struct buf *wrong)
{
    static const struct {
        enum setting setting;
        const char *name;
    } files[] = {
        {PROMETHEUS_CA_FILE, "PROMETHEUS_CA_FILE"},
        {LOKI_CA_FILE, "LOKI_CA_FILE"},
        {OIDC_CA_FILE, "OIDC_CA_FILE"},
        {OSCAR_METRICS_KUBE_CA_FILE, "OSCAR_METRICS_KUBE_CA_FILE"},
    };

    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        const char *file = settings_text(settings, files[i].setting);

        if (file[0] && !fetch_shared_trusts(server->fetch, file))
            buf_format(wrong, "%s%s", wrong->length ? ", " : "", files[i].name);
    }
}

void server_reload(const struct server *server)
{
    bool good = settings_store_reload(server->settings);
    struct settings *settings = settings_store_current(server->settings);
    struct geoip *geoip = geoip_store_current(server->geoip);
    const char *countries = geoip ? geoip_fault(geoip) : "none configured";
    struct settings_history history;
    struct buf wrong, stay;

    buf_init(&wrong, CERTIFICATES_SIZE);
    buf_init(&stay, sizeof(history.reason) + 64);
    settings_store_history(server->settings, &history);
    buf_format(&stay, "the last good ones stay (%s)", history.reason);
    fetch_shared_renew(server->fetch);
    check_certificates(server, settings, &wrong);
    log_event(good && wrong.length == 0 && (geoip == NULL || countries == NULL) ? LOG_INFO : LOG_WARNING,
              "reloaded", "settings", good ? "read" : stay.data, "certificates",
              wrong.length ? wrong.data : "read", "countries", countries ? countries : "read", NULL);
    buf_free(&stay);
    buf_free(&wrong);
    geoip_release(geoip);
    settings_release(settings);
}
