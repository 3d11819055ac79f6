/* The predicate: definitions are judged once for each user, lines by the definitions of their service. */
#include "report/scope.h"

#include <stdlib.h>

#include "model/usage.h"
#include "sources/inventory.h"
#include "sources/prometheus.h"
#include "util/arena.h"

/* The services of one name in the inventory, in the order of their namespaces. */
struct place {
    uint32_t first, count;
    bool known;       /* looked up */
    bool all_visible; /* SCOPE_USER: and there is one */
};

struct scope_lens {
    const struct scope *scope;
    const struct usage *usage;
    struct place *places; /* by the number of the service's name in the usage */
};

static bool is_called(const struct inventory *inventory, size_t at, struct text name)
{
    return at < inventory->count && text_equal(inventory->services[at].name, name);
}

static struct place find_place(const struct scope *scope, struct text name)
{
    struct place place = {.known = true};
    size_t at;

    if (scope->inventory == NULL)
        return place;
    at = inventory_place(scope->inventory, name, (struct text){NULL, 0});
    place.first = (uint32_t)at;
    place.all_visible = scope->visible && is_called(scope->inventory, at, name);
    for (; is_called(scope->inventory, at, name); at++) {
        place.count++;
        place.all_visible = place.all_visible && scope->visible[at];
    }
    return place;
}

static int compare_texts(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static bool is_among(struct text text, const struct text *sorted, size_t count)
{
    return count > 0 && bsearch(&text, sorted, count, sizeof(text), compare_texts) != NULL;
}

static bool owner_sees(const struct scope *scope, const struct place *place, struct text namespace)
{
    /* Without a namespace in the line: that of the only service of that name. */
    if (namespace.length == 0 && place->count == 1)
    namespace = scope->inventory->services[place->first].namespace;
    return text_equal(namespace, scope->namespace);
}

static bool user_sees(const struct scope *scope, const struct place *place, struct text namespace)
{
    const struct service *services = scope->inventory->services;
    size_t low = place->first, high = low + place->count;

    if (namespace.length == 0)
        return place->all_visible;
    if (is_among(namespace, scope->owned, scope->owned_count))
        return true;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = text_compare(services[middle].namespace, namespace);

        if (order == 0)
            return scope->visible[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool judge(const struct scope *scope, const struct place *place, struct text namespace)
{
    switch (scope->kind) {
    case SCOPE_ALL:
        return true;
    case SCOPE_OWNER:
        return owner_sees(scope, place, namespace);
    case SCOPE_USER:
        return user_sees(scope, place, namespace);
    case SCOPE_NOTHING:
        break;
    }
    return false;
}

bool scope_sees(const struct scope *scope, struct text namespace, struct text service)
{
    struct place place = find_place(scope, service);

    return judge(scope, &place, namespace);
}

bool scope_sees_definition(const struct scope *scope, const struct inventory *inventory, size_t at)
{
    if (scope->kind == SCOPE_USER)
        return scope->visible[at];
    return scope_sees(scope, inventory->services[at].namespace, inventory->services[at].name);
}

bool scope_doubts(const struct scope *scope, struct text namespace, struct text service)
{
    struct place place;

    if (scope->kind != SCOPE_OWNER || namespace.length > 0)
        return false;
    place = find_place(scope, service);
    if (place.count < 2)
        return false;
    for (size_t i = 0; i < place.count; i++)
        if (text_equal(scope->inventory->services[place.first + i].namespace, scope->namespace))
            return true;
    return false;
}

enum scope_access scope_access(const struct scope *scope, struct text service)
{
    struct place place;

    if (scope->kind != SCOPE_USER)
        return scope->kind == SCOPE_NOTHING ? SCOPE_HIDDEN : SCOPE_SHOWN;
    place = find_place(scope, service);
    for (size_t i = 0; i < place.count; i++)
        if (scope->visible[place.first + i])
            return SCOPE_SHOWN;
    if (place.count > 0 || is_among(service, scope->inventory->broken, scope->inventory->broken_count))
        return SCOPE_HIDDEN;
    /* It may have been theirs: only lines could tell, and none that are not theirs are shown. */
    return scope->owned_only ? SCOPE_SHOWN : SCOPE_UNKNOWN;
}

struct scope scope_everything(void)
{
    return (struct scope){.kind = SCOPE_ALL};
}

struct scope scope_of_owner(const struct inventory *inventory, struct text namespace)
{
    return (struct scope){.kind = SCOPE_OWNER, .inventory = inventory, .namespace = namespace};
}

static bool is_listed(const struct service *service, struct text user)
{
    for (size_t i = 0; i < service->allowed_user_count; i++)
        if (text_equal(service->allowed_users[i], user))
            return true;
    return false;
}

static bool may_see(const struct scope_rules *rules, const struct service *service)
{
    const struct inventory *inventory = rules->inventory;

    if (rules->user.length == 0 || is_among(service->name, inventory->broken, inventory->broken_count))
        return false;
    if (text_equal(service->owner, rules->user))
        return true;
    if (rules->owned_only)
        return false;
    return service->visibility == VISIBILITY_PUBLIC ||
           (service->visibility == VISIBILITY_RESTRICTED && is_listed(service, rules->user));
}

/* A service of the inventory, to be sorted by where it runs. */
struct resident {
    struct text namespace, name;
    bool visible;
};

static int compare_residents(const void *a, const void *b)
{
    const struct resident *x = a, *y = b;
    int order = text_compare(x->namespace, y->namespace);

    return order ? order : text_compare(x->name, y->name);
}

/* Those of one name, or (empty) all. */
static struct resident *residents_of(struct arena *arena, const struct inventory *inventory,
                                     const bool *visible, struct text name, size_t *count)
{
    struct resident *all = ARENA_ARRAY(arena, inventory->count + 1, struct resident);

    *count = 0;
    for (size_t i = 0; i < inventory->count; i++) {
        const struct service *service = &inventory->services[i];

        if (name.length == 0 || text_equal(service->name, name))
            all[(*count)++] = (struct resident){service->namespace, service->name, visible[i]};
    }
    qsort(all, *count, sizeof(*all), compare_residents);
    return all;
}

/* The end of the run of one namespace that begins at `first`. */
static size_t run_end(const struct resident *residents, size_t first, size_t count)
{
    size_t end = first;

    while (end < count && text_equal(residents[end].namespace, residents[first].namespace))
        end++;
    return end;
}

/* No definition of the namespace says that anybody but the user has a part in it. */
static bool is_undisputed(const struct scope_rules *rules, struct text namespace,
                          const struct resident *residents, size_t first, size_t end)
{
    const struct inventory *inventory = rules->inventory;

    for (size_t i = first; i < end; i++)
        if (!residents[i].visible)
            return false;
    return !text_equal(namespace, rules->services_namespace) &&
           !is_among(namespace, inventory->broken_in, inventory->broken_in_count);
}

/* Where no namespace says whose it is, it is taken for the user's only when no sign says otherwise: it is not
 * the shared one, every definition in it could be read and states the user as its owner, and no name in it is
 * hidden. A namespace without any definition is then nobody's, even if it was theirs: better a deleted
 * service too few than another's. */
static void find_stated(const struct scope_rules *rules, const struct resident *residents, size_t count,
                        struct scope *scope, struct text *owned)
{
    for (size_t first = 0, end; first < count; first = end) {
        end = run_end(residents, first, count);
        if (is_undisputed(rules, residents[first].namespace, residents, first, end))
            owned[scope->owned_count++] = residents[first].namespace;
    }
}

/* A namespace that says that it is the user's, unless what runs there says otherwise. Both lists are sorted
 * by namespace. */
static void find_said(const struct scope_rules *rules, const struct resident *residents, size_t count,
                      struct scope *scope, struct text *owned)
{
    const struct inventory *inventory = rules->inventory;
    size_t first = 0;

    for (size_t i = 0; i < inventory->namespace_count; i++) {
        struct text namespace = inventory->namespaces[i].namespace;
        size_t end;

        while (first < count && text_compare(residents[first].namespace, namespace) < 0)
            first++;
        end = first;
        if (first < count && text_equal(residents[first].namespace, namespace))
            end = run_end(residents, first, count);
        if (text_equal(inventory->namespaces[i].owner, rules->user) &&
            is_undisputed(rules, namespace, residents, first, end))
            owned[scope->owned_count++] = namespace;
        first = end;
    }
}

/* The namespaces that are theirs with all that ever ran there. */
static void find_owned(struct arena *arena, const struct scope_rules *rules, struct scope *scope)
{
    const struct inventory *inventory = rules->inventory;
    size_t count;
    const struct resident *residents =
        residents_of(arena, inventory, scope->visible, (struct text){NULL, 0}, &count);
    struct text *owned = ARENA_ARRAY(arena, count + inventory->namespace_count + 1, struct text);

    if (inventory->namespaces_known)
        find_said(rules, residents, count, scope, owned);
    else
        find_stated(rules, residents, count, scope, owned);
    scope->owned = owned;
}

struct scope scope_of_user(struct arena *arena, const struct scope_rules *rules)
{
    const struct inventory *inventory = rules->inventory;
    bool *visible = ARENA_ARRAY(arena, inventory->count + 1, bool);
    struct scope scope = {.kind = SCOPE_USER,
                          .inventory = inventory,
                          .visible = visible,
                          .pseudonyms = {rules->pseudonym_key, rules->user},
                          .owned_only = rules->owned_only};

    for (size_t i = 0; i < inventory->count; i++)
        visible[i] = may_see(rules, &inventory->services[i]);
    if (rules->owned_only)
        find_owned(arena, rules, &scope);
    return scope;
}

/* Parts in the making. */
struct parts {
    struct hours_part *part;
    size_t count;
    struct text *names; /* of all parts, one after the other */
    size_t name_count;
};

/* The visible ones from `first` to `end` as one part; none gives no part. */
static void add_part(struct parts *parts, struct text namespace, const struct resident *residents,
                     size_t first, size_t end)
{
    struct hours_part part = {.services = &parts->names[parts->name_count], .namespace = namespace};

    for (size_t i = first; i < end; i++)
        if (residents[i].visible) {
            parts->names[parts->name_count++] = residents[i].name;
            part.service_count++;
        }
    if (part.service_count > 0)
        parts->part[parts->count++] = part;
}

/* A part for each namespace, exactly that one: a name alone would also bring the hours of a deleted service
 * of somebody else's in another namespace, whose requests are not shown either. */
static void add_namespaces(struct arena *arena, const struct scope *scope, struct text service,
                           struct parts *parts)
{
    size_t count;
    const struct resident *residents = residents_of(arena, scope->inventory, scope->visible, service, &count);
    struct text *one = ARENA_NEW(arena, struct text);

    *one = service;
    for (size_t i = 0; i < scope->owned_count; i++)
        parts->part[parts->count++] = (struct hours_part){.services = service.length > 0 ? one : NULL,
                                                          .service_count = service.length > 0,
                                                          .namespace = scope->owned[i]};
    for (size_t first = 0, end; first < count; first = end) {
        end = run_end(residents, first, count);
        if (!is_among(residents[first].namespace, scope->owned, scope->owned_count))
            add_part(parts, residents[first].namespace, residents, first, end);
    }
}

/* Hours that cannot be told apart by namespace are as lines that carry none: a name counts when every service
 * that has it is visible. */
static void add_names(const struct scope *scope, struct text service, struct parts *parts)
{
    const struct inventory *inventory = scope->inventory;
    struct hours_part part = {.services = parts->names};

    for (size_t at = 0; at < inventory->count;) {
        struct text name = inventory->services[at].name;
        struct place place = find_place(scope, name);

        if (place.all_visible && (service.length == 0 || text_equal(name, service)))
            parts->names[part.service_count++] = name;
        at += place.count;
    }
    if (part.service_count > 0)
        parts->part[parts->count++] = part;
}

const struct hours_part *scope_hours(struct arena *arena, const struct scope *scope, struct text service,
                                     bool by_namespace, size_t *count)
{
    size_t most = scope->owned_count + (scope->inventory ? scope->inventory->count : 0) + 1;
    struct parts parts = {.part = ARENA_ARRAY(arena, most, struct hours_part),
                          .names = ARENA_ARRAY(arena, most, struct text)};

    if (scope->kind == SCOPE_USER) {
        if (scope->inventory && by_namespace)
            add_namespaces(arena, scope, service, &parts);
        else if (scope->inventory)
            add_names(scope, service, &parts);
    } else if (scope->kind != SCOPE_NOTHING) {
        parts.names[0] = service;
        parts.part[parts.count++] = (struct hours_part){
            .services = parts.names, .service_count = service.length > 0, .namespace = scope->namespace};
    }
    *count = parts.count;
    return parts.part;
}

struct scope_lens *scope_lens_new(struct arena *arena, const struct scope *scope, const struct usage *usage)
{
    struct scope_lens *lens = ARENA_NEW(arena, struct scope_lens);

    *lens = (struct scope_lens){scope, usage, ARENA_ARRAY(arena, usage_string_count(usage), struct place)};
    return lens;
}

bool scope_lens_sees(struct scope_lens *lens, const struct usage_row *row)
{
    struct place *place = &lens->places[row->service];

    if (!place->known)
        *place = find_place(lens->scope, usage_string(lens->usage, row->service));
    return judge(lens->scope, place, usage_string(lens->usage, row->namespace));
}
