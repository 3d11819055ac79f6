/* Where requests are read from: files, else Loki, else pods' logs, as the settings say. */
#ifndef OM_SOURCES_REQUESTS_H
#define OM_SOURCES_REQUESTS_H

#include "model/status.h"
#include "model/usage.h"
#include "sources/job.h"
#include "sources/logline.h"

struct settings;

/* Starts reading requests of one kind into *usage; of one service alone where the source can ask for that, or
 * of all (`service` empty, or it cannot): views choose anyway. *status gets the name of the source and what
 * was lost. NULL when there is nothing to read: the status then says why. The out parameters must live as
 * long as the job. */
struct job *requests_start(const struct source_context *context, enum logline_kind kind, struct text service,
                           struct usage *usage, struct source_status *status);

/* Whom it asks, as the settings say; neither: files are read. */
bool requests_ask_loki(const struct settings *settings);
bool requests_ask_kube(const struct settings *settings);

/* True when the requests' countries come from GEOIP_DATABASE; Loki brings its own, in labels. */
bool requests_need_geoip(const struct settings *settings);

#endif
