/* An inventory in the making: what the folder and the API have in common. */
#ifndef OM_SOURCES_INVENTORY_DRAFT_H
#define OM_SOURCES_INVENTORY_DRAFT_H

#include <stddef.h>

#include "sources/inventory.h"

/* Zeroed at first. The texts belong to others. */
struct inventory_draft {
    struct service *services;
    size_t service_count, service_capacity;
    struct text *broken, *broken_in;
    size_t broken_count, broken_in_count, broken_capacity, broken_in_capacity;
};

void inventory_draft_add(struct inventory_draft *draft, const struct service *service);

/* A definition that cannot be read. A name that nobody can ask for is left out. */
void inventory_draft_break(struct inventory_draft *draft, struct text namespace, struct text name);

/* Everything was found: the lists go to *out, sorted, into the arena, and what is defined more than once is
 * noted in its status. The draft is empty again. */
void inventory_draft_finish(struct inventory_draft *draft, struct arena *arena, struct inventory *out);

void inventory_draft_free(struct inventory_draft *draft);

/* The two sources of an inventory: as inventory_start(), with *out zeroed and its status begun. */
struct job *inventory_folder_start(const struct source_context *context, struct inventory *out);
struct job *inventory_kube_start(const struct source_context *context, bool namespaces,
                                 struct inventory *out);

#endif
