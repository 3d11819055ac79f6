/* Whose signature is it? By libjwt and by OpenSSL alike. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "auth/jwks.h"
#include "auth/signature.h"
#include "auth/token.h"
#include "tokens.h"
#include "util/arena.h"

static const char claims[] = "{\"iss\":\"https://i\",\"sub\":\"u\",\"exp\":1800000000}";

enum { RSA_KEY, OTHER_RSA_KEY, P256, OTHER_P256, P384, P521, KEYS };

struct scene {
    struct arena *arena;
    EVP_PKEY *private[KEYS];
    struct jwks *public; /* in the same order, without alg */
};

static int open_scene(void **state)
{
    struct scene *scene = calloc(1, sizeof(*scene));
    const char *list = "";

    if (scene == NULL)
        return -1;
    scene->arena = arena_new();
    scene->private[RSA_KEY] = make_rsa();
    scene->private[OTHER_RSA_KEY] = make_rsa();
    scene->private[P256] = make_ec("P-256");
    scene->private[OTHER_P256] = make_ec("P-256");
    scene->private[P384] = make_ec("P-384");
    scene->private[P521] = make_ec("P-521");
    for (size_t i = 0; i < KEYS; i++)
        list = arena_format(scene->arena, "%s%s%s", list, i > 0 ? "," : "",
                            jwk_of(scene->arena, scene->private[i], ""));
    scene->public = jwks_read(text_of(arena_format(scene->arena, "{\"keys\":[%s]}", list)));
    *state = scene;
    return scene->public && scene->public->count == KEYS ? 0 : -1;
}

static int close_scene(void **state)
{
    struct scene *scene = *state;

    for (size_t i = 0; i < KEYS; i++)
        EVP_PKEY_free(scene->private[i]);
    jwks_free(scene->public);
    arena_free(scene->arena);
    free(scene);
    return 0;
}

static bool is_valid(struct scene *scene, const char *bytes, size_t key)
{
    struct token token;
    const char *why = token_read(scene->arena, text_of(bytes), &token);

    if (why)
        fail_msg("%s", why);
    return signature_is_valid(&token, &scene->public->keys[key]);
}

static const struct {
    const char *algorithm;
    size_t key;
} algorithm_rows[] = {
    {"RS256", RSA_KEY}, {"RS384", RSA_KEY}, {"RS512", RSA_KEY}, {"PS256", RSA_KEY}, {"PS384", RSA_KEY},
    {"PS512", RSA_KEY}, {"ES256", P256},    {"ES384", P384},    {"ES512", P521},
};

/* With `typ: at+jwt`, and with an integer beyond 63 bits, libjwt does not read the token: OpenSSL verifies.
 */
static void every_algorithm_is_verified_by_its_own_key_alone(void **state)
{
    static const char *const members[] = {"", ",\"typ\":\"JWT\"", ",\"typ\":\"at+jwt\"",
                                          ",\"typ\":\"application/jwt\"", ",\"x\":99999999999999999999"};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(algorithm_rows); i++)
        for (size_t k = 0; k < COUNT_OF(members); k++) {
            const char *header =
                arena_format(scene->arena, "{\"alg\":\"%s\"%s}", algorithm_rows[i].algorithm, members[k]);
            const char *token = sign_token(scene->arena, scene->private[algorithm_rows[i].key],
                                           algorithm_rows[i].algorithm, header, claims);

            for (size_t key = 0; key < KEYS; key++)
                if (is_valid(scene, token, key) != (key == algorithm_rows[i].key))
                    fail_msg("%s, key %zu", header, key);
        }
}

/* Each header names an algorithm that its signature is not of. */
static void the_algorithm_of_the_header_is_the_one_that_verifies(void **state)
{
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(algorithm_rows); i++)
        for (size_t k = 0; k < COUNT_OF(algorithm_rows); k++) {
            const char *header = arena_format(scene->arena, "{\"alg\":\"%s\"}", algorithm_rows[k].algorithm);
            const char *token = sign_token(scene->arena, scene->private[algorithm_rows[i].key],
                                           algorithm_rows[i].algorithm, header, claims);

            if (is_valid(scene, token, algorithm_rows[i].key) != (i == k))
                fail_msg("%s signed as %s", header, algorithm_rows[i].algorithm);
        }
}

/* libjwt alone would accept it: ES256 with a key on P-384, and the other way round. */
static void another_curve_than_the_algorithm_s_is_refused(void **state)
{
    static const struct {
        const char *algorithm, *digest;
        size_t key;
    } rows[] = {{"ES256", "ES256", P384},
                {"ES384", "ES384", P256},
                {"ES512", "ES512", P256},
                {"ES256", "ES256", P521}};
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_false(is_valid(
            scene, make_token(scene->arena, scene->private[rows[i].key], rows[i].digest, "k", claims),
            rows[i].key));
}

/* Each way for tokens that libjwt reads, and for those that it does not. */
static void any_other_byte_breaks_it(void **state)
{
    static const size_t rows[] = {0, 3, 6}; /* RS256, PS256, ES256 */
    static const char *const types[] = {"JWT", "at+jwt"};
    static const char other[] = "{\"iss\":\"https://i\",\"sub\":\"v\",\"exp\":1800000000}";
    struct scene *scene = *state;

    for (size_t i = 0; i < COUNT_OF(rows) * COUNT_OF(types); i++) {
        size_t key = algorithm_rows[rows[i / 2]].key;
        const char *algorithm = algorithm_rows[rows[i / 2]].algorithm;
        const char *header =
            arena_format(scene->arena, "{\"alg\":\"%s\",\"typ\":\"%s\"}", algorithm, types[i % 2]);
        const char *good = sign_token(scene->arena, scene->private[key], algorithm, header, claims);
        const char *evil = sign_token(scene->arena, scene->private[key], algorithm, header, other);
        size_t head = (size_t)(strrchr(good, '.') - good), evil_head = (size_t)(strrchr(evil, '.') - evil);
        /* The signature's last byte stands in its last two characters: two bytes more, and it is unharmed. */
        const char *longer = arena_format(scene->arena, "%sAA", good);

        assert_true(is_valid(scene, good, key));
        assert_false(
            is_valid(scene, arena_format(scene->arena, "%.*s%s", (int)evil_head, evil, good + head), key));
        assert_false(is_valid(scene, arena_format(scene->arena, "%.*s.", (int)head, good), key));
        assert_false(is_valid(scene, arena_format(scene->arena, "%.*s.AAAA", (int)head, good), key));
        assert_false(is_valid(scene, longer, key));
    }
}

/* R and S of zero verify everything where nobody looks. */
static void zeroes_are_no_signature(void **state)
{
    static const char *const types[] = {"JWT", "at+jwt"};
    struct scene *scene = *state;
    static const char zeroes[64];

    for (size_t i = 0; i < COUNT_OF(types); i++) {
        const char *header = arena_format(scene->arena, "{\"alg\":\"ES256\",\"typ\":\"%s\"}", types[i]);
        const char *token =
            arena_format(scene->arena, "%s.%s.%s", base64url_of(scene->arena, text_of(header)),
                         base64url_of(scene->arena, text_of(claims)),
                         base64url_of(scene->arena, (struct text){zeroes, sizeof(zeroes)}));

        assert_false(is_valid(scene, token, P256));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_algorithm_is_verified_by_its_own_key_alone),
        cmocka_unit_test(the_algorithm_of_the_header_is_the_one_that_verifies),
        cmocka_unit_test(another_curve_than_the_algorithm_s_is_refused),
        cmocka_unit_test(any_other_byte_breaks_it),
        cmocka_unit_test(zeroes_are_no_signature),
    };

    return cmocka_run_group_tests(tests, open_scene, close_scene);
}
