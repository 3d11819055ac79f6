/* Every setting, in one table (settings.c), parsed once into a const, counted snapshot that is passed on.
 * The contract's section 8 is where names and defaults come from. */
#ifndef OM_SETTINGS_H
#define OM_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "caps.h"
#include "util/timestamp.h"

/* In the order of the table in settings.c. */
enum setting {
    OSCAR_USERNAME,
    OSCAR_PASSWORD,
    OSCAR_NAMESPACE,
    OSCAR_SERVICES_NAMESPACE,
    OIDC_ENABLE,
    OIDC_ISSUERS,
    OIDC_GROUPS,
    OIDC_CA_FILE,
    OSCAR_METRICS_SCOPE,
    OSCAR_METRICS_PSEUDONYMS,
    OSCAR_METRICS_PSEUDONYM_KEY,
    PROMETHEUS_URL,
    PROMETHEUS_CPU_QUERY,
    PROMETHEUS_GPU_QUERY,
    PROMETHEUS_TOKEN,
    PROMETHEUS_USERNAME,
    PROMETHEUS_PASSWORD,
    PROMETHEUS_CA_FILE,
    LOKI_URL,
    LOKI_QUERY,
    LOKI_EXPOSED_QUERY,
    LOKI_EXPOSED_NAMESPACE,
    LOKI_EXPOSED_APP,
    LOKI_TENANT,
    LOKI_PARALLEL,
    LOKI_TOKEN,
    LOKI_USERNAME,
    LOKI_PASSWORD,
    LOKI_CA_FILE,
    EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE,
    EXPOSED_SERVICES_ROUTE_KIND,
    GEOIP_DATABASE,
    OSCAR_METRICS_LISTEN,
    OSCAR_METRICS_WORKERS,
    OSCAR_METRICS_DEADLINE,
    OSCAR_METRICS_MAX_RANGE,
    OSCAR_METRICS_SETTLE,
    OSCAR_METRICS_MEMORY,
    OSCAR_METRICS_LOG_FILES,
    OSCAR_METRICS_EXPOSED_LOG_FILES,
    OSCAR_METRICS_LOG_TIMEZONE,
    OSCAR_METRICS_SERVICES_DIR,
    OSCAR_METRICS_KUBE_URL,
    OSCAR_METRICS_KUBE_TOKEN_FILE,
    OSCAR_METRICS_KUBE_CA_FILE,
    KUBERNETES_SERVICE_HOST,
    KUBERNETES_SERVICE_PORT,
    SETTING_COUNT
};

struct settings; /* a snapshot: never changes, goes when its last holder releases it */

/* Where values come from: the value of a variable, or NULL. Tests give their own. */
typedef const char *settings_lookup(void *context, const char *name);

/* Reads and checks everything. NULL when there are faults, which are written to `faults` (may be NULL), one
 * line each, without values of secrets. */
struct settings *settings_read(settings_lookup *lookup, void *context, FILE *faults);

/* The same without those that matter only to who logs in: they are not read, and as if they were not set. For
 * what runs where nobody does. */
struct settings *settings_read_without_login(settings_lookup *lookup, void *context, FILE *faults);

const char *settings_environment(void *context, const char *name); /* a settings_lookup: the environment */

struct settings *settings_hold(struct settings *settings);
void settings_release(struct settings *settings); /* NULL is allowed */

/* Asking for a setting by the wrong type is a fault of the program and ends it. */
const char *settings_text(const struct settings *settings, enum setting setting); /* never NULL */
bool settings_flag(const struct settings *settings, enum setting setting);
int64_t settings_number(const struct settings *settings, enum setting setting); /* counts; durations in
                                                                                    ms; sizes in bytes */
/* "default", "environment", or the path of the file that it came from. */
const char *settings_origin(const struct settings *settings, enum setting setting);

/* True when one of the files that secrets came from has changed since. */
bool settings_stale(const struct settings *settings);

void settings_print(const struct settings *settings,
                    FILE *out);          /* --check-config: every one, secrets masked */
void settings_print_help(FILE *out);     /* for --help */
void settings_print_markdown(FILE *out); /* the page in docs/ */

/* The snapshot in force, for all workers: asked for at each request, it is read again when a secret's file
 * changed, and whenever somebody says so. When the new state has faults the last good one stays, and the log
 * says which setting is wrong. */
struct settings_store;

struct settings_store *settings_store_new(struct settings *first, settings_lookup *lookup, void *context);
void settings_store_free(struct settings_store *store);                /* NULL is allowed */
struct settings *settings_store_current(struct settings_store *store); /* settings_release() it */

/* What became of the readings since the store was made. After a failure every request reads again; of these
 * only a success or another reason counts, so that failures are as many as there were reasons. */
struct settings_history {
    bool good;            /* the last reading succeeded (or there was none): what the files say is in force */
    struct instant tried; /* when that was; the time of the store's making when there was none */
    struct instant read;  /* when what is in force was read */
    uint64_t successes, failures;
    char reason[SETTINGS_REASON_MAX_BYTES]; /* which settings are wrong, and how; empty when good; no secrets
                                             */
};

/* Reads everything anew, whether a file looks changed or not. False: the last good settings stay. Says
 * nothing to the log; what there is to say is in the history. */
bool settings_store_reload(struct settings_store *store);

void settings_store_history(struct settings_store *store, struct settings_history *out);

#endif
