/* A list of the Kubernetes API, read in pages, all of one moment. Bounded in bytes, items, pages and tries; a
 * list that cannot be read to its end counts as not read at all. */
#ifndef OM_SOURCES_KUBE_LIST_H
#define OM_SOURCES_KUBE_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "sources/job.h"
#include "util/text.h"

struct json_object;
struct kube;

struct kube_list_request {
    const char *path;     /* "/api/v1/configmaps" */
    const char *selector; /* labelSelector; NULL: none */
    const char *kind;     /* "ConfigMapList" */
    const char *what;     /* "list configmaps in all namespaces" */
    /* Each item, in their order. From kube_list_step(). */
    void (*take)(void *context, struct json_object *item);
    /* The list is read again from its beginning: what was taken is void. */
    void (*restart)(void *context);
    void *context;
};

struct kube_list;

/* In the context's arena. The request is copied, what it points to must live as long. */
struct kube_list *kube_list_start(const struct source_context *context, struct kube *kube,
                                  const struct kube_list_request *request);

/* As a job's step(), with *wake_at (clock_ms(); 0: none) set when it waits. */
enum job_state kube_list_step(struct kube_list *list, int64_t *wake_at);

/* After JOB_DONE: why the list was not read, in the arena; NULL: it was. */
const char *kube_list_fault(const struct kube_list *list);

/* Nothing more is taken; once, whether it is done or not. */
void kube_list_stop(struct kube_list *list);

/* A page: the array of its items, to be given back by json_object_put(), and the token that the next page
 * wants (in the arena, empty: it is the last). NULL: the bytes are no such page. */
struct arena;
struct json_object *kube_page_read(struct arena *arena, struct text body, const char *kind,
                                   struct text *next);

#endif
