/* Any bytes as a page of ConfigMaps or of namespaces: what comes out can be shown, and reading it a second
 * time with the first snapshot at hand gives the same. */
#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sources/kube_list.h"
#include "sources/kube_snapshot.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct text text)
{
    if (!text_is_utf8(text) || (text.length > 0 && memchr(text.data, '\0', text.length)))
        abort();
}

static void check(const struct inventory *inventory)
{
    for (size_t i = 0; i < inventory->count; i++) {
        const struct service *service = &inventory->services[i];

        if (!text_is_dns_name(service->name) || !text_is_dns_name(service->namespace))
            abort();
        check_text(service->owner);
        check_text(service->owner_name);
        for (size_t j = 0; j < service->allowed_user_count; j++)
            check_text(service->allowed_users[j]);
    }
    for (size_t i = 0; i < inventory->broken_count; i++)
        if (!text_is_dns_name(inventory->broken[i]))
            abort();
    for (size_t i = 0; i < inventory->namespace_count; i++) {
        if (!text_is_dns_name(inventory->namespaces[i].namespace) ||
            inventory->namespaces[i].owner.length == 0)
            abort();
        check_text(inventory->namespaces[i].owner);
    }
    if (inventory->status.level != STATUS_OK && !text_is_utf8(text_of(status_notes(&inventory->status))))
        abort();
}

static struct kube_snapshot *read_page(struct json_object *items, const struct kube_snapshot *previous)
{
    struct kube_draft *draft = kube_draft_new(previous);
    struct kube_snapshot *snapshot;

    for (size_t i = 0; i < json_object_array_length(items); i++) {
        kube_draft_take_configmap(draft, json_object_array_get_idx(items, i));
        kube_draft_take_namespace(draft, json_object_array_get_idx(items, i));
    }
    snapshot = kube_draft_finish(draft, 0, (struct instant){0, 0}, NULL);
    kube_draft_free(draft);
    check(&snapshot->inventory);
    return snapshot;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct text next;
    struct json_object *items =
        kube_page_read(arena, (struct text){(const char *)data, size}, "ConfigMapList", &next);

    if (items) {
        struct kube_snapshot *first = read_page(items, NULL), *second = read_page(items, first);

        if (first->inventory.count != second->inventory.count ||
            first->inventory.broken_count != second->inventory.broken_count ||
            first->inventory.namespace_count != second->inventory.namespace_count)
            abort();
        cache_value_release(&first->value);
        cache_value_release(&second->value);
        json_object_put(items);
    }
    arena_free(arena);
    return 0;
}
