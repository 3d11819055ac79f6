/* What is remembered of a token: what its provider said of its user, or that it would not have it. The token
 * itself is not kept: the key is the SHA-256 of its one spelling. */
#ifndef OM_AUTH_REMEMBERED_H
#define OM_AUTH_REMEMBERED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/cache.h"
#include "util/text.h"

enum remembered_kind {
    REMEMBERED_USER,    /* subject and groups are known */
    REMEMBERED_REFUSED, /* the provider does not accept it */
    REMEMBERED_FAILED,  /* the provider could not say */
};

struct remembered {
    struct cache_value value; /* first */
    enum remembered_kind kind;
    const char *why; /* not of users: words for the log, a constant */
    struct text issuer, subject;
    bool any_case;  /* the groups are in lower case, and compared without case */
    double expires; /* the token's exp */
    int64_t until;  /* clock_ms(): not to be used any longer */
    size_t group_count;
    struct text groups[];
};

/* A copy of all that `from` points to, with `groups` in it; one holder. cache_value_release(&r->value). */
struct remembered *remembered_new(const struct remembered *from, const struct text *groups, size_t count);

/* Whether one of the groups stands in the comma-separated list. */
bool remembered_is_in(const struct remembered *remembered, struct text list);

#endif
