/* Name and password are compared as digests: equal lengths, constant time, nothing to learn from how long it
 * took. */
#include "auth/basic.h"

#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "caps.h"
#include "model/identity.h"
#include "settings.h"
#include "util/base64.h"

static bool digest(struct text text, unsigned char out[EVP_MAX_MD_SIZE])
{
    memset(out, 0, EVP_MAX_MD_SIZE);
    return EVP_Digest(text.data ? text.data : "", text.length, out, NULL, EVP_sha256(), NULL) == 1;
}

static bool same_secret(struct text given, struct text expected)
{
    unsigned char a[EVP_MAX_MD_SIZE], b[EVP_MAX_MD_SIZE];

    return digest(given, a) && digest(expected, b) && CRYPTO_memcmp(a, b, sizeof(a)) == 0;
}

bool basic_check(const struct settings *settings, struct text credentials, struct identity *identity)
{
    struct buf plain;
    bool known = false;

    buf_init(&plain, BASIC_CREDENTIALS_MAX_BYTES);
    if (base64_decode(credentials, &plain)) {
        struct text password = buf_text(&plain), name = text_cut(&password, ':');
        bool has_colon = password.data != NULL;
        bool same_name = same_secret(name, text_of(settings_text(settings, OSCAR_USERNAME)));
        bool same_password = same_secret(password, text_of(settings_text(settings, OSCAR_PASSWORD)));

        known = has_colon & same_name & same_password;
    }
    if (plain.data)
        OPENSSL_cleanse(plain.data, plain.capacity);
    buf_free(&plain);
    if (known)
        identity->kind = IDENTITY_ADMIN;
    return known;
}
