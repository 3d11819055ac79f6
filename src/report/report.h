/* One report, gathered: what the renderers write down. */
#ifndef OM_REPORT_REPORT_H
#define OM_REPORT_REPORT_H

#include <stdbool.h>

#include "model/question.h"
#include "model/status.h"
#include "model/usage.h"
#include "report/scope.h"
#include "sources/inventory.h"
#include "sources/prometheus.h"

/* The sources of a report, in the order in which an answer lists them. */
enum report_source {
    SOURCE_INVENTORY,
    SOURCE_HOURS,
    SOURCE_REQUESTS,
    SOURCE_COUNTRIES,
    SOURCE_EXPOSED,
    SOURCE_COUNT
};

struct report {
    struct question question;
    struct scope scope;
    bool wants_owners; /* the inventory is to know whose the namespaces are */
    struct inventory inventory;
    struct hours hours;
    struct usage *usage; /* owned; report_free() */
    /* Which sources fed the report, and what each of them could not see. NULL: it was not asked. */
    struct source_status *sources[SOURCE_COUNT];
};

void report_free(struct report *report);

/* Definitions deployed now that the report may speak of. */
size_t report_active_services(const struct report *report);

/* Leaves in the sources' notes what a user may read. */
void report_hide_words(struct report *report);

/* False when any source of the report is not "ok". */
bool report_is_complete(const struct report *report);

/* The sources that one metric of a service rests on: a mask of 1 << enum report_source. */
unsigned metric_sources(enum metric metric);
const char *metric_name(enum metric metric);
bool metric_is_hours(enum metric metric);

/* How a user id came into the log: "member", "external", "unknown". */
const char *membership_of(struct text user);
bool membership_is_person(struct text user); /* a member */

const char *group_by_name(enum group_by group_by);

#endif
