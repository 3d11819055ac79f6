/* Who asks: what the gate found out, and all that is known of them behind it. */
#ifndef OM_MODEL_IDENTITY_H
#define OM_MODEL_IDENTITY_H

#include "util/text.h"

/* OSCAR's id of the administrator, who owns what nobody else does. No OIDC user may have it. */
#define IDENTITY_CLUSTER_ADMIN "cluster_admin"

enum identity_kind {
    IDENTITY_NOBODY,
    IDENTITY_ADMIN, /* HTTP Basic: sees the whole cluster */
    IDENTITY_USER,  /* OIDC: sees what is visible to them */
};

struct identity {
    enum identity_kind kind;
    struct text user; /* IDENTITY_USER: the provider's `sub`, never empty, in the request's arena */
};

#endif
