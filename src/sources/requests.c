/* One choice in one place. */
#include "sources/requests.h"

#include "settings.h"
#include "sources/kube.h"
#include "sources/logfiles.h"
#include "sources/loki.h"
#include "sources/podlogs.h"
#include "util/arena.h"

static const char *source_name(const struct settings *settings, enum logline_kind kind)
{
    if (kind == LOGLINE_EXPOSED)
        return "exposed-request-logs";
    if (!settings_text(settings, OSCAR_METRICS_LOG_FILES)[0] && settings_text(settings, LOKI_URL)[0])
        return "loki";
    return "request-logs";
}

/* When any log files are configured, files are the source of both kinds: no other is asked in between. */
static bool reads_files(const struct settings *settings)
{
    return settings_text(settings, OSCAR_METRICS_LOG_FILES)[0] ||
           settings_text(settings, OSCAR_METRICS_EXPOSED_LOG_FILES)[0];
}

bool requests_ask_loki(const struct settings *settings)
{
    return !reads_files(settings) && settings_text(settings, LOKI_URL)[0];
}

bool requests_ask_kube(const struct settings *settings)
{
    return !reads_files(settings) && !settings_text(settings, LOKI_URL)[0] && kube_is_configured(settings);
}

bool requests_need_geoip(const struct settings *settings)
{
    return reads_files(settings) || !settings_text(settings, LOKI_URL)[0];
}

static struct logline_rules rules_of(const struct settings *settings, enum logline_kind kind)
{
    return (struct logline_rules){.kind = kind,
                                  .services_namespace = settings_text(settings, OSCAR_SERVICES_NAMESPACE),
                                  .subdomain_routes =
                                      settings_flag(settings, EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE)};
}

static struct job *start_files(const struct source_context *context, enum logline_kind kind,
                               struct usage *usage, struct source_status *status)
{
    const struct settings *settings = context->settings;
    enum setting setting =
        kind == LOGLINE_EXPOSED ? OSCAR_METRICS_EXPOSED_LOG_FILES : OSCAR_METRICS_LOG_FILES;
    const struct logline_rules rules = rules_of(settings, kind);

    if (settings_text(settings, setting)[0] == '\0') {
        status_turned_off(status);
        return NULL;
    }
    return logfiles_start(context, settings_text(settings, setting), &rules, usage, status,
                          ARENA_NEW(context->arena, struct logfiles_tally));
}

static struct job *start_podlogs(const struct source_context *context, enum logline_kind kind,
                                 struct usage *usage, struct source_status *status)
{
    const struct logline_rules rules = rules_of(context->settings, kind);

    if (!kube_is_configured(context->settings)) {
        status_note(status, STATUS_MISSING,
                    "not configured: set LOKI_URL or OSCAR_METRICS_LOG_FILES, or, outside of a cluster, "
                    "OSCAR_METRICS_KUBE_URL for pods' logs");
        return NULL;
    }
    return podlogs_start(context, &rules, usage, status);
}

struct job *requests_start(const struct source_context *context, enum logline_kind kind, struct text service,
                           struct usage *usage, struct source_status *status)
{
    status_init(status, context->arena, source_name(context->settings, kind));
    if (reads_files(context->settings))
        return start_files(context, kind, usage, status);
    if (requests_ask_loki(context->settings))
        return loki_start(context, kind, service, usage, status);
    return start_podlogs(context, kind, usage, status);
}
