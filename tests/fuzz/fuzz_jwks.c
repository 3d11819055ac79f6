/* Any bytes as a key set: whatever is taken is of an allowed kind and size. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "auth/jwks.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_allowed(const struct key *key)
{
    int bits = EVP_PKEY_get_bits(key->public);

    if (key->curve_bits == 0)
        return EVP_PKEY_is_a(key->public, "RSA") && bits >= 2048 && bits <= 4096;
    return EVP_PKEY_is_a(key->public, "EC") && bits == key->curve_bits &&
           (bits == 256 || bits == 384 || bits == 521);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jwks *jwks = jwks_read((struct text){(const char *)data, size});

    if (jwks == NULL)
        return 0;
    if (jwks->count > JWKS_KEYS_MAX || (jwks->bad > 0) != (jwks->bad_why != NULL))
        abort();
    for (size_t i = 0; i < jwks->count; i++)
        if (!is_allowed(&jwks->keys[i]) || jwks->keys[i].pem == NULL)
            abort();
    jwks_free(jwks);
    return 0;
}
