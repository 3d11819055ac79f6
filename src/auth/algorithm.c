/* One row an algorithm. */
#include "auth/algorithm.h"

static const struct algorithm_row rows[ALGORITHM_COUNT] = {
    [ALGORITHM_RS256] = {"RS256", FAMILY_PKCS1, "SHA256", 0},
    [ALGORITHM_RS384] = {"RS384", FAMILY_PKCS1, "SHA384", 0},
    [ALGORITHM_RS512] = {"RS512", FAMILY_PKCS1, "SHA512", 0},
    [ALGORITHM_PS256] = {"PS256", FAMILY_PSS, "SHA256", 0},
    [ALGORITHM_PS384] = {"PS384", FAMILY_PSS, "SHA384", 0},
    [ALGORITHM_PS512] = {"PS512", FAMILY_PSS, "SHA512", 0},
    [ALGORITHM_ES256] = {"ES256", FAMILY_ECDSA, "SHA256", 256},
    [ALGORITHM_ES384] = {"ES384", FAMILY_ECDSA, "SHA384", 384},
    [ALGORITHM_ES512] = {"ES512", FAMILY_ECDSA, "SHA512", 521},
};

const struct algorithm_row *algorithm_row(enum algorithm algorithm)
{
    return &rows[algorithm];
}

bool algorithm_find(struct text name, enum algorithm *out)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (!text_is(name, rows[i].name))
            continue;
        *out = (enum algorithm)i;
        return true;
    }
    return false;
}
