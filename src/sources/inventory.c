/* Which source it is, and what all of them have in common: the lists and their order. */
#include "sources/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "settings.h"
#include "sources/inventory_draft.h"
#include "sources/kube.h"
#include "sources/note.h"
#include "util/arena.h"
#include "util/cache.h"
#include "util/memory.h"

void inventory_draft_add(struct inventory_draft *draft, const struct service *service)
{
    if (draft->service_count == draft->service_capacity) {
        draft->service_capacity = draft->service_capacity ? draft->service_capacity * 2 : 64;
        draft->services = memory_grow(draft->services, draft->service_capacity, sizeof(*service));
    }
    draft->services[draft->service_count++] = *service;
}

static void add_name(struct text **names, size_t *count, size_t *capacity, struct text name)
{
    if (*count == *capacity) {
        *capacity = *capacity ? *capacity * 2 : 16;
        *names = memory_grow(*names, *capacity, sizeof(name));
    }
    (*names)[(*count)++] = name;
}

void inventory_draft_break(struct inventory_draft *draft, struct text namespace, struct text name)
{
    add_name(&draft->broken_in, &draft->broken_in_count, &draft->broken_in_capacity, namespace);
    if (text_is_dns_name(name))
        add_name(&draft->broken, &draft->broken_count, &draft->broken_capacity, name);
}

void inventory_draft_free(struct inventory_draft *draft)
{
    free(draft->services);
    free(draft->broken);
    free(draft->broken_in);
    *draft = (struct inventory_draft){.services = NULL};
}

static int compare_services(const void *a, const void *b)
{
    const struct service *x = a, *y = b;
    int order = text_compare(x->name, y->name);

    if (order == 0)
        order = text_compare(x->namespace, y->namespace);
    /* Of two definitions of one service the one that fewer may see comes first and is kept; users see
     * neither. */
    if (order == 0)
        order = (x->visibility > y->visibility) - (x->visibility < y->visibility);
    if (order == 0)
        order =
            (x->allowed_user_count > y->allowed_user_count) - (x->allowed_user_count < y->allowed_user_count);
    return order ? order : text_compare(x->owner, y->owner);
}

static int compare_names(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static bool is_same_service(const struct service *a, const struct service *b)
{
    return text_equal(a->name, b->name) && text_equal(a->namespace, b->namespace);
}

/* Into the arena, each service once. */
static void finish_services(struct inventory_draft *draft, struct arena *arena, struct inventory *out)
{
    struct service *services = ARENA_ARRAY(arena, draft->service_count, struct service);
    size_t kept = 0;

    if (draft->service_count > 0)
        qsort(draft->services, draft->service_count, sizeof(*services), compare_services);
    for (size_t i = 0; i < draft->service_count; i++) {
        const struct service *service = &draft->services[i];

        if (kept > 0 && is_same_service(&services[kept - 1], service)) {
            status_note(&out->status, STATUS_PARTIAL, "%s/%s: defined more than once",
                        note_words(arena, service->namespace, INVENTORY_SHOWN_MAX_BYTES),
                        note_words(arena, service->name, INVENTORY_SHOWN_MAX_BYTES));
            inventory_draft_break(draft, service->namespace, service->name);
        } else {
            services[kept++] = *service;
        }
    }
    out->services = services;
    out->count = kept;
}

/* Into the arena, sorted, each once. */
static const struct text *finish_names(struct arena *arena, const struct text *names, size_t count,
                                       size_t *kept)
{
    struct text *sorted = ARENA_ARRAY(arena, count, struct text);

    *kept = 0;
    if (count == 0)
        return sorted;
    memcpy(sorted, names, count * sizeof(*names));
    qsort(sorted, count, sizeof(*sorted), compare_names);
    for (size_t i = 0; i < count; i++)
        if (*kept == 0 || !text_equal(sorted[*kept - 1], sorted[i]))
            sorted[(*kept)++] = sorted[i];
    return sorted;
}

void inventory_draft_finish(struct inventory_draft *draft, struct arena *arena, struct inventory *out)
{
    finish_services(draft, arena, out);
    out->broken = finish_names(arena, draft->broken, draft->broken_count, &out->broken_count);
    out->broken_in = finish_names(arena, draft->broken_in, draft->broken_in_count, &out->broken_in_count);
    out->whole = true;
    inventory_draft_free(draft);
}

struct job *inventory_start(const struct source_context *context, bool namespaces, struct inventory *out)
{
    *out = (struct inventory){.services = NULL};
    status_init(&out->status, context->arena, "service-inventory");
    if (settings_text(context->settings, OSCAR_METRICS_SERVICES_DIR)[0])
        return inventory_folder_start(context, out);
    if (kube_is_configured(context->settings))
        return inventory_kube_start(context, namespaces, out);
    status_note(&out->status, STATUS_MISSING,
                "not configured: this is no pod of a cluster, and neither OSCAR_METRICS_KUBE_URL nor "
                "OSCAR_METRICS_SERVICES_DIR is set");
    return NULL;
}

void inventory_release(struct inventory *inventory)
{
    for (size_t i = 0; i < sizeof(inventory->held) / sizeof(inventory->held[0]); i++)
        cache_value_release(inventory->held[i]);
    *inventory = (struct inventory){.services = NULL};
}

size_t inventory_place(const struct inventory *inventory, struct text name, struct text namespace)
{
    size_t low = 0, high = inventory->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct service *service = &inventory->services[middle];
        int order = text_compare(service->name, name);

        if (order == 0)
            order = text_compare(service->namespace, namespace);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}
