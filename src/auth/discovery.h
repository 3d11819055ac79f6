/* A provider's description of itself (OpenID Connect Discovery 1.0, section 3). */
#ifndef OM_AUTH_DISCOVERY_H
#define OM_AUTH_DISCOVERY_H

#include <stdbool.h>

#include "auth/userinfo.h"
#include "util/text.h"

struct arena;

struct discovery {
    const char *jwks_uri, *userinfo_endpoint;
    enum userinfo_kind kind;
    unsigned algorithms; /* 1 << enum algorithm: those that its tokens may have */
};

/* Where the description of an issuer lies; NULL when the issuer is no http or https URL. */
const char *discovery_url(struct arena *arena, struct text issuer);

/* Reads the description of that issuer; *out lies in the arena. Another issuer's is refused, and so are
 * addresses that are neither https nor, for an issuer that is itself http, http on the issuer's own host.
 * NULL when it was read, else why not, in words for the log. */
const char *discovery_read(struct arena *arena, struct text issuer, struct text body, struct discovery *out)
    __attribute__((warn_unused_result));

#endif
