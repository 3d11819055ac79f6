/* Outages: for how long a backend is left alone, and that the table is bounded. */
#include "unit.h"

#include <stdio.h>

#include "net/outage.h"

static void a_backend_that_failed_is_left_alone_for_a_while(void **state)
{
    struct outages *outages = outages_new();
    const struct text one = TEXT_LITERAL("http://a:80"), other = TEXT_LITERAL("https://a:80");
    char words[OUTAGE_WORDS_SIZE] = "";

    (void)state;
    assert_int_equal(outages_left(outages, one, 1000, words), 0);
    outages_begin(outages, one, "connection refused", 1000);
    assert_int_equal(outages_left(outages, one, 1000, words), 3000);
    assert_string_equal(words, "connection refused (tried 0.0 s ago, not again yet)");
    assert_int_equal(outages_left(outages, one, 3999, words), 1);
    assert_string_equal(words, "connection refused (tried 2.9 s ago, not again yet)");
    assert_int_equal(outages_left(outages, other, 1000, words), 0);
    assert_int_equal(outages_left(outages, one, 4000, words), 0);
    /* And again: the time counts from the last failure, whose reason is told. */
    outages_begin(outages, one, "connection refused", 5000);
    outages_begin(outages, one, "no such host", 6000);
    assert_int_equal(outages_left(outages, one, 7500, words), 1500);
    assert_string_equal(words, "no such host (tried 1.5 s ago, not again yet)");
    outages_free(outages);
}

static void an_answer_ends_it(void **state)
{
    struct outages *outages = outages_new();
    const struct text one = TEXT_LITERAL("http://a:80"), other = TEXT_LITERAL("http://b:80");
    char words[OUTAGE_WORDS_SIZE];

    (void)state;
    outages_end(outages, one);
    outages_begin(outages, one, "no such host", 1000);
    outages_begin(outages, other, "no such host", 1000);
    outages_end(outages, one);
    assert_int_equal(outages_left(outages, one, 1001, words), 0);
    assert_int_equal(outages_left(outages, other, 1001, words), 2999);
    outages_free(outages);
}

static void the_oldest_makes_room(void **state)
{
    struct outages *outages = outages_new();
    char words[OUTAGE_WORDS_SIZE], name[32];
    enum { MORE = 5 };

    (void)state;
    for (int i = 0; i < OUTAGE_BACKENDS_MAX + MORE; i++) {
        snprintf(name, sizeof(name), "http://%d:80", i);
        outages_begin(outages, text_of(name), "no such host", 1000 + i);
    }
    for (int i = 0; i < OUTAGE_BACKENDS_MAX + MORE; i++) {
        snprintf(name, sizeof(name), "http://%d:80", i);
        assert_int_equal(outages_left(outages, text_of(name), 1100, words), i < MORE ? 0 : 2900 + i);
    }
    outages_free(outages);
}

static void a_long_reason_is_cut(void **state)
{
    struct outages *outages = outages_new();
    const struct text one = TEXT_LITERAL("http://a:80");
    char words[OUTAGE_WORDS_SIZE], why[OUTAGE_WHY_MAX_BYTES + 1] = "";

    (void)state;
    memset(why, 'w', OUTAGE_WHY_MAX_BYTES);
    outages_begin(outages, one, why, 1000);
    assert_int_equal(outages_left(outages, one, 1000, words), OUTAGE_MS);
    assert_int_equal(strspn(words, "w"), OUTAGE_WHY_MAX_BYTES - 1);
    assert_string_equal(words + OUTAGE_WHY_MAX_BYTES - 1, " (tried 0.0 s ago, not again yet)");
    outages_free(outages);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_backend_that_failed_is_left_alone_for_a_while),
        cmocka_unit_test(an_answer_ends_it),
        cmocka_unit_test(the_oldest_makes_room),
        cmocka_unit_test(a_long_reason_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
