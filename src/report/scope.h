/* Which part of the relation a report may speak of: the one predicate that all views apply. */
#ifndef OM_REPORT_SCOPE_H
#define OM_REPORT_SCOPE_H

#include <stdbool.h>

#include "util/text.h"

struct inventory;

/* {0} sees everything: the admin's own reports. */
struct scope {
    struct text namespace;             /* limited to an owner: only this namespace; empty: no limit */
    const struct inventory *inventory; /* tells where the services without a namespace in their lines run */
};

/* A line's namespace decides; without one, the namespace of the active service of that name. A name that is
 * active in several namespaces belongs to none of them for certain: such lines are left out of every owner's
 * report. */
bool scope_sees(const struct scope *scope, struct text namespace, struct text service);

/* Such a line is left out though it may belong to the scope. */
bool scope_doubts(const struct scope *scope, struct text namespace, struct text service);

#endif
