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

/* Pointers to the services, in an order of theirs. */
static const struct service **sorted_services(struct arena *arena, const struct inventory *inventory,
                                              int (*compare)(const void *a, const void *b))
{
    const struct service **sorted = ARENA_ARRAY(arena, inventory->count + 1, const struct service *);

    for (size_t i = 0; i < inventory->count; i++)
        sorted[i] = &inventory->services[i];
    qsort(sorted, inventory->count, sizeof(struct service *), compare);
    return sorted;
}

static int compare_services(const struct service *x, const struct service *y, struct text x_key,
                            struct text y_key)
{
    int order = text_compare(x_key, y_key);

    if (order == 0)
        order = text_compare(x->name, y->name);
    return order ? order : text_compare(x->namespace, y->namespace);
}

static int by_namespace(const void *a, const void *b)
{
    const struct service *x = *(const struct service *const *)a, *y = *(const struct service *const *)b;

    return compare_services(x, y, x->namespace, y->namespace);
}

static int by_owner(const void *a, const void *b)
{
    const struct service *x = *(const struct service *const *)a, *y = *(const struct service *const *)b;

    return compare_services(x, y, x->owner, y->owner);
}

static struct text namespace_of(const struct service *service)
{
    return service->namespace;
}

static struct text owner_of(const struct service *service)
{
    return service->owner;
}

/* The services in the order of one of their texts. */
struct order {
    const struct service **services;
    size_t count;
    struct text (*key)(const struct service *service);
};

/* The place of the first service with that key, or of where it would be. */
static size_t first_with(const struct order *order, struct text key)
{
    size_t low = 0, high = order->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (text_compare(order->key(order->services[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The label that the first of the owner's services there has; empty: none has one. */
static struct text label_among(const struct order *order, struct text key, struct text owner)
{
    for (size_t i = first_with(order, key);
         i < order->count && text_equal(order->key(order->services[i]), key); i++) {
        const struct service *service = order->services[i];

        if (service->owner_name.length > 0 && text_equal(service->owner, owner))
            return service->owner_name;
    }
    return (struct text){NULL, 0};
}

static struct text with_spaces(struct arena *arena, struct text label)
{
    char *copy = arena_alloc(arena, label.length + 1, 1);

    for (size_t i = 0; i < label.length; i++)
        copy[i] = label.data[i] == '_' ? ' ' : label.data[i];
    return (struct text){copy, label.length};
}

static void add_owner(struct arena *arena, struct owners *owners, const struct order *orders, struct text id,
                      struct text namespace)
{
    struct text label = label_among(&orders[0], namespace, id);

    if (label.length == 0)
        label = label_among(&orders[1], id, id);
    owners->list[owners->count++] =
        (struct owner){id, label.length > 0 ? with_spaces(arena, label) : id, namespace};
}

/* What the definitions state. */
static void add_stated(struct arena *arena, struct owners *owners, const struct order *orders,
                       struct text shared)
{
    const struct order *order = &orders[0];
    struct text done = shared;

    for (size_t i = 0; i < order->count; i++) {
        const struct service *service = order->services[i];

        if (service->owner.length == 0 || text_equal(service->namespace, done) ||
            text_equal(service->namespace, shared))
            continue;
        done = service->namespace;
        add_owner(arena, owners, orders, service->owner, done);
    }
}

struct owners owners_of(struct arena *arena, const struct inventory *inventory,
                        const char *services_namespace)
{
    struct text shared = text_of(services_namespace);
    struct owners owners = {
        ARENA_ARRAY(arena, inventory->count + inventory->namespace_count + 1, struct owner), 1};
    const struct order orders[] = {
        {sorted_services(arena, inventory, by_namespace), inventory->count, namespace_of},
        {sorted_services(arena, inventory, by_owner), inventory->count, owner_of},
    };

    owners.list[0] = (struct owner){TEXT_LITERAL(IDENTITY_CLUSTER_ADMIN), TEXT_LITERAL("oscar"), shared};
    for (size_t i = 0; inventory->namespaces_known && i < inventory->namespace_count; i++) {
        const struct namespace_owner *one = &inventory->namespaces[i];

        if (!text_equal(one->namespace, shared) && !text_is(one->owner, IDENTITY_CLUSTER_ADMIN))
            add_owner(arena, &owners, orders, one->owner, one->namespace);
    }
    if (!inventory->namespaces_known)
        add_stated(arena, &owners, orders, shared);
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
