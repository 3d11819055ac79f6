/* The way there, where the program has the way back. */
#include "tokens.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/arena.h"

enum { SIGNATURE_MAX_BYTES = 1024 };

static void check(bool fine, const char *what)
{
    if (fine)
        return;
    fprintf(stderr, "%s failed\n", what);
    abort();
}

/* One of the two that somebody made before: under valgrind making one takes a minute. */
static EVP_PKEY *ready_rsa(const char *folder)
{
    static unsigned taken;
    char path[512];
    EVP_PKEY *key = NULL;
    FILE *file;

    snprintf(path, sizeof(path), "%s/rsa-%u.pem", folder, taken++ % 2);
    file = fopen(path, "r");
    check(file != NULL, path);
    key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    return key;
}

EVP_PKEY *make_rsa(void)
{
    const char *folder = getenv("UNIT_KEYS");
    EVP_PKEY *key = folder ? ready_rsa(folder) : EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);

    check(key != NULL, "making an RSA key");
    return key;
}

EVP_PKEY *make_ec(const char *curve)
{
    EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", curve);

    check(key != NULL, "making an EC key");
    return key;
}

const char *base64url_of(struct arena *arena, struct text bytes)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *out = arena_alloc(arena, bytes.length * 2 + 4, 1);
    size_t length = 0;
    unsigned bits = 0, held = 0;

    for (size_t i = 0; i < bytes.length; i++) {
        bits = bits << 8 | (unsigned char)bytes.data[i];
        for (held += 8; held >= 6; held -= 6)
            out[length++] = alphabet[bits >> (held - 6) & 63];
    }
    if (held > 0)
        out[length++] = alphabet[bits << (6 - held) & 63];
    return out;
}

static const char *number_of(struct arena *arena, EVP_PKEY *key, const char *name, int width)
{
    unsigned char bytes[SIGNATURE_MAX_BYTES];
    BIGNUM *number = NULL;
    int length;

    check(EVP_PKEY_get_bn_param(key, name, &number) == 1, name);
    length = width ? BN_bn2binpad(number, bytes, width) : BN_bn2bin(number, bytes);
    check(length > 0, name);
    BN_free(number);
    return base64url_of(arena, (struct text){(const char *)bytes, (size_t)length});
}

static int width_of(const EVP_PKEY *key)
{
    return (EVP_PKEY_get_bits(key) + 7) / 8;
}

const char *jwk_of(struct arena *arena, EVP_PKEY *key, const char *members)
{
    if (EVP_PKEY_is_a(key, "RSA"))
        return arena_format(arena, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}",
                            number_of(arena, key, OSSL_PKEY_PARAM_RSA_N, 0),
                            number_of(arena, key, OSSL_PKEY_PARAM_RSA_E, 0), members);
    return arena_format(arena, "{\"kty\":\"EC\",\"crv\":\"P-%d\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                        EVP_PKEY_get_bits(key),
                        number_of(arena, key, OSSL_PKEY_PARAM_EC_PUB_X, width_of(key)),
                        number_of(arena, key, OSSL_PKEY_PARAM_EC_PUB_Y, width_of(key)), members);
}

static size_t sign_by_secret(EVP_PKEY *key, const char *digest, struct text bytes, unsigned char *out)
{
    BIO *bio = BIO_new(BIO_s_mem());
    unsigned length = 0;
    char *pem;
    long pem_length;

    check(PEM_write_bio_PUBKEY(bio, key) == 1, "writing a key");
    pem_length = BIO_get_mem_data(bio, &pem);
    check(HMAC(EVP_get_digestbyname(digest), pem, (int)pem_length, (const unsigned char *)bytes.data,
               bytes.length, out, &length) != NULL,
          "signing");
    BIO_free(bio);
    return length;
}

static size_t flatten(const EVP_PKEY *key, unsigned char *signature, size_t length)
{
    const unsigned char *der = signature;
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &der, (long)length);
    int width = width_of(key);

    check(pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), signature, width) == width &&
              BN_bn2binpad(ECDSA_SIG_get0_s(pair), signature + width, width) == width,
          "flattening a signature");
    ECDSA_SIG_free(pair);
    return 2 * (size_t)width;
}

static size_t sign_by_key(EVP_PKEY *key, const char *algorithm, const char *digest, struct text bytes,
                          unsigned char *out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *detail = NULL;
    size_t length = SIGNATURE_MAX_BYTES;

    check(EVP_DigestSignInit_ex(context, &detail, digest, NULL, NULL, key, NULL) == 1, "signing");
    if (algorithm[0] == 'P')
        check(EVP_PKEY_CTX_set_rsa_padding(detail, RSA_PKCS1_PSS_PADDING) == 1 &&
                  EVP_PKEY_CTX_set_rsa_pss_saltlen(detail, RSA_PSS_SALTLEN_DIGEST) == 1,
              "signing");
    check(EVP_DigestSign(context, out, &length, (const unsigned char *)bytes.data, bytes.length) == 1,
          "signing");
    EVP_MD_CTX_free(context);
    return algorithm[0] == 'E' ? flatten(key, out, length) : length;
}

const char *sign_token(struct arena *arena, EVP_PKEY *key, const char *algorithm, const char *header,
                       const char *claims)
{
    const char *bytes = arena_format(arena, "%s.%s", base64url_of(arena, text_of(header)),
                                     base64url_of(arena, text_of(claims)));
    const char *digest = arena_format(arena, "SHA%s", algorithm + 2);
    unsigned char signature[SIGNATURE_MAX_BYTES];
    size_t length = algorithm[0] == 'H' ? sign_by_secret(key, digest, text_of(bytes), signature)
                                        : sign_by_key(key, algorithm, digest, text_of(bytes), signature);

    return arena_format(arena, "%s.%s", bytes,
                        base64url_of(arena, (struct text){(const char *)signature, length}));
}

const char *make_token(struct arena *arena, EVP_PKEY *key, const char *algorithm, const char *kid,
                       const char *claims)
{
    return sign_token(arena, key, algorithm,
                      arena_format(arena, "{\"alg\":\"%s\",\"kid\":\"%s\"}", algorithm, kid), claims);
}
