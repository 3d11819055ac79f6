/* Requests from the logs of pods, through the Kubernetes API: all that the pods still have, once. */
#ifndef OM_SOURCES_PODLOGS_H
#define OM_SOURCES_PODLOGS_H

#include "model/status.h"
#include "model/usage.h"
#include "sources/job.h"
#include "sources/logline.h"

/* Starts reading requests of one kind (rules->kind) into *usage; only where kube_is_configured(). *status has
 * its name. The job lies in the context's arena; the out parameters and what the rules point to must live as
 * long. */
struct job *podlogs_start(const struct source_context *context, const struct logline_rules *rules,
                          struct usage *usage, struct source_status *status);

#endif
