/* Items become entries; entries become the inventory. All texts are copied into the snapshot's own arena,
 * those of unchanged ConfigMaps from the previous one: so that a snapshot holds nothing that is not its own,
 * and of a page of the API nothing stays. */
#include "sources/kube_snapshot.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "sources/note.h"
#include "util/arena.h"
#include "util/json.h"
#include "util/memory.h"

struct kube_draft {
    const struct kube_snapshot *previous;
    struct arena *arena;   /* becomes the snapshot's */
    struct arena *scratch; /* of one definition */
    struct kube_entry *entries;
    size_t entry_count, entry_capacity;
    struct namespace_owner *namespaces;
    size_t namespace_count, namespace_capacity;
    struct source_status status; /* notes that no entry stands for */
    size_t parsed;
};

struct kube_draft *kube_draft_new(const struct kube_snapshot *previous)
{
    struct kube_draft *draft = memory_new(1, sizeof(*draft));

    draft->previous = previous;
    draft->scratch = arena_new();
    kube_draft_clear(draft);
    return draft;
}

void kube_draft_clear(struct kube_draft *draft)
{
    arena_free(draft->arena);
    draft->arena = arena_new();
    status_init(&draft->status, draft->arena, "service-inventory");
    draft->entry_count = draft->namespace_count = draft->parsed = 0;
}

void kube_draft_free(struct kube_draft *draft)
{
    if (draft == NULL)
        return;
    arena_free(draft->arena);
    arena_free(draft->scratch);
    free(draft->entries);
    free(draft->namespaces);
    free(draft);
}

size_t kube_draft_parsed(const struct kube_draft *draft)
{
    return draft->parsed;
}

/* A member that is a string without a NUL; else empty. */
static struct text string_of(struct json_object *object, const char *name)
{
    struct text text;

    if (!json_string(json_member(object, name), &text) || memchr(text.data, '\0', text.length))
        return (struct text){NULL, 0};
    return text;
}

/* A name in a note. */
static const char *words_of(struct arena *arena, struct text name)
{
    return name.length > 0 ? note_words(arena, name, INVENTORY_SHOWN_MAX_BYTES) : "?";
}

static struct text copy_text(struct arena *arena, struct text text)
{
    return text.length > 0 ? arena_text(arena, text) : (struct text){NULL, 0};
}

static struct service copy_service(struct arena *arena, const struct service *service)
{
    struct service copy = {
        .name = copy_text(arena, service->name),
        .namespace = copy_text(arena, service->namespace),
        .owner = copy_text(arena, service->owner),
        .owner_name = copy_text(arena, service->owner_name),
        .image = copy_text(arena, service->image),
        .visibility = service->visibility,
        .allowed_user_count = service->allowed_user_count,
    };

    if (service->allowed_user_count > 0)
        copy.allowed_users = ARENA_ARRAY(arena, service->allowed_user_count, struct text);
    for (size_t i = 0; i < service->allowed_user_count; i++)
        copy.allowed_users[i] = copy_text(arena, service->allowed_users[i]);
    return copy;
}

static void add_entry(struct kube_draft *draft, const struct kube_entry *entry)
{
    if (draft->entry_count == draft->entry_capacity) {
        draft->entry_capacity = draft->entry_capacity ? draft->entry_capacity * 2 : 64;
        draft->entries = memory_grow(draft->entries, draft->entry_capacity, sizeof(*entry));
    }
    draft->entries[draft->entry_count++] = (struct kube_entry){
        .uid = copy_text(draft->arena, entry->uid),
        .version = copy_text(draft->arena, entry->version),
        .service = copy_service(draft->arena, &entry->service),
        .why = entry->why ? arena_string(draft->arena, text_of(entry->why)) : NULL,
        .stated = copy_text(draft->arena, entry->stated),
    };
}

static int compare_entries(const void *a, const void *b)
{
    return text_compare(((const struct kube_entry *)a)->uid, ((const struct kube_entry *)b)->uid);
}

/* As it was read before; NULL when it is another, or may be. */
static const struct kube_entry *unchanged(const struct kube_draft *draft, const struct kube_entry *entry)
{
    const struct kube_snapshot *previous = draft->previous;
    const struct kube_entry *found = NULL;

    if (previous && previous->entry_count > 0 && entry->uid.length > 0 && entry->version.length > 0)
        found = bsearch(entry, previous->entries, previous->entry_count, sizeof(*entry), compare_entries);
    if (found && text_equal(found->version, entry->version) &&
        text_equal(found->service.namespace, entry->service.namespace))
        return found;
    return NULL;
}

/* In the scratch arena, or where the item has it. */
static void parse(struct kube_draft *draft, struct json_object *item, struct kube_entry *entry)
{
    struct json_object *definition = json_member(json_member(item, "data"), "function_config.yaml");
    struct json_object *metadata = json_member(item, "metadata");
    struct text yaml, name = string_of(metadata, "name");

    draft->parsed++;
    arena_reset(draft->scratch);
    if (!text_is_dns_name(entry->service.namespace))
        entry->why = "its namespace is none";
    else if (!json_string(definition, &yaml))
        entry->why = "no function_config.yaml in it";
    else if (definition_parse(draft->scratch, yaml, &entry->service, &entry->why))
        entry->why = NULL;
    if (entry->why) {
        entry->stated = entry->service.name;
        entry->service = (struct service){.name = name, .namespace = entry->service.namespace};
    } else if (entry->service.owner_name.length == 0)
        entry->service.owner_name = string_of(json_member(metadata, "labels"), "owner_name");
}

void kube_draft_take_configmap(struct kube_draft *draft, struct json_object *item)
{
    struct json_object *metadata = json_member(item, "metadata");
    struct kube_entry entry = {.uid = string_of(metadata, "uid"),
                               .version = string_of(metadata, "resourceVersion"),
                               .service.namespace = string_of(metadata, "namespace")};
    const struct kube_entry *same;

    if (entry.uid.length > KUBE_SNAPSHOT_ID_MAX_BYTES || entry.version.length > KUBE_SNAPSHOT_ID_MAX_BYTES)
        entry.uid.length = entry.version.length = 0;
    same = unchanged(draft, &entry);
    if (same == NULL)
        parse(draft, item, &entry);
    add_entry(draft, same ? same : &entry);
}

void kube_draft_take_namespace(struct kube_draft *draft, struct json_object *item)
{
    struct json_object *metadata = json_member(item, "metadata");
    struct json_object *annotation =
        json_member(json_member(metadata, "annotations"), "oscar.grycap.upv.es/owner");
    struct namespace_owner found = {
        string_of(metadata, "name"),
        string_of(json_member(metadata, "annotations"), "oscar.grycap.upv.es/owner")};

    /* The shared namespace has no such annotation. */
    if (annotation == NULL && text_is_dns_name(found.namespace))
        return;
    if (!text_is_dns_name(found.namespace) || found.owner.length == 0 ||
        found.owner.length > KUBE_SNAPSHOT_OWNER_MAX_BYTES) {
        status_note(&draft->status, STATUS_PARTIAL, "namespace %s: whose it is cannot be read",
                    words_of(draft->arena, found.namespace));
        return;
    }
    if (draft->namespace_count == draft->namespace_capacity) {
        draft->namespace_capacity = draft->namespace_capacity ? draft->namespace_capacity * 2 : 64;
        draft->namespaces = memory_grow(draft->namespaces, draft->namespace_capacity, sizeof(found));
    }
    draft->namespaces[draft->namespace_count++] = (struct namespace_owner){
        copy_text(draft->arena, found.namespace), copy_text(draft->arena, found.owner)};
}

static void destroy(struct cache_value *value)
{
    struct kube_snapshot *snapshot = (struct kube_snapshot *)value;

    arena_free(snapshot->arena);
    free(snapshot);
}

/* Two of one uid cannot be told apart: they are parsed each time. */
static void sort_entries(struct kube_entry *entries, size_t count)
{
    qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 1; i < count; i++)
        if (text_equal(entries[i - 1].uid, entries[i].uid))
            entries[i - 1].version = entries[i].version = (struct text){NULL, 0};
}

static void finish_entries(struct kube_draft *draft, struct kube_snapshot *snapshot)
{
    struct inventory_draft lists = {.services = NULL};

    for (size_t i = 0; i < draft->entry_count; i++) {
        const struct kube_entry *entry = &draft->entries[i];

        if (entry->why == NULL) {
            inventory_draft_add(&lists, &entry->service);
            continue;
        }
        status_note(&snapshot->inventory.status, STATUS_PARTIAL, "%s/%s: %s",
                    words_of(snapshot->arena, entry->service.namespace),
                    words_of(snapshot->arena, entry->service.name), entry->why);
        inventory_draft_break(&lists, entry->service.namespace, entry->service.name);
        if (entry->stated.length > 0)
            inventory_draft_break(&lists, entry->service.namespace, entry->stated);
    }
    inventory_draft_finish(&lists, snapshot->arena, &snapshot->inventory);
    snapshot->entries = ARENA_ARRAY(snapshot->arena, draft->entry_count, struct kube_entry);
    snapshot->entry_count = draft->entry_count;
    if (draft->entry_count == 0)
        return;
    memcpy(snapshot->entries, draft->entries, draft->entry_count * sizeof(*draft->entries));
    sort_entries(snapshot->entries, snapshot->entry_count);
}

static int compare_namespaces(const void *a, const void *b)
{
    return text_compare(((const struct namespace_owner *)a)->namespace,
                        ((const struct namespace_owner *)b)->namespace);
}

static void finish_namespaces(struct kube_draft *draft, struct kube_snapshot *snapshot)
{
    struct namespace_owner *list =
        ARENA_ARRAY(snapshot->arena, draft->namespace_count, struct namespace_owner);

    snapshot->inventory.namespaces = list;
    snapshot->inventory.namespace_count = draft->namespace_count;
    if (draft->namespace_count == 0)
        return;
    memcpy(list, draft->namespaces, draft->namespace_count * sizeof(*list));
    qsort(list, draft->namespace_count, sizeof(*list), compare_namespaces);
}

struct kube_snapshot *kube_draft_finish(struct kube_draft *draft, int64_t began, struct instant read_at,
                                        const char *fault)
{
    struct kube_snapshot *snapshot = memory_new(1, sizeof(*snapshot));

    if (fault)
        kube_draft_clear(draft);
    snapshot->arena = draft->arena;
    snapshot->began = began;
    snapshot->ended = clock_ms();
    snapshot->inventory.status = draft->status;
    if (fault) {
        snapshot->fault = arena_string(snapshot->arena, text_of(fault));
    } else {
        status_read_at(&snapshot->inventory.status, read_at);
        finish_entries(draft, snapshot);
        finish_namespaces(draft, snapshot);
    }
    draft->arena = NULL;
    kube_draft_clear(draft);
    cache_value_init(&snapshot->value, sizeof(*snapshot) + arena_bytes(snapshot->arena), destroy);
    return snapshot;
}
