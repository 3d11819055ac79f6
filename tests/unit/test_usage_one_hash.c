/* The relation where everything has the same hash: what is told apart is told apart by its bytes. */
#include "unit.h"

#include "util/hash.h"

static uint64_t one_hash(uint64_t seed, struct text text)
{
    (void)seed;
    (void)text;
    return 7;
}

#define hash_text one_hash
#include "model/usage.c" /* NOLINT: compiled with that hash */

/* Each of four texts is one of three: "" and two others. Number 0, where all are "", is no request. */
enum { TEXTS = 4, VALUES = 3, KEYS = VALUES * VALUES * VALUES * VALUES };

static const char *const values[VALUES] = {"", "x", "y"};

static struct usage_event event_of(unsigned number)
{
    struct text text[TEXTS];

    for (int i = 0; i < TEXTS; i++, number /= VALUES)
        text[i] = text_of(values[number % VALUES]);
    return (struct usage_event){0, USAGE_SYNC, text[0], text[1], text[2], text[3]};
}

static unsigned value_of(struct text text)
{
    return text.length == 0 ? 0 : text.data[0] == 'x' ? 1 : 2;
}

static unsigned number_of(const struct usage *usage, const struct usage_row *row)
{
    const uint32_t strings[TEXTS] = {row->namespace, row->service, row->user, row->country};
    unsigned number = 0;

    for (int i = TEXTS - 1; i >= 0; i--)
        number = number * VALUES + value_of(usage_string(usage, strings[i]));
    return number;
}

/* Keys that differ in nothing but that one has an empty text where the other has none stay apart, whichever
 * comes first. */
static void each_key_of_two_is_found_again(void **state)
{
    (void)state;
    for (unsigned a = 1; a < KEYS; a++)
        for (unsigned b = 1; b < KEYS; b++) {
            struct usage *into = usage_new(1 << 20), *from = usage_new(1 << 20);
            struct usage_event in = event_of(a), out = event_of(b);

            assert_true(usage_add(into, &in, 1) && usage_add(from, &out, 2));
            usage_seal(from);
            assert_true(usage_merge(into, from, 0, 0, USAGE_WITHOUT_HOURS));
            assert_int_equal(usage_row_count(into), a == b ? 1 : 2);
            for (size_t i = 0; i < usage_row_count(into); i++) {
                const struct usage_row row = usage_row(into, i);

                assert_int_equal(number_of(into, &row), i == 0 ? a : b);
                assert_int_equal(row.count, a == b ? 3 : i + 1);
            }
            usage_free(into);
            usage_free(from);
        }
}

static void all_keys_at_once_are_found_again(void **state)
{
    struct usage *into = usage_new(1 << 20), *from = usage_new(1 << 20);

    (void)state;
    for (unsigned i = 1; i < KEYS; i++) {
        struct usage_event in = event_of(i * 7 % KEYS), out = event_of(KEYS - i);

        assert_true(usage_add(into, &in, 1) && usage_add(from, &out, i));
    }
    usage_seal(from);
    for (int round = 0; round < 2; round++)
        assert_true(usage_merge(into, from, 0, 0, USAGE_WITHOUT_HOURS));
    assert_int_equal(usage_row_count(into), KEYS - 1);
    for (size_t i = 0; i < KEYS - 1; i++) {
        const struct usage_row row = usage_row(into, i);

        assert_int_equal(row.count, 1 + 2 * (KEYS - number_of(into, &row)));
    }
    usage_free(into);
    usage_free(from);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_of_two_is_found_again),
        cmocka_unit_test(all_keys_at_once_are_found_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
