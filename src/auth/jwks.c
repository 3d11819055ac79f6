/* Numbers out of JSON, keys out of numbers: OpenSSL checks that a point lies on its curve. */
#include "auth/jwks.h"

#include <json-c/json.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>

#include "caps.h"
#include "util/base64.h"
#include "util/json.h"
#include "util/memory.h"

enum { NUMBER_SIZE = JWKS_RSA_MAX_BITS / 8, COORDINATE_SIZE = 66, PEM_SIZE = 4096 };

static const char bad_rsa[] = "an RSA key is not of 2048 to 4096 bits, or broken";
static const char bad_point[] = "an EC key is not on its curve, or broken";

static const struct curve {
    const char *name, *openssl;
    int bits;
    size_t bytes; /* of a coordinate */
} curves[] = {
    {"P-256", "prime256v1", 256, 32},
    {"P-384", "secp384r1", 384, 48},
    {"P-521", "secp521r1", 521, 66},
};

static bool member_is(struct json_object *object, const char *name, const char *value)
{
    struct text text;

    return json_string(json_member(object, name), &text) && text_is(text, value);
}

static bool read_bytes(struct json_object *key, const char *name, struct buf *out)
{
    struct text text;

    return json_string(json_member(key, name), &text) && base64url_decode(text, out) && out->length > 0;
}

static BIGNUM *read_number(struct json_object *key, const char *name)
{
    struct buf bytes;
    BIGNUM *number = NULL;

    buf_init(&bytes, NUMBER_SIZE);
    if (read_bytes(key, name, &bytes))
        number = BN_bin2bn((const unsigned char *)bytes.data, (int)bytes.length, NULL);
    buf_free(&bytes);
    return number;
}

/* From the parts of a public key to a key; NULL when OpenSSL does not take them. */
static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *builder)
{
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    EVP_PKEY *key = NULL;

    if (parameters == NULL || context == NULL || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return key;
}

static const char *read_rsa(struct json_object *json, struct key *out)
{
    BIGNUM *n = read_number(json, "n"), *e = read_number(json, "e");
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();

    if (builder && n && e && BN_num_bits(n) >= JWKS_RSA_LEAST_BITS && BN_is_odd(n) && BN_is_odd(e) &&
        !BN_is_one(e) && BN_num_bits(e) <= JWKS_EXPONENT_MAX_BITS &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
        OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
        out->public = make_key("RSA", builder);
    OSSL_PARAM_BLD_free(builder);
    BN_free(n);
    BN_free(e);
    return out->public ? NULL : bad_rsa;
}

/* The uncompressed point (SEC 1, section 2.3.3). RFC 7518, section 6.2.1.2: coordinates have their full
 * length. */
static bool read_point(struct json_object *json, const struct curve *curve, struct buf *point)
{
    buf_add_char(point, 4);
    return read_bytes(json, "x", point) && point->length == 1 + curve->bytes &&
           read_bytes(json, "y", point) && point->length == 1 + 2 * curve->bytes;
}

static const char *read_ec(struct json_object *json, const struct curve *curve, struct key *out)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    struct buf point;

    buf_init(&point, 1 + 2 * COORDINATE_SIZE);
    if (builder && read_point(json, curve, &point) &&
        OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve->openssl, 0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data, point.length) == 1)
        out->public = make_key("EC", builder);
    buf_free(&point);
    OSSL_PARAM_BLD_free(builder);
    out->curve_bits = curve->bits;
    return out->public ? NULL : bad_point;
}

static const struct curve *find_curve(struct json_object *json)
{
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (member_is(json, "crv", curves[i].name))
            return &curves[i];
    return NULL;
}

static char *write_pem(EVP_PKEY *key)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *bytes = NULL, *pem = NULL;
    long length;

    if (bio && PEM_write_bio_PUBKEY(bio, key) == 1) {
        length = BIO_get_mem_data(bio, &bytes);
        if (length > 0 && length <= PEM_SIZE)
            pem = memory_copy(bytes, (size_t)length);
    }
    BIO_free(bio);
    return pem;
}

/* RFC 7517, sections 4.2 and 4.3. */
static bool is_for_verifying(struct json_object *json)
{
    struct json_object *operations = NULL;
    struct text operation;

    if (json_object_object_get_ex(json, "use", NULL) && !member_is(json, "use", "sig"))
        return false;
    if (!json_object_object_get_ex(json, "key_ops", &operations))
        return true;
    if (!json_object_is_type(operations, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(operations); i++)
        if (json_string(json_object_array_get_idx(operations, i), &operation) && text_is(operation, "verify"))
            return true;
    return false;
}

/* False: it is for an algorithm that is not verified here. */
static bool read_algorithm(struct json_object *json, struct key *out)
{
    struct text name;

    out->has_algorithm = json_object_object_get_ex(json, "alg", NULL);
    return !out->has_algorithm ||
           (json_string(json_member(json, "alg"), &name) && algorithm_find(name, &out->algorithm));
}

static void free_key(struct key *key)
{
    EVP_PKEY_free(key->public);
    free(key->pem);
    free(key->kid);
}

/* True when the key is to be kept; else *why is set when it should have been usable. */
static bool read_key(struct json_object *json, struct key *out, const char **why)
{
    bool is_rsa = member_is(json, "kty", "RSA");
    const struct curve *curve = member_is(json, "kty", "EC") ? find_curve(json) : NULL;
    struct text kid = {NULL, 0};

    *why = NULL;
    if ((!is_rsa && curve == NULL) || !is_for_verifying(json) || !read_algorithm(json, out))
        return false;
    if (json_object_object_get_ex(json, "kid", NULL) && !json_string(json_member(json, "kid"), &kid))
        *why = "a key's kid is no string";
    else
        *why = is_rsa ? read_rsa(json, out) : read_ec(json, curve, out);
    if (*why == NULL && out->has_algorithm && !jwks_fits(out, out->algorithm))
        *why = "a key is not of the type that its algorithm needs";
    if (*why)
        return false;
    out->pem = write_pem(out->public);
    if (kid.data) {
        out->kid = memory_copy(kid.data, kid.length);
        out->kid_length = kid.length;
    }
    return out->pem != NULL;
}

static void add_key(struct jwks *jwks, struct json_object *json)
{
    struct key key = {.public = NULL};
    const char *why = NULL;

    if (jwks->count == JWKS_KEYS_MAX)
        why = "there are too many keys";
    else if (read_key(json, &key, &why)) {
        jwks->keys[jwks->count++] = key;
        return;
    }
    free_key(&key);
    if (why && jwks->bad++ == 0)
        jwks->bad_why = why;
}

struct jwks *jwks_read(struct text text)
{
    struct json_object *json = json_read_distinct(text), *keys = json_member(json, "keys");
    struct jwks *jwks = NULL;

    if (json_object_is_type(keys, json_type_array)) {
        jwks = memory_new(1, sizeof(*jwks));
        for (size_t i = 0; i < json_object_array_length(keys); i++)
            add_key(jwks, json_object_array_get_idx(keys, i));
    }
    json_object_put(json);
    ERR_clear_error(); /* of this thread: libcurl would take them for its own */
    return jwks;
}

void jwks_free(struct jwks *jwks)
{
    if (jwks == NULL)
        return;
    for (size_t i = 0; i < jwks->count; i++)
        free_key(&jwks->keys[i]);
    free(jwks);
}

bool jwks_fits(const struct key *key, enum algorithm algorithm)
{
    return algorithm_row(algorithm)->curve_bits == key->curve_bits &&
           (!key->has_algorithm || key->algorithm == algorithm);
}
