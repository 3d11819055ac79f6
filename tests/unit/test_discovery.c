/* Where a provider may lead, and what it may say. */
#include "unit.h"

#include "auth/algorithm.h"
#include "auth/discovery.h"
#include "net/url.h"
#include "util/arena.h"

static const struct {
    const char *url;
    bool is_https;
    const char *host, *path; /* NULL: refused */
    int line;
} url_rows[] = {
    {"https://a.example", true, "a.example", "", __LINE__},
    {"http://a.example/", false, "a.example", "/", __LINE__},
    {"HTTPS://A.example:8443/x/y?z#t", true, "A.example", "/x/y", __LINE__},
    {"http://127.0.0.1:1?x", false, "127.0.0.1", "", __LINE__},
    {"http://[::1]:8080/x", false, "[::1]", "/x", __LINE__},
    {"http://a_b-c.d/x", false, "a_b-c.d", "/x", __LINE__},
    {"https://a:65535", true, "a", "", __LINE__},
    {"", false, NULL, NULL, __LINE__},
    {"https://", false, NULL, NULL, __LINE__},
    {"https:///x", false, NULL, NULL, __LINE__},
    {"https:a", false, NULL, NULL, __LINE__},
    {"ftp://a", false, NULL, NULL, __LINE__},
    {"file:///etc/passwd", false, NULL, NULL, __LINE__},
    {"//a/x", false, NULL, NULL, __LINE__},
    {"https://user@a/", false, NULL, NULL, __LINE__},
    {"https://user:x@a/", false, NULL, NULL, __LINE__},
    {"https://a\\@b/", false, NULL, NULL, __LINE__},
    {"https://a/\\b", false, NULL, NULL, __LINE__},
    {"https://a%2eb/", false, NULL, NULL, __LINE__},
    {"https://a b/", false, NULL, NULL, __LINE__},
    {"https://a/b c", false, NULL, NULL, __LINE__},
    {"https://a/b\r\nX: y", false, NULL, NULL, __LINE__},
    {"https://a/\xc3\xa9", false, NULL, NULL, __LINE__},
    {"https://\xc3\xa9/", false, NULL, NULL, __LINE__},
    {"https://a/\x7f", false, NULL, NULL, __LINE__},
    {"https://a:/", false, NULL, NULL, __LINE__},
    {"https://a:x/", false, NULL, NULL, __LINE__},
    {"https://a:123456/", false, NULL, NULL, __LINE__},
    {"https://a:1:2/", false, NULL, NULL, __LINE__},
    {"https://a#/b", false, NULL, NULL, __LINE__},
    {"https://[::1/", false, NULL, NULL, __LINE__},
    {"https://[]/", false, NULL, NULL, __LINE__},
    {"https://[a.b%25eth0]/", false, NULL, NULL, __LINE__},
    {"https://[::1]a/", false, NULL, NULL, __LINE__},
    {" https://a", false, NULL, NULL, __LINE__},
};

static void urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(url_rows); i++) {
        struct url url;
        bool fine = url_read(text_of(url_rows[i].url), &url);

        if (fine != (url_rows[i].host != NULL) ||
            (fine && (url.is_https != url_rows[i].is_https || !text_is(url.host, url_rows[i].host) ||
                      !text_is(url.path, url_rows[i].path))))
            fail_msg("line %d", url_rows[i].line);
    }
}

static void where_the_description_lies(void **state)
{
    static const struct {
        const char *issuer, *url;
        int line;
    } rows[] = {
        {"https://a", "https://a/.well-known/openid-configuration", __LINE__},
        {"https://a/", "https://a/.well-known/openid-configuration", __LINE__},
        {"https://a/realms/x", "https://a/realms/x/.well-known/openid-configuration", __LINE__},
        {"https://a/realms/x/", "https://a/realms/x/.well-known/openid-configuration", __LINE__},
        {"https://a?x", NULL, __LINE__},
        {"https://a/#x", NULL, __LINE__},
        {"a", NULL, __LINE__},
        {"", NULL, __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *url = discovery_url(arena, text_of(rows[i].issuer));

        if (!text_equal(text_of(url), text_of(rows[i].url)))
            fail_msg("line %d: %s", rows[i].line, url ? url : "NULL");
    }
    arena_free(arena);
}

#define NO_OBJECT "the discovery document is no JSON object"
#define OTHER     "the discovery document is another issuer's"
#define NO_KEYS   "the discovery document's jwks_uri is missing or must not be followed"
#define NO_USER   "the discovery document's userinfo_endpoint is missing or must not be followed"

static void addresses(void **state)
{
    static const struct {
        const char *issuer, *keys, *userinfo;
        const char *why;
        int line;
    } rows[] = {
        {"https://a", "https://a/k", "https://a/u", NULL, __LINE__},
        {"https://a", "https://b:8443/k", "https://c/u", NULL, __LINE__},
        {"https://a", "http://a/k", "https://a/u", NO_KEYS, __LINE__},
        {"https://a", "http://b/k", "https://a/u", NO_KEYS, __LINE__},
        {"https://a", "https://a/k", "http://a/u", NO_USER, __LINE__},
        {"http://a", "http://a/k", "http://a/u", NULL, __LINE__},
        {"http://a", "http://A:81/k", "http://a:82/u", NULL, __LINE__},
        {"http://a", "https://b/k", "https://b/u", NULL, __LINE__},
        {"http://a", "http://b/k", "http://a/u", NO_KEYS, __LINE__},
        {"http://a", "http://a.b/k", "http://a/u", NO_KEYS, __LINE__},
        {"http://a", "http://a/k", "http://a@b/u", NO_USER, __LINE__},
        {"http://a", "http://a/k", "http://b/u", NO_USER, __LINE__},
        {"http://a", "file:///etc/passwd", "http://a/u", NO_KEYS, __LINE__},
        {"http://a", "/k", "http://a/u", NO_KEYS, __LINE__},
        {"http://a", "", "http://a/u", NO_KEYS, __LINE__},
        {"http://a", "http://a/k\\u0000", "http://a/u", NO_KEYS, __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct discovery discovery;
        const char *body =
            arena_format(arena, "{\"issuer\":\"%s\",\"jwks_uri\":\"%s\",\"userinfo_endpoint\":\"%s\"}",
                         rows[i].issuer, rows[i].keys, rows[i].userinfo);
        const char *why = discovery_read(arena, text_of(rows[i].issuer), text_of(body), &discovery);

        if (!text_equal(text_of(why), text_of(rows[i].why)))
            fail_msg("line %d: %s", rows[i].line, why ? why : "NULL");
        if (why == NULL) {
            assert_string_equal(discovery.jwks_uri, rows[i].keys);
            assert_string_equal(discovery.userinfo_endpoint, rows[i].userinfo);
        }
    }
    arena_free(arena);
}

static void documents(void **state)
{
    static const struct {
        const char *body, *why;
        int line;
    } rows[] = {
        {"", NO_OBJECT, __LINE__},
        {"<html>", NO_OBJECT, __LINE__},
        {"[]", NO_OBJECT, __LINE__},
        {"null", NO_OBJECT, __LINE__},
        {"{\"issuer\":\"https://b\",\"issuer\":\"https://a\"}", NO_OBJECT, __LINE__},
        {"{}", OTHER, __LINE__},
        {"{\"issuer\":\"https://a/\"}", OTHER, __LINE__},
        {"{\"issuer\":\"https://A\"}", OTHER, __LINE__},
        {"{\"issuer\":\"https://a\\u0000\"}", OTHER, __LINE__},
        {"{\"issuer\":[\"https://a\"]}", OTHER, __LINE__},
        {"{\"issuer\":\"https://a\"}", NO_KEYS, __LINE__},
        {"{\"issuer\":\"https://a\",\"jwks_uri\":7}", NO_KEYS, __LINE__},
        {"{\"issuer\":\"https://a\",\"jwks_uri\":\"https://a/k\",\"userinfo_endpoint\":null}", NO_USER,
         __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct discovery discovery;
        const char *why = discovery_read(arena, TEXT_LITERAL("https://a"), text_of(rows[i].body), &discovery);

        if (!text_equal(text_of(why), text_of(rows[i].why)))
            fail_msg("line %d: %s", rows[i].line, why ? why : "NULL");
    }
    arena_free(arena);
}

#define BIT(name) (1u << ALGORITHM_##name)

static void algorithms_and_kinds(void **state)
{
    static const struct {
        const char *members;
        unsigned algorithms;
        enum userinfo_kind kind;
        int line;
    } rows[] = {
        {"", BIT(RS256), USERINFO_OTHER, __LINE__},
        {",\"id_token_signing_alg_values_supported\":[\"ES256\",\"PS384\"]", BIT(ES256) | BIT(PS384),
         USERINFO_OTHER, __LINE__},
        {",\"id_token_signing_alg_values_supported\":[\"none\",\"HS256\",\"RS512\",\"EdDSA\",7,null]",
         BIT(RS512), USERINFO_OTHER, __LINE__},
        {",\"id_token_signing_alg_values_supported\":[\"none\",\"HS256\"]", BIT(RS256), USERINFO_OTHER,
         __LINE__},
        {",\"id_token_signing_alg_values_supported\":[]", BIT(RS256), USERINFO_OTHER, __LINE__},
        {",\"id_token_signing_alg_values_supported\":\"ES256\"", BIT(RS256), USERINFO_OTHER, __LINE__},
        {",\"id_token_signing_alg_values_supported\":[\"rs512\"]", BIT(RS256), USERINFO_OTHER, __LINE__},
        {",\"authorization_endpoint\":\"https://a/auth/realms/egi/protocol/openid-connect/auth\"", BIT(RS256),
         USERINFO_EGI, __LINE__},
        {",\"authorization_endpoint\":\"https://a/realms/ai4eosc/auth\"", BIT(RS256), USERINFO_AI4EOSC,
         __LINE__},
        {",\"authorization_endpoint\":\"https://a/realms/other\"", BIT(RS256), USERINFO_OTHER, __LINE__},
        {",\"authorization_endpoint\":\"https://a/x?y=/realms/egi\"", BIT(RS256), USERINFO_OTHER, __LINE__},
        {",\"authorization_endpoint\":7", BIT(RS256), USERINFO_OTHER, __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct discovery discovery;
        const char *body = arena_format(arena,
                                        "{\"issuer\":\"https://a\",\"jwks_uri\":\"https://a/k\","
                                        "\"userinfo_endpoint\":\"https://a/u\"%s}",
                                        rows[i].members);

        assert_null(discovery_read(arena, TEXT_LITERAL("https://a"), text_of(body), &discovery));
        if (discovery.algorithms != rows[i].algorithms || discovery.kind != rows[i].kind)
            fail_msg("line %d", rows[i].line);
    }
    arena_free(arena);
}

static void urls_have_a_length(void **state)
{
    struct arena *arena = arena_new();
    char *issuer = arena_alloc(arena, DISCOVERY_URL_MAX_BYTES + 2, 1);

    (void)state;
    memset(issuer, 'a', DISCOVERY_URL_MAX_BYTES);
    memcpy(issuer, "https://a/", strlen("https://a/"));
    assert_non_null(discovery_url(arena, text_of(issuer)));
    issuer[DISCOVERY_URL_MAX_BYTES] = 'a';
    assert_null(discovery_url(arena, text_of(issuer)));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls),
        cmocka_unit_test(where_the_description_lies),
        cmocka_unit_test(addresses),
        cmocka_unit_test(documents),
        cmocka_unit_test(algorithms_and_kinds),
        cmocka_unit_test(urls_have_a_length),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
