/* What is shown of ids. The expected names were made by another program:
 *     printf %s ID | openssl dgst -sha256 -hmac KEY | cut -c1-32 */
#include "unit.h"

#include "report/pseudonym.h"
#include "util/arena.h"

#define KEY       "0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_KEY "another key of the thirty-two bytes that are wanted"
#define FORGED    "user-00112233445566778899aabbccddeeff"

static const struct row {
    const char *key, *own, *id, *shown;
    int line;
} rows[] = {
    {KEY, "alice@example.org", "bob@example.org", "user-7cb1d390bb845c19c5d0083339484a3e", __LINE__},
    {KEY, "alice@example.org", "caf\xc3\xa9", "user-31016fde195ad7be53234a0ec9b1fb6a", __LINE__},
    {OTHER_KEY, "alice@example.org", "bob@example.org", "user-46bfa0436455f17ae24564293a7c7b8a", __LINE__},
    /* One's own id stays; a part of it, and another case, are others'. */
    {KEY, "alice@example.org", "alice@example.org", "alice@example.org", __LINE__},
    {KEY, "bob@example.org", "alice@example.org", "user-4bc39a1deaec39cab457b42b00bbb9ae", __LINE__},
    {KEY, "alice@example.org", "alice@example.or", "user-f4dcf25782dc39fdd394dd9657e8936e", __LINE__},
    {KEY, "alice@example.org", "Alice@example.org", "user-5c0ee2288f4b2827f612077c089725cf", __LINE__},
    /* Nobody's. */
    {KEY, "alice@example.org", "", "", __LINE__},
    {KEY, "alice@example.org", "oscar", "oscar", __LINE__},
    {KEY, "alice@example.org", "nil", "nil", __LINE__},
    {KEY, "alice@example.org", "minio", "minio", __LINE__},
    /* Nobody can be called by another's pseudonym. */
    {KEY, FORGED, FORGED, "user-b1efee69ae6542d3c24e8db8c591d939", __LINE__},
    {KEY, "alice@example.org", FORGED, "user-b1efee69ae6542d3c24e8db8c591d939", __LINE__},
    {KEY, "user-0011", "user-0011", "user-0011", __LINE__},
    {KEY, "user-0011223344556677889-aabbccddeeff", "user-0011223344556677889-aabbccddeeff",
     "user-0011223344556677889-aabbccddeeff", __LINE__},
    /* No key: ids. */
    {"", "", "bob@example.org", "bob@example.org", __LINE__},
    {"", "", FORGED, FORGED, __LINE__},
};

static void others_are_shown_by_their_pseudonym_alone(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct pseudonyms pseudonyms = {text_of(rows[i].key), text_of(rows[i].own)};
        struct text shown = pseudonym_of(&pseudonyms, arena, text_of(rows[i].id));

        if (!text_is(shown, rows[i].shown))
            fail_msg("row of line %d: %.*s", rows[i].line, (int)shown.length, shown.data);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(others_are_shown_by_their_pseudonym_alone)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
