/* The owners that the admin can filter by: one namespace each. */
#ifndef OM_REPORT_OWNERS_H
#define OM_REPORT_OWNERS_H

#include <stdbool.h>
#include <stddef.h>

#include "util/text.h"

struct arena;
struct inventory;

struct owner {
    struct text id, name, namespace;
};

struct owners {
    struct owner *list; /* sorted by name without case; in the arena */
    size_t count;
};

/* The shared owner is always there. Every other namespace belongs to whom it says itself; where that is not
 * known (inventory->namespaces_known), to the owner that its definitions state (of several, the first in byte
 * order of the services' names). An owner's name is what one of their services has in the label owner_name,
 * with spaces for underscores, else the id: asked for in the owner's namespace first. */
struct owners owners_of(struct arena *arena, const struct inventory *inventory,
                        const char *services_namespace);

/* NULL when nobody has that id. */
const struct owner *owners_find(const struct owners *owners, struct text id);

#endif
