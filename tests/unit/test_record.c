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
        if (pieces[i].length > 0)
            memcpy(bytes + length, pieces[i].bytes, pieces[i].length);
        length += pieces[i].length;
    }
    seen = (struct record_seen){0};
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

/* Each row's pieces, after which nothing more need come to know. */
static void what_no_web_server_sends_is_wrong(void **state)
{
    static const struct {
        const char *what;
        struct piece pieces[4];
    } rows[] = {
        {"HTTP", {PIECE("GET / HTTP/1.1\r\n\r\n")}},
        {"version 0", {PIECE("\0\1\0\1\0\10\0\0")}},
        {"version 2", {PIECE("\2\1\0\1\0\10\0\0")}},
        {"a later record of another version", {PIECE(begin), PIECE("\2\4\0\1\0\0\0\0")}},
        {"parameters without a beginning", {PIECE(params)}},
        {"a beginning of 7 bytes", {PIECE("\1\1\0\1\0\7\1\0")}},
        {"a beginning of 65,535 bytes", {PIECE("\1\1\0\1\377\377\0\0")}},
        {"a beginning of the number 0", {PIECE("\1\1\0\0\0\10\0\0")}},
        {"a padded beginning", {PIECE("\1\1\0\1\0\10\1\0")}},
        {"two beginnings", {PIECE(begin), PIECE("\1\1\0\1\0\10\0\0")}},
        {"another's beginning", {PIECE(begin), PIECE("\1\1\0\2\0\10\0\0")}},
        {"another's parameters", {PIECE(begin), PIECE(params), PIECE("\1\4\0\2\0\0\0\0")}},
        {"another whose number has the same low byte", {PIECE(begin), PIECE("\1\4\1\1\0\0\0\0")}},
        {"parameters of the number 0", {PIECE(begin), PIECE("\1\4\0\0\0\0\0\0")}},
        {"a question between", {PIECE(begin), PIECE(get_values)}},
        {"a question whose lengths lie", {PIECE("\1\11\0\0\0\3\0\0\2\1A"), PIECE(begin)}},
        {"an unknown kind of the number 0", {PIECE("\1\143\0\0\0\0\0\0")}},
        {"an unknown kind", {PIECE(begin), PIECE("\1\143\0\1\0\0\0\0")}},
        {"an abort", {PIECE(begin), PIECE(abort_it)}},
        {"a body before the parameters end", {PIECE(begin), PIECE(params), PIECE(stdin_end)}},
        {"half a pair's lengths", {PIECE(begin), PIECE("\1\4\0\1\0\1\0\0\1"), PIECE(params_end)}},
        {"half a long length", {PIECE(begin), PIECE("\1\4\0\1\0\2\0\0\200\0"), PIECE(params_end)}},
        {"a value cut short", {PIECE(begin), PIECE("\1\4\0\1\0\4\0\0\1\2AB"), PIECE(params_end)}},
        {"a name of 2^31 - 1 bytes",
         {PIECE(begin), PIECE("\1\4\0\1\0\7\0\0\377\377\377\377\0AB"), PIECE(params_end)}},
        {"both of 2^31 - 1 bytes",
         {PIECE(begin), PIECE("\1\4\0\1\0\12\0\0\377\377\377\377\377\377\377\377AB"), PIECE(params_end)}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (look(rows[i].pieces, 4, 0) != RECORD_WRONG)
            fail_msg("not wrong: %s", rows[i].what);
    }
}

static void what_may_still_become_a_request_is_waited_for(void **state)
{
    static const struct {
        const char *what;
        struct piece pieces[4];
    } rows[] = {
        {"nothing", {PIECE("")}},
        {"a question alone", {PIECE(get_values)}},
        {"a beginning", {PIECE(begin)}},
        {"a record of 65,535 bytes, of which some are there",
         {PIECE(begin), PIECE("\1\4\0\1\377\377\377\0\1")}},
        {"the end without its padding",
         {PIECE(begin), PIECE(params), PIECE("\1\4\0\1\0\0\377\0"), PIECE("\0")}},
        {"a name of 2^31 - 1 bytes", {PIECE(begin), PIECE("\1\4\0\1\0\7\0\0\377\377\377\377\0AB")}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (look(rows[i].pieces, 4, 0) != RECORD_MORE)
            fail_msg("not waited for: %s", rows[i].what);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_only_with_all_parameters),
        cmocka_unit_test(a_nul_in_a_parameter_is_seen_wherever_records_are_cut),
        cmocka_unit_test(what_no_web_server_sends_is_wrong),
        cmocka_unit_test(what_may_still_become_a_request_is_waited_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
