/* Which keys of a set are taken. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "auth/jwks.h"
#include "tokens.h"
#include "util/arena.h"
#include "util/buf.h"

static const char bad_rsa[] = "an RSA key is not of 2048 to 4096 bits, or broken";
static const char bad_point[] = "an EC key is not on its curve, or broken";

struct taken {
    size_t count, bad;
    const char *why;
};

static struct taken take(struct arena *arena, const char *list)
{
    struct jwks *jwks = jwks_read(text_of(arena_format(arena, "{\"keys\":[%s]}", list)));
    struct taken taken;

    assert_non_null(jwks);
    taken = (struct taken){jwks->count, jwks->bad, jwks->bad_why};
    jwks_free(jwks);
    return taken;
}

static void assert_taken(struct taken taken, size_t count, const char *why, int line)
{
    if (taken.count != count || !text_equal(text_of(taken.why), text_of(why)))
        fail_msg("line %d: %zu keys, %zu bad: %s", line, taken.count, taken.bad, taken.why ? taken.why : "");
}

static void members_decide_what_a_key_is_for(void **state)
{
    static const struct {
        const char *members;
        bool is_taken;
        const char *why;
        int line;
    } rows[] = {
        {"", true, NULL, __LINE__},
        {",\"use\":\"sig\"", true, NULL, __LINE__},
        {",\"use\":\"enc\"", false, NULL, __LINE__},
        {",\"use\":\"SIG\"", false, NULL, __LINE__},
        {",\"use\":null", false, NULL, __LINE__},
        {",\"key_ops\":[\"verify\"]", true, NULL, __LINE__},
        {",\"key_ops\":[\"encrypt\",\"verify\"]", true, NULL, __LINE__},
        {",\"key_ops\":[\"encrypt\"]", false, NULL, __LINE__},
        {",\"key_ops\":\"verify\"", false, NULL, __LINE__},
        {",\"key_ops\":[]", false, NULL, __LINE__},
        {",\"alg\":\"RS256\"", true, NULL, __LINE__},
        {",\"alg\":\"PS512\"", true, NULL, __LINE__},
        {",\"alg\":\"RSA-OAEP\"", false, NULL, __LINE__},
        {",\"alg\":\"HS256\"", false, NULL, __LINE__},
        {",\"alg\":\"none\"", false, NULL, __LINE__},
        {",\"alg\":\"rs256\"", false, NULL, __LINE__},
        {",\"alg\":null", false, NULL, __LINE__},
        {",\"alg\":\"ES256\"", false, "a key is not of the type that its algorithm needs", __LINE__},
        {",\"kid\":\"a\"", true, NULL, __LINE__},
        {",\"kid\":\"\"", true, NULL, __LINE__},
        {",\"kid\":7", false, "a key's kid is no string", __LINE__},
        {",\"x5c\":[\"AAAA\"],\"x5u\":\"http://127.0.0.1:1/\"", true, NULL, __LINE__},
    };
    struct arena *arena = arena_new();
    EVP_PKEY *key = make_rsa();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_taken(take(arena, jwk_of(arena, key, rows[i].members)), rows[i].is_taken, rows[i].why,
                     rows[i].line);
    EVP_PKEY_free(key);
    arena_free(arena);
}

/* A key is read, not used: any odd number of so many bits will do, and costs nothing. */
static const char *rsa_of_size(struct arena *arena, unsigned bits)
{
    unsigned char number[1024];
    size_t length = (bits + 7) / 8;

    assert_true(length <= sizeof(number));
    memset(number, 0xa5, length);
    number[0] = (unsigned char)(0xff >> (length * 8 - bits));
    return arena_format(arena, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"AQAB\"}",
                        base64url_of(arena, (struct text){(const char *)number, length}));
}

static void sizes_and_curves(void **state)
{
    static const struct {
        unsigned bits;
        const char *curve;
        bool is_taken;
        const char *why;
    } rows[] = {
        {1024, NULL, false, bad_rsa}, {2047, NULL, false, bad_rsa}, {2048, NULL, true, NULL},
        {4096, NULL, true, NULL},     {4104, NULL, false, bad_rsa}, {0, "P-256", true, NULL},
        {0, "P-384", true, NULL},     {0, "P-521", true, NULL},     {0, "P-224", false, NULL},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        EVP_PKEY *key = rows[i].curve ? make_ec(rows[i].curve) : NULL;
        const char *text = key ? jwk_of(arena, key, "") : rsa_of_size(arena, rows[i].bits);

        assert_taken(take(arena, text), rows[i].is_taken, rows[i].why, (int)i);
        EVP_PKEY_free(key);
    }
    arena_free(arena);
}

/* The base point of P-256 (FIPS 186-4, D.1.2.3), and its coordinates cut, turned round and padded. */
#define X             "axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY"
#define Y             "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"
#define EC(crv, x, y) "{\"kty\":\"EC\",\"crv\":\"" crv "\",\"x\":\"" x "\",\"y\":\"" y "\"}"

static void points_lie_on_their_curve(void **state)
{
    static const struct {
        const char *key;
        bool is_taken;
        const char *why;
        int line;
    } rows[] = {
        {EC("P-256", X, Y), true, NULL, __LINE__},
        {EC("P-256", Y, X), false, bad_point, __LINE__},
        {EC("P-384", X, Y), false, bad_point, __LINE__},
        {EC("P-521", X, Y), false, bad_point, __LINE__},
        {EC("P-256", X "A", Y), false, bad_point, __LINE__},
        {EC("P-256", X "=", Y), false, bad_point, __LINE__},
        {EC("P-256", "", Y), false, bad_point, __LINE__},
        {EC("P-256", X, ""), false, bad_point, __LINE__},
        {EC("P-256", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
         false, bad_point, __LINE__},
        /* A byte of zero before the one, the last byte of the other cut off: only their sum is right. */
        {EC("P-256", "AGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW",
            "T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UQ"),
         false, bad_point, __LINE__},
        {EC("secp256k1", X, Y), false, NULL, __LINE__},
        {EC("p-256", X, Y), false, NULL, __LINE__},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\"}", false, bad_point, __LINE__},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":1,\"y\":2}", false, bad_point, __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_taken(take(arena, rows[i].key), rows[i].is_taken, rows[i].why, rows[i].line);
    arena_free(arena);
}

static void numbers_of_rsa_keys(void **state)
{
    struct arena *arena = arena_new();
    EVP_PKEY *key = make_rsa();
    const char *good = jwk_of(arena, key, ""), *n = strstr(good, "\"n\":\"") + 5;
    const char *number = arena_string(arena, (struct text){n, strcspn(n, "\"")});
    static const char *const exponents[] = {"AQ", "Ag", "", "AQAB=", "AQAAAAAAAAAB"};

    (void)state;
    assert_taken(take(arena, good), 1, NULL, __LINE__);
    for (size_t i = 0; i < COUNT_OF(exponents); i++)
        assert_taken(take(arena, arena_format(arena, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", number,
                                              exponents[i])),
                     0, bad_rsa, (int)i);
    /* An even number. */
    assert_taken(take(arena, arena_format(arena, "{\"kty\":\"RSA\",\"n\":\"%.*sA\",\"e\":\"AQAB\"}",
                                          (int)strlen(number) - 1, number)),
                 0, bad_rsa, __LINE__);
    assert_taken(take(arena, "{\"kty\":\"RSA\",\"e\":\"AQAB\"}"), 0, bad_rsa, __LINE__);
    assert_taken(take(arena, arena_format(arena, "{\"kty\":\"RSA\",\"n\":\"%s\"}", number)), 0, bad_rsa,
                 __LINE__);
    EVP_PKEY_free(key);
    arena_free(arena);
}

static void a_bad_key_costs_itself_alone(void **state)
{
    struct arena *arena = arena_new();
    struct taken taken =
        take(arena, EC("P-256", X, Y) "," EC(
                        "P-256", Y, X) ",7,null,[],{},{\"kty\":\"oct\",\"k\":\"AAAA\"},"
                                       "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"},"
                                       "{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}," EC("P-256", X, Y));

    (void)state;
    assert_int_equal(taken.count, 2);
    assert_int_equal(taken.bad, 2);
    assert_string_equal(taken.why, bad_point);
    arena_free(arena);
}

static void keys_are_bounded(void **state)
{
    struct arena *arena = arena_new();
    struct buf list;
    struct taken taken;

    (void)state;
    buf_init(&list, 1024 * 1024);
    for (size_t i = 0; i < 2000; i++)
        buf_format(&list, "%s" EC("P-256", X, Y), i > 0 ? "," : "");
    taken = take(arena, list.data);
    assert_int_equal(taken.count, JWKS_KEYS_MAX);
    assert_int_equal(taken.bad, 2000 - JWKS_KEYS_MAX);
    assert_string_equal(taken.why, "there are too many keys");
    buf_free(&list);
    arena_free(arena);
}

static void what_is_no_key_set(void **state)
{
    static const char *const rows[] = {"",
                                       "[]",
                                       "{}",
                                       "null",
                                       "{\"keys\":{}}",
                                       "{\"keys\":null}",
                                       "{\"keys\":[]",
                                       "{\"keys\":[],\"keys\":[]}",
                                       "<html>",
                                       "{\"key\":[]}"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (jwks_read(text_of(rows[i])))
            fail_msg("%s", rows[i]);
}

static void what_is_kept_of_a_key(void **state)
{
    struct jwks *jwks =
        jwks_read(TEXT_LITERAL("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" X "\",\"y\":\"" Y
                               "\",\"kid\":\"a\\u0000b\",\"alg\":\"ES256\"}," EC("P-256", X, Y) "]}"));

    (void)state;
    assert_int_equal(jwks->count, 2);
    assert_true(text_equal((struct text){jwks->keys[0].kid, jwks->keys[0].kid_length}, TEXT_LITERAL("a\0b")));
    assert_null(jwks->keys[1].kid);
    for (int algorithm = 0; algorithm < ALGORITHM_COUNT; algorithm++) {
        assert_int_equal(jwks_fits(&jwks->keys[0], (enum algorithm)algorithm), algorithm == ALGORITHM_ES256);
        assert_int_equal(jwks_fits(&jwks->keys[1], (enum algorithm)algorithm), algorithm == ALGORITHM_ES256);
    }
    jwks_free(jwks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_decide_what_a_key_is_for),
        cmocka_unit_test(sizes_and_curves),
        cmocka_unit_test(points_lie_on_their_curve),
        cmocka_unit_test(numbers_of_rsa_keys),
        cmocka_unit_test(a_bad_key_costs_itself_alone),
        cmocka_unit_test(keys_are_bounded),
        cmocka_unit_test(what_is_no_key_set),
        cmocka_unit_test(what_is_kept_of_a_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
