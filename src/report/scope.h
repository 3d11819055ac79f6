/* Which part of what was read a report may speak of: the one predicate that all views apply. */
#ifndef OM_REPORT_SCOPE_H
#define OM_REPORT_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "report/pseudonym.h"
#include "util/text.h"

struct arena;
struct hours_part;
struct inventory;
struct usage;
struct usage_row;

enum scope_kind {
    SCOPE_NOTHING, /* so that a scope that nobody set shows nothing */
    SCOPE_ALL,     /* the admin's own reports */
    SCOPE_OWNER,   /* the admin's, limited to one owner's namespace */
    SCOPE_USER,    /* what one user may see */
};

struct scope {
    enum scope_kind kind;
    const struct inventory *inventory; /* SCOPE_OWNER, SCOPE_USER */
    struct text namespace;             /* SCOPE_OWNER */
    /* SCOPE_USER: */
    const bool *visible;          /* by place in inventory->services */
    bool owned_only;              /* what others share with them is not shown */
    struct pseudonyms pseudonyms; /* what people are called */
    const struct text *owned; /* their own namespaces, sorted: everything in them is theirs, deleted services
                                 too; only with owned_only */
    size_t owned_count;
};

/* What is made of a user. The user's id is not empty; the inventory was read to its end. */
struct scope_rules {
    const struct inventory *inventory;
    struct text user;
    bool owned_only;                /* OSCAR_METRICS_SCOPE=owned */
    struct text pseudonym_key;      /* empty: ids are shown */
    struct text services_namespace; /* shared by all: nobody's own */
};

struct scope scope_everything(void);
/* A line's namespace decides; without one, the namespace of the active service of that name. A name that is
 * active in several namespaces belongs to none of them for certain: such lines are in no owner's report. */
struct scope scope_of_owner(const struct inventory *inventory, struct text namespace);
/* A line's namespace decides: the service of that name which is deployed there now must be visible. Without
 * one, every service of that name must be visible, and there must be one. A name of which any definition
 * could not be read is hidden everywhere. The lists lie in the arena. */
struct scope scope_of_user(struct arena *arena, const struct scope_rules *rules);

bool scope_sees(const struct scope *scope, struct text namespace, struct text service);

/* The service at that place of the inventory. */
bool scope_sees_definition(const struct scope *scope, const struct inventory *inventory, size_t at);

/* SCOPE_OWNER: such a line is left out though it may belong to the owner. For users there is no doubt to
 * speak of: what is not certainly theirs to see is hidden by rule, and saying so would reveal it. */
bool scope_doubts(const struct scope *scope, struct text namespace, struct text service);

enum scope_access {
    SCOPE_SHOWN,   /* one of that name may be seen */
    SCOPE_HIDDEN,  /* there are such services, none of which may be seen */
    SCOPE_UNKNOWN, /* there is none of that name */
};
enum scope_access scope_access(const struct scope *scope, struct text service);

/* The hours that the scope may see, of one service or (empty) of all, as parts that do not overlap; in the
 * arena; *count may be 0. `by_namespace`: a query can be limited to one namespace. */
const struct hours_part *scope_hours(struct arena *arena, const struct scope *scope, struct text service,
                                     bool by_namespace, size_t *count);

/* A scope over one usage, which must not grow meanwhile: as scope_sees() for its rows, but each service is
 * looked up once. In the arena. */
struct scope_lens;
struct scope_lens *scope_lens_new(struct arena *arena, const struct scope *scope, const struct usage *usage);
bool scope_lens_sees(struct scope_lens *lens, const struct usage_row *row);

#endif
