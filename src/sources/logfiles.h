/* Requests from log files: plain or gzip, named by globs, read once, as streams, in constant memory. */
#ifndef OM_SOURCES_LOGFILES_H
#define OM_SOURCES_LOGFILES_H

#include <stdint.h>

#include "model/status.h"
#include "model/usage.h"
#include "sources/job.h"
#include "sources/logline.h"

/* What the reading came to besides rows: for the operator's log. */
struct logfiles_tally {
    uint64_t files, bytes, lines;
    uint64_t results[LOGLINE_RESULTS]; /* of the lines in the range or without a time, by why they (do not)
                                          count */
};

/* Reads every file that the comma-separated globs name and adds what lies in the context's range to *usage.
 * *status (initialised by the caller with its name) says what was lost: see logfiles.c. The job lies in the
 * context's arena; the out parameters must live as long. */
struct job *logfiles_start(const struct source_context *context, const char *globs,
                           const struct logline_rules *rules, struct usage *usage,
                           struct source_status *status, struct logfiles_tally *tally);

#endif
