/* Views over the usage relation: one pass with a predicate (the scope) and a key. */
#ifndef OM_REPORT_VIEW_H
#define OM_REPORT_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "model/question.h"
#include "model/usage.h"
#include "util/text.h"

struct arena;
struct scope;

struct country_count {
    struct text country;
    uint64_t requests;
};

/* What one key came to. All lists are sorted by bytes; texts point into the usage, or the arena. Users and
 * countries are those of sync and async requests; the empty user and the unknown country are not listed.
 * Users are called as the scope wants it (pseudonym.h), and sorted by that. */
struct view_item {
    struct text key;
    uint64_t requests[USAGE_TYPES];
    struct text *users;
    size_t user_count;
    struct country_count *countries;
    size_t country_count;
};

/* Sync and async requests together. */
uint64_t view_executions(const struct view_item *item);

struct view {
    struct view_item *items; /* sorted by key, bytes; in the arena */
    size_t count;
};

/* Everything as one item, with an empty key; *services gets the number of distinct services with any request.
 */
struct view_item view_totals(struct arena *arena, const struct usage *usage, const struct scope *scope,
                             size_t *services);

/* One service, whether it has requests or not. */
struct view_item view_service(struct arena *arena, const struct usage *usage, const struct scope *scope,
                              struct text service);

/* By service (exposed requests too), by user (the empty id has its item) or by country (key "unknown" where
 * none is known). */
struct view view_breakdown(struct arena *arena, const struct usage *usage, const struct scope *scope,
                           enum group_by group_by);

#endif
