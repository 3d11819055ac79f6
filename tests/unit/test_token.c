/* What a token must look like before anybody looks at its signature. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "auth/token.h"
#include "tokens.h"
#include "util/arena.h"
#include "util/buf.h"

#define HEADER "{\"alg\":\"RS256\",\"kid\":\"k\"}"
#define CLAIMS "{\"iss\":\"https://i\",\"sub\":\"u\",\"exp\":1800000000}"
#define NO_JWT "the token is no JWT"

static const char *read_parts(struct arena *arena, struct text header, struct text claims, struct token *out)
{
    return token_read(
        arena,
        text_of(arena_format(arena, "%s.%s.AAAA", base64url_of(arena, header), base64url_of(arena, claims))),
        out);
}

static void assert_why(const char *why, const char *expected, int line)
{
    const char *read = "(it was read)";

    if (strcmp(why ? why : read, expected ? expected : read) != 0)
        fail_msg("line %d: %s", line, why ? why : read);
}

static const struct {
    const char *header;
    const char *why;
    int line;
} header_rows[] = {
    {HEADER, NULL, __LINE__},
    {"{\"alg\":\"ES512\"}", NULL, __LINE__},
    {" { \"alg\" : \"PS256\" } ", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"JWT\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"jwt\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"at+jwt\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"AT+JWT\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"application/at+jwt\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"Application/JWT\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"application/\"}", "the token's typ is neither JWT nor at+jwt", __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"\"}", "the token's typ is neither JWT nor at+jwt", __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"dpop+jwt\"}", "the token's typ is neither JWT nor at+jwt", __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":\"JWT\\u0000\"}", "the token's typ is neither JWT nor at+jwt", __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":null}", "the token's typ is neither JWT nor at+jwt", __LINE__},
    {"{\"alg\":\"RS256\",\"typ\":[\"JWT\"]}", "the token's typ is neither JWT nor at+jwt", __LINE__},
    {"{\"alg\":\"RS256\",\"crit\":[\"exp\"]}", "the token's header has crit", __LINE__},
    {"{\"alg\":\"RS256\",\"crit\":[]}", "the token's header has crit", __LINE__},
    {"{\"alg\":\"RS256\",\"crit\":null}", "the token's header has crit", __LINE__},
    {"{\"alg\":\"RS256\",\"kid\":7}", "the token's kid is no string", __LINE__},
    {"{\"alg\":\"RS256\",\"kid\":null}", "the token's kid is no string", __LINE__},
    {"{\"alg\":\"RS256\",\"kid\":\"../../etc/passwd\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"kid\":\"' OR 1=1 --\"}", NULL, __LINE__},
    {"{\"alg\":\"RS256\",\"kid\":\"\"}", NULL, __LINE__},
    /* Keys that come with the token are not looked at, whatever they are. */
    {"{\"alg\":\"RS256\",\"jwk\":{\"kty\":\"oct\",\"k\":\"AA\"},\"jku\":\"http://evil.invalid\",\"x5u\":1,"
     "\"x5c\":[\"AA\"]}",
     NULL, __LINE__},
    {"{}", "the token names no algorithm", __LINE__},
    {"{\"alg\":null}", "the token names no algorithm", __LINE__},
    {"{\"alg\":256}", "the token names no algorithm", __LINE__},
    {"{\"alg\":[\"RS256\"]}", "the token names no algorithm", __LINE__},
    {"{\"alg\":\"none\"}", "the token's algorithm is not one that is accepted: none", __LINE__},
    {"{\"alg\":\"None\"}", "the token's algorithm is not one that is accepted: None", __LINE__},
    {"{\"alg\":\"NONE\"}", "the token's algorithm is not one that is accepted: NONE", __LINE__},
    {"{\"alg\":\"nOnE\"}", "the token's algorithm is not one that is accepted: nOnE", __LINE__},
    {"{\"alg\":\"\"}", "the token's algorithm is not one that is accepted: ", __LINE__},
    {"{\"alg\":\"HS256\"}", "the token's algorithm is not one that is accepted: HS256", __LINE__},
    {"{\"alg\":\"rs256\"}", "the token's algorithm is not one that is accepted: rs256", __LINE__},
    {"{\"alg\":\"Es256\"}", "the token's algorithm is not one that is accepted: Es256", __LINE__},
    {"{\"alg\":\" RS256\"}", "the token's algorithm is not one that is accepted:  RS256", __LINE__},
    {"{\"alg\":\"RS256\\u0000\"}", "the token's algorithm is not one that is accepted: RS256 ", __LINE__},
    {"{\"alg\":\"EdDSA\"}", "the token's algorithm is not one that is accepted: EdDSA", __LINE__},
    {"{\"alg\":\"ES256K\"}", "the token's algorithm is not one that is accepted: ES256K", __LINE__},
    {"{\"alg\":\"line\\nbreak\"}", "the token's algorithm is not one that is accepted: line break", __LINE__},
    {"{\"alg\":\"an algorithm with a long name\"}",
     "the token's algorithm is not one that is accepted: an algorithm with a long...", __LINE__},
    {"{\"alg\":\"none\",\"alg\":\"RS256\"}", NO_JWT, __LINE__},
    {"{\"alg\":\"RS256\",\"\\u0061lg\":\"none\"}", NO_JWT, __LINE__},
    {"{\"alg\":\"RS256\",\"kid\":\"a\",\"kid\":\"b\"}", NO_JWT, __LINE__},
    {"{\"alg\":\"RS256\",\"x\":{\"a\":1,\"a\":2}}", NULL, __LINE__},
    {"{'alg':'RS256'}", NO_JWT, __LINE__},
    {"[\"alg\",\"RS256\"]", NO_JWT, __LINE__},
    {"\"RS256\"", NO_JWT, __LINE__},
    {"null", NO_JWT, __LINE__},
    {"", NO_JWT, __LINE__},
    {"{\"alg\":\"RS256\"", NO_JWT, __LINE__},
    {"{\"alg\":\"RS256\"}}", NO_JWT, __LINE__},
    {"{\"alg\":\"RS256\",\"x\\u0000y\":1}", NO_JWT, __LINE__},
    {"{\"alg\":\"RS256\",\"x\":\"\xff\"}", NO_JWT, __LINE__},
};

static void headers(void **state)
{
    struct arena *arena = arena_new();
    struct token token;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(header_rows); i++)
        assert_why(read_parts(arena, text_of(header_rows[i].header), TEXT_LITERAL(CLAIMS), &token),
                   header_rows[i].why, header_rows[i].line);
    arena_free(arena);
}

#define WITH(members) "{\"iss\":\"https://i\",\"sub\":\"u\"," members "}"
#define NO_EXP        "the token's exp is no number"
#define NO_NBF        "the token's nbf is no number"
#define NO_SUB        "the token's sub is missing or cannot be a user's id"
#define EXPIRED       "the token has expired"
#define EARLY         "the token is not valid yet"

/* Judged at 1,700,000,000.5 seconds. */
static const struct {
    const char *claims;
    const char *why;
    int line;
} claim_rows[] = {
    {CLAIMS, NULL, __LINE__},
    {WITH("\"exp\":1700000001"), NULL, __LINE__},
    {WITH("\"exp\":1700000000"), EXPIRED, __LINE__},
    {WITH("\"exp\":1700000000.5"), EXPIRED, __LINE__},
    {WITH("\"exp\":1700000000.75"), NULL, __LINE__},
    {WITH("\"exp\":1.7000000007e9"), NULL, __LINE__},
    {WITH("\"exp\":0"), EXPIRED, __LINE__},
    {WITH("\"exp\":-1"), EXPIRED, __LINE__},
    {WITH("\"exp\":-1e300"), EXPIRED, __LINE__},
    {WITH("\"exp\":1e30"), NULL, __LINE__},
    {WITH("\"exp\":9223372036854775807"), NULL, __LINE__},
    {WITH("\"exp\":-9223372036854775808"), EXPIRED, __LINE__},
    {WITH("\"exp\":99999999999999999999999999"), NULL, __LINE__},
    {WITH("\"exp\":-99999999999999999999999999"), EXPIRED, __LINE__},
    {WITH("\"exp\":1e999"), NO_EXP, __LINE__},
    {WITH("\"exp\":-1e999"), NO_EXP, __LINE__},
    {WITH("\"exp\":NaN"), NO_JWT, __LINE__},
    {WITH("\"exp\":Infinity"), NO_JWT, __LINE__},
    {WITH("\"exp\":\"1800000000\""), NO_EXP, __LINE__},
    {WITH("\"exp\":null"), NO_EXP, __LINE__},
    {WITH("\"exp\":true"), NO_EXP, __LINE__},
    {WITH("\"exp\":[1800000000]"), NO_EXP, __LINE__},
    {WITH("\"exp\":1,\"exp\":1800000000"), NO_JWT, __LINE__},
    {WITH("\"iat\":1"), "the token has no exp", __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":1700000000"), NULL, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":1700000300"), NULL, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":1700000300.5"), NULL, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":1700000300.75"), EARLY, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":1700000301"), EARLY, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":1e30"), EARLY, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":9223372036854775807"), EARLY, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":-5"), NULL, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":1e999"), NO_NBF, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":\"1700000000\""), NO_NBF, __LINE__},
    {WITH("\"exp\":1800000000,\"nbf\":null"), NO_NBF, __LINE__},
    {"{\"sub\":\"u\",\"exp\":1800000000}", "the token names no issuer", __LINE__},
    {"{\"iss\":\"\",\"sub\":\"u\",\"exp\":1800000000}", "the token names no issuer", __LINE__},
    {"{\"iss\":[\"https://i\"],\"sub\":\"u\",\"exp\":1800000000}", "the token names no issuer", __LINE__},
    {"{\"iss\":\"https://i\",\"iss\":\"https://j\",\"sub\":\"u\",\"exp\":1800000000}", NO_JWT, __LINE__},
    {"{\"iss\":\"https://i\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":7,\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":null,\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"cluster_admin\",\"exp\":1800000000}",
     "the token's sub is the administrator's id", __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"cluster\\u005fadmin\",\"exp\":1800000000}",
     "the token's sub is the administrator's id", __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"cluster_admin2\",\"exp\":1800000000}", NULL, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"a|b\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"a\\nb\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"admin\\u0000x\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"a\\u0085b\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"a\\ud800b\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"a\\ud83d\\ude00b\",\"exp\":1800000000}", NULL, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"u\",\"exp\":1800000000,\"name\":\"\\ud83d\"}", NULL, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"a\\u007f\",\"exp\":1800000000}", NO_SUB, __LINE__},
    {"{\"iss\":\"https://i\",\"sub\":\"a\\u00a0\xc3\xa9 b\",\"exp\":1800000000}", NULL, __LINE__},
    {"[]", NO_JWT, __LINE__},
    {"", NO_JWT, __LINE__},
};

static void claims(void **state)
{
    const struct instant now = {1700000000, 500000000};
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(claim_rows); i++) {
        struct token token;
        const char *why = read_parts(arena, TEXT_LITERAL(HEADER), text_of(claim_rows[i].claims), &token);

        assert_why(why ? why : token_check_times(&token, now), claim_rows[i].why, claim_rows[i].line);
    }
    arena_free(arena);
}

static void a_subject_has_a_length(void **state)
{
    struct arena *arena = arena_new();
    char *subject = arena_alloc(arena, TOKEN_SUBJECT_MAX_BYTES + 2, 1);

    (void)state;
    memset(subject, 'u', TOKEN_SUBJECT_MAX_BYTES + 1);
    assert_true(token_is_subject((struct text){subject, TOKEN_SUBJECT_MAX_BYTES}));
    assert_false(token_is_subject((struct text){subject, TOKEN_SUBJECT_MAX_BYTES + 1}));
    arena_free(arena);
}

/* {"alg":"RS256"} and {"iss":"i","sub":"u","exp":9e9}; e30 is {}. */
#define H "eyJhbGciOiJSUzI1NiJ9"
#define C "eyJpc3MiOiJpIiwic3ViIjoidSIsImV4cCI6OWU5fQ"

static const struct {
    const char *token;
    const char *why;
    int line;
} spelling_rows[] = {
    {H "." C ".AAAA", NULL, __LINE__},
    {H "." C ".AA", NULL, __LINE__},
    {H "." C ".-_-_", NULL, __LINE__},
    {H "." C ".", NULL, __LINE__},     /* no signature verifies it */
    {H "." C ".AB", NO_JWT, __LINE__}, /* stray bits: the same byte as AA */
    {H "." C ".AAB", NO_JWT, __LINE__},
    {H "." C ".A", NO_JWT, __LINE__},
    {H "." C ".AA==", NO_JWT, __LINE__},
    {H "." C ".AAA=", NO_JWT, __LINE__},
    {H "." C ".+/+/", NO_JWT, __LINE__},
    {H "." C ".AA AA", NO_JWT, __LINE__},
    {H "." C ".AAAA\n", NO_JWT, __LINE__},
    {H "." C ".AA*A", NO_JWT, __LINE__},
    {H "." C ".AA\xc3\xa9", NO_JWT, __LINE__},
    {H "." C "==.AAAA", NO_JWT, __LINE__},
    {H "=." C ".AAAA", NO_JWT, __LINE__},
    {H "." C "R.AAAA", NO_JWT, __LINE__},
    {H "." C, NO_JWT, __LINE__},
    {H "." C ".AAAA.AAAA", NO_JWT, __LINE__},
    {H "." C ".AAAA.", NO_JWT, __LINE__},
    {H "." C "..AAAA", NO_JWT, __LINE__},
    {H "." C ".AAAA.AAAA.AAAA", NO_JWT, __LINE__},
    {"." C ".AAAA", NO_JWT, __LINE__},
    {H "..AAAA", NO_JWT, __LINE__},
    {"..", NO_JWT, __LINE__},
    {"...", NO_JWT, __LINE__},
    {"", NO_JWT, __LINE__},
    {"a", NO_JWT, __LINE__},
    {"e30.e30.AAAA", "the token names no algorithm", __LINE__},
    {H ".e30.AAAA", "the token names no issuer", __LINE__},
};

static void spellings(void **state)
{
    struct arena *arena = arena_new();
    struct token token;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(spelling_rows); i++)
        assert_why(token_read(arena, text_of(spelling_rows[i].token), &token), spelling_rows[i].why,
                   spelling_rows[i].line);
    arena_free(arena);
}

static void what_was_read(void **state)
{
    struct arena *arena = arena_new();
    struct token token;

    (void)state;
    assert_null(token_read(arena, TEXT_LITERAL(H "." C ".AP__"), &token));
    assert_string_equal(token.bytes, H "." C ".AP__");
    assert_true(text_is(token.signed_bytes, H "." C));
    assert_true(text_equal(token.signature, TEXT_LITERAL("\0\xff\xff")));
    assert_int_equal(token.algorithm, ALGORITHM_RS256);
    assert_null(token.kid.data);
    assert_true(text_is(token.issuer, "i"));
    assert_true(text_is(token.subject, "u"));
    assert_true(token.expires == 9e9 && token.not_before == 0);
    arena_free(arena);
}

static void a_token_has_a_length(void **state)
{
    struct arena *arena = arena_new();
    char *bytes = arena_alloc(arena, 200 * 1024, 1);
    size_t length = strlen(H "." C ".");
    struct token token;

    (void)state;
    memset(bytes, 'A', 200 * 1024);
    memcpy(bytes, H "." C ".", length);
    /* The signature has to be a whole number of bytes: 4n characters. */
    length += (TOKEN_MAX_BYTES - length) / 4 * 4;
    assert_why(token_read(arena, (struct text){bytes, length}, &token), NULL, __LINE__);
    assert_why(token_read(arena, (struct text){bytes, length + 4}, &token), "the token is too long",
               __LINE__);
    assert_why(token_read(arena, (struct text){bytes, 200 * 1024}, &token), "the token is too long",
               __LINE__);
    arena_free(arena);
}

static void deep_json_is_refused(void **state)
{
    struct arena *arena = arena_new();
    struct buf header;
    struct token token;

    (void)state;
    buf_init(&header, 16 * 1024);
    buf_add_string(&header, "{\"alg\":\"RS256\",\"x\":");
    for (int i = 0; i < 3000; i++)
        buf_add_char(&header, '[');
    for (int i = 0; i < 3000; i++)
        buf_add_char(&header, ']');
    buf_add_char(&header, '}');
    assert_why(read_parts(arena, buf_text(&header), TEXT_LITERAL(CLAIMS), &token), NO_JWT, __LINE__);
    buf_free(&header);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(claims),
        cmocka_unit_test(a_subject_has_a_length),
        cmocka_unit_test(spellings),
        cmocka_unit_test(what_was_read),
        cmocka_unit_test(a_token_has_a_length),
        cmocka_unit_test(deep_json_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
