/* One answer a backend. */
#include "report/backends.h"

#include <string.h>

#include "settings.h"
#include "sources/kube.h"
#include "sources/requests.h"

bool backend_is_configured(const struct settings *settings, enum backend backend)
{
    switch (backend) {
    case BACKEND_PROMETHEUS:
        return strcmp(settings_text(settings, PROMETHEUS_URL), "none") != 0;
    case BACKEND_LOKI:
        return requests_ask_loki(settings);
    case BACKEND_KUBERNETES:
        return requests_ask_kube(settings) ||
               (kube_is_configured(settings) && !settings_text(settings, OSCAR_METRICS_SERVICES_DIR)[0]);
    case BACKEND_OIDC:
        return settings_flag(settings, OIDC_ENABLE);
    case BACKEND_COUNT:
        break;
    }
    return false;
}
