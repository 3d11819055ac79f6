/* Who asks: what the gate found out, and all that is known of them behind it. */
#ifndef OM_MODEL_IDENTITY_H
#define OM_MODEL_IDENTITY_H

enum identity_kind {
    IDENTITY_NOBODY,
    IDENTITY_ADMIN, /* HTTP Basic: sees the whole cluster */
};

struct identity {
    enum identity_kind kind;
};

#endif
