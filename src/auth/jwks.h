/* A provider's public keys: a JWK set (RFC 7517) to keys that OpenSSL and libjwt can use. */
#ifndef OM_AUTH_JWKS_H
#define OM_AUTH_JWKS_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "auth/algorithm.h"
#include "caps.h"
#include "util/text.h"

enum { JWKS_RSA_LEAST_BITS = 2048 };

struct key {
    EVP_PKEY *public;
    char *pem;
    int curve_bits; /* 256, 384, 521; 0: an RSA key */
    char *kid;      /* NULL: it has none; may hold NUL */
    size_t kid_length;
    bool has_algorithm; /* it is for `algorithm` alone */
    enum algorithm algorithm;
};

struct jwks {
    size_t count;
    struct key keys[JWKS_KEYS_MAX];
    size_t bad;          /* keys that should have been usable and are not */
    const char *bad_why; /* of the first of them, a constant */
};

/* RSA keys of 2048 to 4096 bits and points on P-256, P-384 and P-521 are kept. Keys that are not for
 * verifying signatures, or of other types or algorithms, are passed over. NULL when the text is no key set;
 * jwks_free() the result. */
struct jwks *jwks_read(struct text text);
void jwks_free(struct jwks *jwks); /* NULL is allowed */

bool jwks_fits(const struct key *key, enum algorithm algorithm);

#endif
