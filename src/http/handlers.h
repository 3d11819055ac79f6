/* What stands behind the routes. Each handler answers, unless it gives NOT_NOW. */
#ifndef OM_HTTP_HANDLERS_H
#define OM_HTTP_HANDLERS_H

#include "http/request.h"

struct report;

enum stage handle_healthy(struct request *request);
enum stage handle_ready(struct request *request);   /* ready.c */
enum stage handle_metrics(struct request *request); /* metrics.c */
enum stage handle_report(struct request *request);
enum stage handle_owners(struct request *request);

/* Is it a report that Prometheus is asked for? The route is known; the identity need not be. */
bool report_asks_hours(const struct request *request);

/* The stages of a report before it is written down: request->question.kind, the segment, the query and the
 * identity are there. ANSWERED: it was refused, or nobody waits any more. NOT_NOW: it is to be admitted
 * first. report_free() in any case. */
enum stage gather_report(struct request *request, struct report *report);

#endif
