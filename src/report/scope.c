/* The predicate. */
#include "report/scope.h"

#include "sources/inventory.h"

/* The only namespace in which a service of that name is active; empty when there is none or more than one. */
static struct text home_of(const struct inventory *inventory, struct text service)
{
    size_t low = 0, high = inventory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (text_compare(inventory->services[middle].name, service) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == inventory->count || !text_equal(inventory->services[low].name, service))
        return (struct text){NULL, 0};
    if (low + 1 < inventory->count && text_equal(inventory->services[low + 1].name, service))
        return (struct text){NULL, 0};
    return inventory->services[low].namespace;
}

bool scope_sees(const struct scope *scope, struct text namespace, struct text service)
{
    if (scope->namespace.length == 0)
        return true;
    if (namespace.length == 0 && scope->inventory)
    namespace = home_of(scope->inventory, service);
    return text_equal(namespace, scope->namespace);
}
