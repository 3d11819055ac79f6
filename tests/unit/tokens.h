/* Keys, key sets and tokens for tests: made by OpenSSL alone, never by what is tested. */
#ifndef OM_TESTS_TOKENS_H
#define OM_TESTS_TOKENS_H

#include <openssl/types.h>

#include "util/text.h"

struct arena;

EVP_PKEY *make_rsa(void);             /* of 2048 bits; EVP_PKEY_free() them */
EVP_PKEY *make_ec(const char *curve); /* "P-256", "P-384", "P-521" */

/* The public key as a JWK; `members` stands behind its own: ",\"kid\":\"a\"". */
const char *jwk_of(struct arena *arena, EVP_PKEY *key, const char *members);

/* Base64url without padding. */
const char *base64url_of(struct arena *arena, struct text bytes);

/* A token with that header and those claims, signed as `algorithm` says (RS256, PS384, ES512, HS256, ...),
 * whatever the header says. HS... is keyed with the public key's PEM. */
const char *sign_token(struct arena *arena, EVP_PKEY *key, const char *algorithm, const char *header,
                       const char *claims);

/* The same with the header {"alg":algorithm,"kid":kid}. */
const char *make_token(struct arena *arena, EVP_PKEY *key, const char *algorithm, const char *kid,
                       const char *claims);

#endif
