/* The names, as metrics and the log spell them. */
#include "net/backend.h"

static const char *const names[BACKEND_COUNT] = {
    [BACKEND_PROMETHEUS] = "prometheus",
    [BACKEND_LOKI] = "loki",
    [BACKEND_KUBERNETES] = "kubernetes",
    [BACKEND_OIDC] = "oidc",
};

const char *backend_name(enum backend backend)
{
    return names[backend];
}
