/* When is a FastCGI request there? Records are written by hand after the specification. */
#include "unit.h"

#include <string.h>

#include "http/record.h"

static const char begin[] = "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0";
static const char params[] = "\1\4\0\1\0\3\1\0\1\0A\0";
static const char params_end[] = "\1\4\0\1\0\0\0\0";
static const char get_values[] = "\1\11\0\0\0\0\0\0";
static const char abort_it[] = "\1\2\0\1\0\0\0\0";
static const char stdin_end[] = "\1\5\0\1\0\0\0\0";

struct piece {
    const char *bytes;
    size_t length;
};
#define PIECE(p)                                                                                             \
    {                                                                                                        \
        p, sizeof(p) - 1                                                                                     \
    }

static struct record_seen seen;

static enum record_verdict look(const struct piece *pieces, size_t count, size_t cut)
{
    char bytes[256];
    size_t length = 0;

    for (size_t i = 0; i < count; i++) {
        memcpy(bytes + length, pieces[i].bytes, pieces[i].length);
        length += pieces[i].length;
    }
    seen = (struct record_seen){false, false};
    return record_look((struct text){bytes, length - cut}, &seen);
}

static void ready_only_with_all_parameters(void **state)
{
    const struct piece whole[] = {PIECE(begin), PIECE(params), PIECE(params_end)};
    const struct piece after[] = {PIECE(get_values), PIECE(begin), PIECE(params), PIECE(params_end),
                                  PIECE(stdin_end)};
    size_t length = sizeof(begin) + sizeof(params) + sizeof(params_end) - 3;

    (void)state;
    assert_int_equal(look(whole, 3, 0), RECORD_READY);
    for (size_t cut = 1; cut <= length; cut++)
        assert_int_equal(look(whole, 3, cut), RECORD_MORE);
    assert_false(seen.whole);
    assert_int_equal(look(after, 5, 0), RECORD_READY);
    assert_true(seen.whole);
    assert_int_equal(look(after, 5, 1), RECORD_READY);
    assert_false(seen.whole);
}

static void a_nul_in_a_parameter_is_seen_wherever_records_are_cut(void **state)
{
    /* QUERY_STRING = "a\0b", name with a long length; then the same bytes in two records */
    const struct piece nul[] = {PIECE(begin), PIECE("\1\4\0\1\0\24\0\0\200\0\0\14\3QUERY_STRINGa\0b"),
                                PIECE(params_end)};
    const struct piece cut[] = {PIECE(begin), PIECE("\1\4\0\1\0\3\0\0\200\0\0"),
                                PIECE("\1\4\0\1\0\21\0\0\14\3QUERY_STRINGa\0b"), PIECE(params_end)};
    const struct piece empty[] = {PIECE(begin), PIECE("\1\4\0\1\0\3\0\0\1\0A"),
                                  PIECE("\1\4\0\1\0\5\0\0\1\200\0\0\0"), PIECE("\1\4\0\1\0\1\0\0B"),
                                  PIECE(params_end)};

    (void)state;
    assert_int_equal(look(nul, 3, 0), RECORD_READY);
    assert_true(seen.nul);
    assert_int_equal(look(cut, 4, 0), RECORD_READY);
    assert_true(seen.nul);
    assert_int_equal(look(empty, 5, 0), RECORD_READY);
    assert_false(seen.nul); /* lengths of zero are no NULs */
}

static void what_no_web_server_sends_is_wrong(void **state)
{
    const struct piece http[] = {PIECE("GET / HTTP/1.1\r\n\r\n")}, no_begin[] = {PIECE(params)},
                       aborted[] = {PIECE(begin), PIECE(abort_it)}, only_values[] = {PIECE(get_values)};

    (void)state;
    assert_int_equal(look(http, 1, 0), RECORD_WRONG);
    assert_int_equal(look(no_begin, 1, 0), RECORD_WRONG);
    assert_int_equal(look(aborted, 2, 0), RECORD_WRONG);
    assert_int_equal(look(only_values, 1, 0), RECORD_MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_only_with_all_parameters),
        cmocka_unit_test(a_nul_in_a_parameter_is_seen_wherever_records_are_cut),
        cmocka_unit_test(what_no_web_server_sends_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
