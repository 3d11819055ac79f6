/* The signature algorithms of tokens that are verified (RFC 7518, section 3.1): all of them asymmetric. What
 * is not here ("none", HS256 and its sisters, other spellings) is never accepted. */
#ifndef OM_AUTH_ALGORITHM_H
#define OM_AUTH_ALGORITHM_H

#include <stdbool.h>

#include "util/text.h"

enum algorithm {
    ALGORITHM_RS256,
    ALGORITHM_RS384,
    ALGORITHM_RS512,
    ALGORITHM_PS256,
    ALGORITHM_PS384,
    ALGORITHM_PS512,
    ALGORITHM_ES256,
    ALGORITHM_ES384,
    ALGORITHM_ES512,
    ALGORITHM_COUNT
};

enum algorithm_family { FAMILY_PKCS1, FAMILY_PSS, FAMILY_ECDSA };

struct algorithm_row {
    const char *name;
    enum algorithm_family family;
    const char *digest; /* as OpenSSL calls it */
    int curve_bits;     /* FAMILY_ECDSA: of the one curve that the algorithm goes with; else 0 */
};

const struct algorithm_row *algorithm_row(enum algorithm algorithm);

/* By the exact name. */
bool algorithm_find(struct text name, enum algorithm *out);

#endif
