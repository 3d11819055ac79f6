/* What a provider says of a user (OpenID Connect Core 1.0, section 5.3.2): who, and in which groups. */
#ifndef OM_AUTH_USERINFO_H
#define OM_AUTH_USERINFO_H

#include <stdbool.h>
#include <stddef.h>

#include "util/text.h"

struct arena;

/* Where the groups are. In each kind they are a list of strings: what is no list says nothing, and what is no
 * string is passed over. */
enum userinfo_kind {
    USERINFO_EGI,     /* `entitlements`: urn:mace:egi.eu:group:<group>:..., in lower case */
    USERINFO_AI4EOSC, /* `realm_access.roles` */
    USERINFO_OTHER,   /* `group_membership` */
};

struct userinfo {
    struct text subject; /* data NULL: there is none, or it is no string */
    struct text *groups;
    size_t group_count;
};

/* Everything lies in the arena. False when the text is no JSON object. */
bool userinfo_read(struct arena *arena, struct text body, enum userinfo_kind kind, struct userinfo *out)
    __attribute__((warn_unused_result));

#endif
