/* Namespaces to owners. */
#include "report/owners.h"

#include <stdlib.h>

#include "model/identity.h"
#include "sources/inventory.h"
#include "util/arena.h"

static int compare_by_name(const void *a, const void *b)
{
    const struct owner *x = a, *y = b;
    int order = text_compare_nocase(x->name, y->name);

    return order ? order : text_compare(x->namespace, y->namespace);
}

static bool has_namespace(const struct owners *owners, struct text namespace)
{
    for (size_t i = 0; i < owners->count; i++)
        if (text_equal(owners->list[i].namespace, namespace))
            return true;
    return false;
}

struct owners owners_of(struct arena *arena, const struct inventory *inventory,
                        const char *services_namespace)
{
    struct owners owners = {ARENA_ARRAY(arena, inventory->count + 1, struct owner), 1};

    owners.list[0] = (struct owner){TEXT_LITERAL(IDENTITY_CLUSTER_ADMIN), TEXT_LITERAL("oscar"),
                                    text_of(services_namespace)};
    for (size_t i = 0; i < inventory->count; i++) {
        const struct service *service = &inventory->services[i];

        if (service->owner.length > 0 && !has_namespace(&owners, service->namespace))
            owners.list[owners.count++] = (struct owner){service->owner, service->owner, service->namespace};
    }
    qsort(owners.list, owners.count, sizeof(*owners.list), compare_by_name);
    return owners;
}

const struct owner *owners_find(const struct owners *owners, struct text id)
{
    for (size_t i = 0; i < owners->count; i++)
        if (text_equal(owners->list[i].id, id))
            return &owners->list[i];
    return NULL;
}
