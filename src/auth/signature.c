/* OpenSSL verifies, and libjwt has to agree where it can read the token (it knows neither PS256 and its
 * sisters nor `typ: at+jwt`, nor integers beyond 63 bits). In this order, because libjwt reads the key's PEM
 * anew each time, which takes ten times as long as verifying: strangers' tokens shall not cost that.
 * Everything that libjwt 1.10 gets wrong (HS256 over a key's text, another curve than the algorithm's,
 * `crit`, times) was refused before: by token_read() and by jwks_fits(). */
#include "auth/signature.h"

#include <jwt.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>

#include "auth/jwks.h"
#include "auth/token.h"

enum { DER_SIZE = 256 };

/* R and S, each with the length of a coordinate (RFC 7518, section 3.4), as the DER that OpenSSL reads. 0
 * when they are not of that length. */
static size_t make_der(struct text signature, int curve_bits, unsigned char der[DER_SIZE])
{
    int half = (curve_bits + 7) / 8, length = 0;
    const unsigned char *bytes = (const unsigned char *)signature.data;
    unsigned char *end = der;
    ECDSA_SIG *pair;
    BIGNUM *r, *s;

    if (signature.length != 2 * (size_t)half)
        return 0;
    pair = ECDSA_SIG_new();
    r = BN_bin2bn(bytes, half, NULL);
    s = BN_bin2bn(bytes + half, half, NULL);
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL;
        if (i2d_ECDSA_SIG(pair, NULL) <= DER_SIZE)
            length = i2d_ECDSA_SIG(pair, &end);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return length > 0 ? (size_t)length : 0;
}

static bool set_padding(EVP_PKEY_CTX *context, enum algorithm_family family)
{
    switch (family) {
    case FAMILY_PKCS1:
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    case FAMILY_PSS: /* the salt has the length of the digest (RFC 7518, section 3.5) */
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
    case FAMILY_ECDSA:
        return true;
    }
    return false;
}

static bool verify_by_openssl(const struct token *token, const struct key *key)
{
    const struct algorithm_row *row = algorithm_row(token->algorithm);
    struct text signature = token->signature, bytes = token->signed_bytes;
    unsigned char der[DER_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *detail = NULL;
    bool valid = context != NULL;

    if (row->family == FAMILY_ECDSA)
        signature = (struct text){(const char *)der, make_der(signature, row->curve_bits, der)};
    valid = valid && signature.length > 0 &&
            EVP_DigestVerifyInit_ex(context, &detail, row->digest, NULL, NULL, key->public, NULL) == 1 &&
            set_padding(detail, row->family) &&
            EVP_DigestVerify(context, (const unsigned char *)signature.data, signature.length,
                             (const unsigned char *)bytes.data, bytes.length) == 1;
    EVP_MD_CTX_free(context);
    return valid;
}

static bool libjwt_reads(const struct token *token)
{
    jwt_t *read = NULL;
    bool fine = jwt_decode(&read, token->bytes, NULL, 0) == 0;

    jwt_free(read);
    return fine;
}

/* libjwt takes the algorithm from the token: it has to be the one that was judged. */
static bool verify_by_libjwt(const struct token *token, const struct key *key)
{
    jwt_t *read = NULL;
    bool valid =
        jwt_decode(&read, token->bytes, (const unsigned char *)key->pem, (int)strlen(key->pem)) == 0 &&
        strcmp(jwt_alg_str(jwt_get_alg(read)), algorithm_row(token->algorithm)->name) == 0;

    jwt_free(read);
    return valid;
}

bool signature_is_valid(const struct token *token, const struct key *key)
{
    bool valid;

    if (!jwks_fits(key, token->algorithm))
        return false;
    valid = verify_by_openssl(token, key) && (!libjwt_reads(token) || verify_by_libjwt(token, key));
    ERR_clear_error(); /* of this thread: libcurl would take them for its own */
    return valid;
}
