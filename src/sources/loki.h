/* Requests from Loki: every one of them, or the status says what is missing. */
#ifndef OM_SOURCES_LOKI_H
#define OM_SOURCES_LOKI_H

#include "model/status.h"
#include "model/usage.h"
#include "sources/job.h"
#include "sources/logline.h"
#include "util/text.h"

/* Starts reading requests of one kind into *usage; `service` empty: all. *status has its name. The job lies
 * in the context's arena; the out parameters must live as long. */
struct job *loki_start(const struct source_context *context, enum logline_kind kind, struct text service,
                       struct usage *usage, struct source_status *status);

#endif
