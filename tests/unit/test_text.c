/* Texts: what the parsers above rest on. */
#include "unit.h"

#include <string.h>

#include "util/arena.h"
#include "util/buf.h"
#include "util/text.h"

static void cut_gives_head_and_rest(void **state)
{
    struct text rest = TEXT_LITERAL("a,,b");

    (void)state;
    assert_true(text_is(text_cut(&rest, ','), "a"));
    assert_true(text_is(text_cut(&rest, ','), ""));
    assert_non_null(rest.data);
    assert_true(text_is(text_cut(&rest, ','), "b"));
    assert_null(rest.data);
}

static void dns_names(void **state)
{
    static const struct {
        const char *name;
        bool valid;
        int line;
    } rows[] = {
        {"a", true, __LINE__},          {"a-b.c1", true, __LINE__}, {"", false, __LINE__},
        {"-a", false, __LINE__},        {"a-", false, __LINE__},    {"A", false, __LINE__},
        {"a_b", false, __LINE__},       {"a/b", false, __LINE__},   {"a b", false, __LINE__},
        {"a\xc3\xa9", false, __LINE__}, {"a..b", true, __LINE__},
    };
    char longest[255];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (text_is_dns_name(text_of(rows[i].name)) != rows[i].valid)
            fail_msg("row of line %d", rows[i].line);
    memset(longest, 'a', sizeof(longest));
    assert_true(text_is_dns_name((struct text){longest, 253}));
    assert_false(text_is_dns_name((struct text){longest, 254}));
    assert_false(text_is_dns_name((struct text){"a\0b", 3}));
}

static void utf8(void **state)
{
    static const struct {
        const char *bytes;
        bool valid;
        int line;
    } rows[] = {
        {"plain", true, __LINE__},
        {"\xc3\xa9", true, __LINE__},
        {"\xe2\x82\xac", true, __LINE__},
        {"\xf0\x9f\x98\x80", true, __LINE__},
        {"\xc3", false, __LINE__},
        {"\x80", false, __LINE__},
        {"\xc0\xaf", false, __LINE__},
        {"\xe0\x80\xaf", false, __LINE__},
        {"\xed\xa0\x80", false, __LINE__},
        {"\xf4\x90\x80\x80", false, __LINE__},
        {"\xf0\x80\x80\xaf", false, __LINE__},
        {"\xff", false, __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (text_is_utf8(text_of(rows[i].bytes)) != rows[i].valid)
            fail_msg("row of line %d", rows[i].line);
}

static void buf_refuses_what_goes_over_its_cap(void **state)
{
    struct buf buf;

    (void)state;
    buf_init(&buf, 5);
    assert_true(buf_add_string(&buf, "abc"));
    assert_false(buf_add_string(&buf, "def"));
    assert_true(buf.full);
    assert_true(buf_add_string(&buf, "de"));
    assert_true(text_is(buf_text(&buf), "abcde"));
    buf_free(&buf);
}

static void arena_pieces_stay_apart(void **state)
{
    struct arena *arena = arena_new();
    char *small = arena_alloc(arena, 10, 1), *large = arena_alloc(arena, 100000, 1);
    char *other = arena_alloc(arena, 10, 1);

    (void)state;
    memset(small, 'a', 10);
    memset(large, 'b', 100000);
    memset(other, 'c', 10);
    assert_true(small[9] == 'a' && large[0] == 'b' && large[99999] == 'b' && other[0] == 'c');
    assert_string_equal(arena_format(arena, "%d-%s", 7, "x"), "7-x");
    arena_reset(arena);
    assert_string_equal(arena_string(arena, TEXT_LITERAL("again")), "again");
    arena_free(arena);
}

static void pieces_of_a_list(void **state)
{
    struct text list = TEXT_LITERAL(" a ,, b c,\t,d"), piece, nothing = {NULL, 0};

    (void)state;
    assert_true(text_next(&list, &piece) && text_is(piece, "a"));
    assert_true(text_next(&list, &piece) && text_is(piece, "b c"));
    assert_true(text_next(&list, &piece) && text_is(piece, "d"));
    assert_false(text_next(&list, &piece));
    assert_false(text_next(&list, &piece));
    assert_false(text_next(&nothing, &piece));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cut_gives_head_and_rest),
        cmocka_unit_test(dns_names),
        cmocka_unit_test(utf8),
        cmocka_unit_test(buf_refuses_what_goes_over_its_cap),
        cmocka_unit_test(arena_pieces_stay_apart),
        cmocka_unit_test(pieces_of_a_list),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
