/* What a question needs, read from all its sources side by side. */
#ifndef OM_REPORT_GATHER_H
#define OM_REPORT_GATHER_H

#include <stdbool.h>

#include "sources/job.h"

struct report;

/* The sources that the report's question needs: a mask of 1 << enum report_source. */
unsigned gather_needs(const struct report *report);

/* Reads the sources of the mask into the report and sets report->sources. What does not come before the
 * context's deadline is said in the statuses. `client` is the client's connection, watched for its going away
 * (-1: none is). False when the client went away: the report is then worth nothing. */
bool gather(const struct source_context *context, unsigned mask, int client, struct report *report)
    __attribute__((warn_unused_result));

#endif
