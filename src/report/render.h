/* A gathered report as bytes. */
#ifndef OM_REPORT_RENDER_H
#define OM_REPORT_RENDER_H

#include "util/buf.h"

struct arena;
struct owners;
struct report;

/* Appends the answer to *out. False when it does not fit: no part of it may then be used. */
bool render_json(struct arena *arena, const struct report *report, struct buf *out);
bool render_csv(struct arena *arena, const struct report *report, struct buf *out);
/* For people at a terminal: aligned columns, no control characters of strangers. */
bool render_table(struct arena *arena, const struct report *report, struct buf *out);
bool render_owners(const struct owners *owners, struct buf *out);

/* {"error":"..."} */
bool render_error(const char *message, struct buf *out);

/* "oscar-metrics-service-20260101T000000Z-20260131T235959Z.csv" */
const char *render_csv_name(struct arena *arena, const struct report *report);

/* A line for every source that is not "ok", as the command line says it beside the other forms. */
bool render_shortfalls(struct arena *arena, const struct report *report, struct buf *out);

#endif
