/* The Kubernetes API: where it is, how to get in, and what its refusals mean. The program only reads.
 *
 * OSCAR_METRICS_KUBE_URL says where; without it, in a pod, KUBERNETES_SERVICE_HOST and _PORT with the CA and
 * the token of the pod's service account. A token is read from its file for every request, because it
 * rotates. Connections are verified always; a token goes over plain http only where the URL itself says
 * http. */
#ifndef OM_SOURCES_KUBE_H
#define OM_SOURCES_KUBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/fetch.h"

struct arena;
struct settings;
struct source_context;

/* Is there an API to ask at all? */
bool kube_is_configured(const struct settings *settings);

/* The API as one job sees it; in the context's arena, as long as the context. */
struct kube;

/* Only where kube_is_configured(). */
struct kube *kube_open(const struct source_context *context);

/* "https://10.96.0.1:443": names the cluster that is read. */
const char *kube_base(const struct kube *kube);

struct kube_request {
    const char *path; /* "/api/v1/...?...", escaped; must live until done() */
    size_t max_bytes; /* of the answer */
    int64_t deadline; /* clock_ms() */
    fetch_take *take; /* as fetch_request's, with done()'s context; NULL: the body is kept for done() */
};

/* Starts a GET: as fetch_start(), done() is called once, later. A 401 is not passed on before it was tried
 * again with the token read anew. NULL: started; else words for an operator that say why it cannot be, and
 * done() is not called. */
const char *kube_get(struct kube *kube, const struct kube_request *request, fetch_done *done, void *context)
    __attribute__((warn_unused_result));

/* What is wrong with an answer that is not 200: words for an operator, in the arena. `what` was asked for:
 * "list configmaps in all namespaces". Of what the server says only what cannot be anybody's secret is
 * passed on: the reason of its Status object, and of a 403 the name of the account. NULL: nothing is wrong.
 */
const char *kube_fault(struct arena *arena, const struct fetch_answer *answer, const char *what);

#endif
