/* The predicate. */
#include "report/scope.h"

#include "sources/inventory.h"

/* The place of the first active service of that name, or of where it would be. */
static size_t place_of(const struct inventory *inventory, struct text service)
{
    size_t low = 0, high = inventory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (text_compare(inventory->services[middle].name, service) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_called(const struct inventory *inventory, size_t at, struct text service)
{
    return at < inventory->count && text_equal(inventory->services[at].name, service);
}

/* The only namespace in which a service of that name is active; empty when there is none or more than one. */
static struct text home_of(const struct inventory *inventory, struct text service)
{
    size_t at = place_of(inventory, service);

    if (!is_called(inventory, at, service) || is_called(inventory, at + 1, service))
        return (struct text){NULL, 0};
    return inventory->services[at].namespace;
}

bool scope_sees(const struct scope *scope, struct text namespace, struct text service)
{
    if (scope->namespace.length == 0)
        return true;
    if (namespace.length > 0 || scope->inventory == NULL)
        return text_equal(namespace, scope->namespace);
    return text_equal(home_of(scope->inventory, service), scope->namespace);
}

bool scope_doubts(const struct scope *scope, struct text namespace, struct text service)
{
    const struct inventory *inventory = scope->inventory;
    size_t at;

    if (scope->namespace.length == 0 || namespace.length > 0 || inventory == NULL)
        return false;
    at = place_of(inventory, service);
    if (!is_called(inventory, at + 1, service))
        return false;
    for (; is_called(inventory, at, service); at++)
        if (text_equal(inventory->services[at].namespace, scope->namespace))
            return true;
    return false;
}
