/* The services deployed now, from their definitions: a folder of YAML files (OSCAR_METRICS_SERVICES_DIR),
 * else the ConfigMaps of the Kubernetes API. */
#ifndef OM_SOURCES_INVENTORY_H
#define OM_SOURCES_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>

#include "model/status.h"
#include "sources/job.h"
#include "util/text.h"

struct cache_value;

enum visibility { VISIBILITY_PRIVATE, VISIBILITY_RESTRICTED, VISIBILITY_PUBLIC };

/* One definition. All texts live as long as the inventory. */
struct service {
    struct text name;       /* a DNS-1123 name */
    struct text namespace;  /* the ConfigMap's; the sub-folder's name, at the top OSCAR_SERVICES_NAMESPACE */
    struct text owner;      /* empty: none stated */
    struct text owner_name; /* the label of that name, as it stands there; empty: none */
    struct text image;
    enum visibility visibility;
    struct text *allowed_users;
    size_t allowed_user_count;
};

/* What a namespace says of itself. */
struct namespace_owner {
    struct text namespace, owner; /* neither is empty */
};

struct inventory {
    const struct service
        *services; /* sorted by name, then namespace, byte order; each (name, namespace) once */
    size_t count;
    const struct text *broken; /* names whose definition could not be read (what it says, else the file's or
                            the ConfigMap's name), or that are defined twice in one namespace: private to
                            everybody, in every namespace; sorted, each once */
    size_t broken_count;
    const struct text *broken_in; /* the namespaces of these definitions; sorted, each once */
    size_t broken_in_count;
    const struct namespace_owner *namespaces; /* sorted by namespace; of those that OSCAR manages */
    size_t namespace_count;
    bool namespaces_known;       /* read to their end; else whose a namespace is, only definitions can tell */
    bool whole;                  /* read to its end: only then may it decide what somebody sees */
    struct source_status status; /* "service-inventory"; missing: the services say nothing at all */
    struct cache_value *held[2]; /* where the texts lie, unless in the arena */
};

/* Starts reading. The job lies in the context's arena; *out must live as long. `namespaces`: whose they are
 * is wanted, too. NULL: nothing is configured, the status says so. */
struct job *inventory_start(const struct source_context *context, bool namespaces, struct inventory *out);

/* The place of the first service that is not before (name, namespace) in the inventory's order. */
size_t inventory_place(const struct inventory *inventory, struct text name, struct text namespace);

void inventory_release(struct inventory *inventory); /* a zeroed one is allowed */

/* Reads one YAML definition of at most DEFINITION_MAX_BYTES. Keys that do not matter may be anything; aliases
 * are not followed. False when it is broken: *why says how, without any text of the definition. The namespace
 * is left alone; of a broken one only the name is of use, empty when it was not reached. */
bool definition_parse(struct arena *arena, struct text yaml, struct service *out, const char **why);

#endif
