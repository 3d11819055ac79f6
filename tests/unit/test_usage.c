/* The relation: what is added up, kept apart, capped, repaired. */
#include "unit.h"

#include <stdio.h>

#include "model/usage.h"

static struct usage_event event(int64_t hour, enum usage_type type, const char *service, const char *user)
{
    return (struct usage_event){
        .hour = hour, .type = type, .service = text_of(service), .user = text_of(user)};
}

static void equal_keys_add_up_and_others_stay_apart(void **state)
{
    struct usage *usage = usage_new(1 << 20);
    struct usage_event base = event(5, USAGE_SYNC, "yolo", "a1"), other;

    (void)state;
    assert_true(usage_add(usage, &base, 2));
    assert_true(usage_add(usage, &base, 3));
    assert_int_equal(usage_row_count(usage), 1);
    assert_int_equal(usage_row(usage, 0).count, 5);
    other = base, other.hour = -1;
    assert_true(usage_add(usage, &other, 1));
    other = base, other.type = USAGE_ASYNC;
    assert_true(usage_add(usage, &other, 1));
    other = base, other.namespace = TEXT_LITERAL("oscar-svc-u1");
    assert_true(usage_add(usage, &other, 1));
    other = base, other.country = TEXT_LITERAL("ES");
    assert_true(usage_add(usage, &other, 1));
    other = base, other.user = TEXT_LITERAL("");
    assert_true(usage_add(usage, &other, 1));
    other = base, other.service = TEXT_LITERAL("yolo-2");
    assert_true(usage_add(usage, &other, 1));
    assert_int_equal(usage_row_count(usage), 7);
    assert_int_equal(usage_row(usage, 0).count, 5);
    usage_free(usage);
}

static void number_zero_is_the_empty_string(void **state)
{
    struct usage *usage = usage_new(1 << 20);
    struct usage_event e = event(1, USAGE_SYNC, "a", "");

    (void)state;
    assert_true(usage_add(usage, &e, 1));
    assert_int_equal(usage_row(usage, 0).user, 0);
    assert_int_equal(usage_row(usage, 0).namespace, 0);
    assert_int_equal(usage_string(usage, 0).length, 0);
    assert_true(text_is(usage_string(usage, usage_row(usage, 0).service), "a"));
    usage_free(usage);
}

static void bad_utf8_becomes_one_replacement_a_byte_and_one_string(void **state)
{
    struct usage *usage = usage_new(1 << 20);
    struct usage_event bad = event(1, USAGE_SYNC, "a", "u\xff\xc3"),
                       good = event(1, USAGE_SYNC, "a", "u\xef\xbf\xbd\xef\xbf\xbd");

    (void)state;
    assert_true(usage_add(usage, &bad, 1));
    assert_true(usage_add(usage, &bad, 1));
    assert_true(usage_add(usage, &good, 1));
    assert_int_equal(usage_row_count(usage), 1);
    assert_int_equal(usage_row(usage, 0).count, 3);
    assert_true(text_is(usage_string(usage, usage_row(usage, 0).user), "u\xef\xbf\xbd\xef\xbf\xbd"));
    usage_free(usage);
}

static void strings_with_a_nul_are_told_apart(void **state)
{
    struct usage *usage = usage_new(1 << 20);
    struct usage_event e = event(1, USAGE_SYNC, "a", NULL);

    (void)state;
    e.user = (struct text){"x\0y", 3};
    assert_true(usage_add(usage, &e, 1));
    e.user = (struct text){"x\0z", 3};
    assert_true(usage_add(usage, &e, 1));
    e.user = (struct text){"x", 1};
    assert_true(usage_add(usage, &e, 1));
    assert_int_equal(usage_row_count(usage), 3);
    usage_free(usage);
}

static void what_would_go_over_the_cap_is_refused_and_the_rest_stays_right(void **state)
{
    struct usage *usage = usage_new(400 * 1024);
    uint64_t added = 0, sum = 0;
    char name[32];

    (void)state;
    for (int i = 0; i < 100000; i++) {
        struct usage_event e;

        snprintf(name, sizeof(name), "user-%d", i);
        e = event(i % 24, USAGE_SYNC, "a", name);
        if (!usage_add(usage, &e, 1))
            break;
        added++;
    }
    assert_in_range(added, 1000, 99999);
    assert_true(usage_bytes(usage) <= 400 * 1024);
    for (size_t i = 0; i < usage_row_count(usage); i++)
        sum += usage_row(usage, i).count;
    assert_int_equal(sum, added);
    usage_free(usage);
}

static void a_hundred_thousand_keys_keep_their_counts_in_any_order_of_hours(void **state)
{
    static uint64_t counts[20][5000];
    struct usage *usage = usage_new(64 << 20);
    char name[32];

    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 100000; i++) {
            struct usage_event e;

            snprintf(name, sizeof(name), "%d", i % 5000);
            e = event(i / 5000, USAGE_ASYNC, i % 2 ? "a" : "b", name);
            assert_true(usage_add(usage, &e, 1));
        }
    for (size_t i = 0; i < usage_row_count(usage); i++) {
        const struct usage_row row = usage_row(usage, i);
        struct text user = usage_string(usage, row.user);
        int number = 0;

        for (size_t k = 0; k < user.length; k++)
            number = number * 10 + (user.data[k] - '0');
        assert_true(text_is(usage_string(usage, row.service), number % 2 ? "a" : "b"));
        counts[row.hour][number] += row.count;
    }
    for (size_t hour = 0; hour < 20; hour++)
        for (size_t user = 0; user < 5000; user++)
            assert_int_equal(counts[hour][user], 2);
    usage_free(usage);
}

static void lines_that_jump_between_two_hours_share_their_rows(void **state)
{
    struct usage *usage = usage_new(1 << 20);
    struct usage_event one = event(1, USAGE_SYNC, "a", "u"), two = event(2, USAGE_SYNC, "a", "u");

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(usage_add(usage, &one, 1) && usage_add(usage, &two, 1));
    assert_int_equal(usage_row_count(usage), 2);
    assert_int_equal(usage_row(usage, 1).count, 1000);
    usage_free(usage);
}

static void a_sealed_usage_is_merged_by_hours(void **state)
{
    struct usage *from = usage_new(1 << 20), *with = usage_new(1 << 20), *without = usage_new(1 << 20);
    struct usage_event e = event(0, USAGE_SYNC, "a", "u");

    (void)state;
    for (e.hour = -2; e.hour <= 5; e.hour++)
        assert_true(usage_add(from, &e, 10));
    e = event(3, USAGE_EXPOSED, "b", "");
    assert_true(usage_add(from, &e, 1));
    usage_seal(from);
    e = event(7, USAGE_SYNC, "x", "u"); /* so that the numbers of strings differ */
    assert_true(usage_add(with, &e, 1));
    assert_true(usage_merge(with, from, 2, 4, USAGE_WITH_HOURS));
    assert_int_equal(usage_row_count(with), 5);
    assert_int_equal(usage_row(with, 1).hour, 2);
    assert_true(text_is(usage_string(with, usage_row(with, 1).service), "a"));
    assert_int_equal(usage_row(with, 1).user, usage_row(with, 0).user);
    assert_true(usage_merge(without, from, -1, 3, USAGE_WITHOUT_HOURS));
    assert_int_equal(usage_row_count(without), 2);
    assert_int_equal(usage_row(without, 0).count, 50);
    assert_int_equal(usage_row(without, 0).hour, 0);
    assert_int_equal(usage_row(without, 1).count, 1);
    usage_free(from);
    usage_free(with);
    usage_free(without);
}

static void a_merge_that_does_not_fit_says_so(void **state)
{
    struct usage *from = usage_new(4 << 20), *into = usage_new(200 * 1024);
    char name[32];

    (void)state;
    for (int i = 0; i < 10000; i++) {
        struct usage_event e;

        snprintf(name, sizeof(name), "user-%d", i);
        e = event(1, USAGE_SYNC, "a", name);
        assert_true(usage_add(from, &e, 1));
    }
    usage_seal(from);
    assert_false(usage_merge(into, from, 1, 1, USAGE_WITH_HOURS));
    assert_true(usage_bytes(into) <= 200 * 1024);
    usage_free(from);
    usage_free(into);
}

/* Each of the 10,000 keys is told by its service, its user and its country: 35, 2,000 and 3 have no smaller
 * common multiple than 42,000. */
enum { KEYS = 10000, SERVICES = 35, USERS = 2000, COUNTRIES = 3 };

static int key_of(int hour, int i)
{
    return (hour * 7919 + i * 104729) % KEYS;
}

static const char *const country_names[COUNTRIES] = {"", "ES", "FR"};

static struct usage *small_hour(int hour, int rows)
{
    struct usage *usage = usage_new(1 << 20);
    char user[64], service[32];

    for (int i = 0; i < rows; i++) {
        int key = key_of(hour, i);
        struct usage_event e;

        snprintf(service, sizeof(service), "service-%d", key % SERVICES);
        snprintf(user, sizeof(user), "%043d@egi.eu", key % USERS);
        e = event(hour, key % 2 ? USAGE_SYNC : USAGE_ASYNC, service, user);
        e.country = text_of(country_names[key % COUNTRIES]);
        assert_true(usage_add(usage, &e, (uint64_t)key + 1));
    }
    return usage;
}

static void a_sealed_usage_keeps_no_slack(void **state)
{
    enum { ROWS = 280, ROW_AND_KEY = 16 + 20, ITSELF = 512 };
    struct usage *usage = small_hour(3, ROWS);
    size_t before = usage_bytes(usage), needed = ROWS * ROW_AND_KEY;

    (void)state;
    assert_int_equal(usage_row_count(usage), ROWS);
    usage_seal(usage);
    for (size_t i = 0; i < usage_string_count(usage); i++)
        needed += usage_string(usage, (uint32_t)i).length + sizeof(uint32_t);
    assert_true(usage_bytes(usage) < before);
    assert_in_range(usage_bytes(usage), needed, needed + ITSELF);
    usage_free(usage);
}

static bool is_key(const struct usage *usage, const struct usage_row *row, int key)
{
    char user[64], service[32];

    snprintf(service, sizeof(service), "service-%d", key % SERVICES);
    snprintf(user, sizeof(user), "%043d@egi.eu", key % USERS);
    return text_is(usage_string(usage, row->user), user) &&
           text_is(usage_string(usage, row->service), service) &&
           text_is(usage_string(usage, row->country), country_names[key % COUNTRIES]) &&
           row->type == (key % 2 ? USAGE_SYNC : USAGE_ASYNC);
}

static void sealed_hours_merge_into_the_sums_of_their_rows(void **state)
{
    enum { HOURS = 60, ROWS = 280 };
    static uint64_t expected[KEYS];
    struct usage *all = usage_new(64 << 20);
    size_t distinct = 0;

    (void)state;
    for (int hour = 0; hour < HOURS; hour++) {
        struct usage *usage = small_hour(hour, ROWS);

        for (int i = 0; i < ROWS; i++) {
            distinct += expected[key_of(hour, i)] == 0;
            expected[key_of(hour, i)] += (uint64_t)key_of(hour, i) + 1;
        }
        usage_seal(usage);
        assert_true(usage_merge(all, usage, 0, HOURS, USAGE_WITHOUT_HOURS));
        usage_free(usage);
    }
    assert_int_equal(usage_row_count(all), distinct);
    for (size_t i = 0; i < distinct; i++) {
        struct usage_row row = usage_row(all, i);
        int key = 0;

        while (key < KEYS && (expected[key] != row.count || !is_key(all, &row, key)))
            key++;
        assert_in_range(key, 0, KEYS - 1);
        expected[key] = 0;
    }
    usage_free(all);
}

static void keys_that_share_their_texts_in_other_places_stay_apart(void **state)
{
    struct usage *from = usage_new(1 << 20), *into = usage_new(1 << 20);
    struct usage_event e = event(1, USAGE_SYNC, "a", "b");

    (void)state;
    assert_true(usage_add(into, &e, 100)); /* its strings have other numbers than in `from` */
    for (int i = 0; i < 16; i++) {
        e = event(1, USAGE_SYNC, i & 1 ? "x" : "y", i & 2 ? "x" : "y");
        e.namespace = i & 4 ? TEXT_LITERAL("x") : TEXT_LITERAL("");
        e.country = i & 8 ? TEXT_LITERAL("x") : TEXT_LITERAL("");
        assert_true(usage_add(from, &e, 1u << i));
    }
    usage_seal(from);
    for (int round = 0; round < 2; round++)
        assert_true(usage_merge(into, from, 1, 1, USAGE_WITHOUT_HOURS));
    assert_int_equal(usage_row_count(into), 17);
    for (size_t i = 1; i < 17; i++) {
        struct usage_row row = usage_row(into, i);
        unsigned bits = text_is(usage_string(into, row.service), "x") * 1u +
                        text_is(usage_string(into, row.user), "x") * 2u + (row.namespace != 0) * 4u +
                        (row.country != 0) * 8u;

        assert_int_equal(row.count, 2u << bits);
    }
    usage_free(from);
    usage_free(into);
}

/* Keys and strings are found by 32 bits of a hash: of so many some five pairs share them all. */
static void keys_with_one_hash_stay_apart(void **state)
{
    enum { MANY = 200000, FIELDS = 4 };

    (void)state;
    for (int field = 0; field < FIELDS; field++) {
        struct usage *from = usage_new(128 << 20), *into = usage_new(128 << 20);
        struct usage_event e = event(1, USAGE_SYNC, "s", "u");
        struct text *const fields[FIELDS] = {&e.namespace, &e.service, &e.user, &e.country};
        char name[32];

        for (int i = 0; i < MANY; i++) {
            snprintf(name, sizeof(name), "%08x%08x", (unsigned)i * 2654435761u,
                     (unsigned)i * (unsigned)i * 40503u);
            *fields[field] = text_of(name);
            assert_true(usage_add(from, &e, 1));
        }
        assert_int_equal(usage_row_count(from), MANY);
        usage_seal(from);
        for (int round = 0; round < 2; round++)
            assert_true(usage_merge(into, from, 1, 1, USAGE_WITHOUT_HOURS));
        assert_int_equal(usage_row_count(into), MANY);
        assert_in_range(usage_string_count(from), MANY + 2, MANY + 3); /* with "", and "s" or "u" or both */
        assert_int_equal(usage_string_count(into), usage_string_count(from));
        usage_free(from);
        usage_free(into);
    }
}

static void lines_of_many_hours_in_turn_are_all_counted(void **state)
{
    struct usage *usage = usage_new(1 << 20);
    uint64_t counts[9] = {0};

    (void)state;
    for (int i = 0; i < 900; i++) {
        struct usage_event e = event(i % 9, USAGE_SYNC, i % 2 ? "a" : "b", "u");

        assert_true(usage_add(usage, &e, 1));
    }
    for (size_t i = 0; i < usage_row_count(usage); i++)
        counts[usage_row(usage, i).hour] += usage_row(usage, i).count;
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(counts[i], 100);
    usage_free(usage);
}

/* Whatever the table says about searching: sums by text are what counts. */
static uint64_t sum_of(const struct usage *usage, const char *service, const char *user)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < usage_row_count(usage); i++) {
        struct usage_row row = usage_row(usage, i);

        if (text_is(usage_string(usage, row.service), service) &&
            text_is(usage_string(usage, row.user), user))
            sum += row.count;
    }
    return sum;
}

static void a_copy_can_be_added_to(void **state)
{
    struct usage *from = usage_new(1 << 20), *more = usage_new(1 << 20), *copy = usage_new(1 << 20);
    char user[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        struct usage_event e;

        snprintf(user, sizeof(user), "user-%d", i);
        e = event(0, USAGE_SYNC, "yolo", user);
        assert_true(usage_add(from, &e, (uint64_t)i));
        e.hour = 7;
        assert_true(usage_add(more, &e, 1));
    }
    usage_seal(from);
    assert_true(usage_copy(copy, from));
    assert_int_equal(usage_row_count(copy), 1000);
    assert_true(usage_merge(copy, more, 7, 7, USAGE_WITHOUT_HOURS));
    assert_true(usage_merge(copy, more, 7, 7, USAGE_WITHOUT_HOURS));
    assert_int_equal(usage_string_count(copy), usage_string_count(from)); /* one string has one number */
    assert_true(usage_row_count(copy) <= 2000);
    for (int i = 0; i < 1000; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        assert_int_equal(sum_of(copy, "yolo", user), i + 2);
    }
    usage_free(from);
    usage_free(more);
    usage_free(copy);
}

static void only_an_empty_usage_becomes_a_copy_and_within_its_cap(void **state)
{
    struct usage *from = usage_new(1 << 20), *full = usage_new(1 << 20), *small = usage_new(4096);
    struct usage_event e = event(0, USAGE_SYNC, "yolo", "a1");
    char user[32];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        e.user = text_of(user);
        assert_true(usage_add(from, &e, 1));
    }
    usage_seal(from);
    assert_true(usage_add(full, &e, 1));
    assert_false(usage_copy(full, from));
    assert_int_equal(usage_row_count(full), 1);
    assert_false(usage_copy(small, from));
    assert_int_equal(usage_row_count(small), 0);
    assert_true(usage_add(small, &e, 1));
    usage_free(from);
    usage_free(full);
    usage_free(small);
}

static void a_copy_outlives_what_it_was_made_of(void **state)
{
    struct usage *from = usage_new(1 << 20), *copy = usage_new(1 << 20);
    struct usage_event e = event(0, USAGE_SYNC, "yolo", "a1"), other = event(0, USAGE_SYNC, "yolo", "b2");

    (void)state;
    assert_true(usage_add(from, &e, 1));
    usage_seal(from);
    assert_true(usage_copy(copy, from));
    usage_free(from);
    assert_true(usage_add(copy, &e, 2));
    assert_true(usage_add(copy, &other, 4));
    assert_true(usage_add(copy, &other, 8));
    assert_int_equal(sum_of(copy, "yolo", "a1"), 3);
    assert_int_equal(sum_of(copy, "yolo", "b2"), 12);
    assert_int_equal(usage_row_count(copy), 3);
    usage_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_keys_add_up_and_others_stay_apart),
        cmocka_unit_test(number_zero_is_the_empty_string),
        cmocka_unit_test(bad_utf8_becomes_one_replacement_a_byte_and_one_string),
        cmocka_unit_test(strings_with_a_nul_are_told_apart),
        cmocka_unit_test(what_would_go_over_the_cap_is_refused_and_the_rest_stays_right),
        cmocka_unit_test(a_hundred_thousand_keys_keep_their_counts_in_any_order_of_hours),
        cmocka_unit_test(a_sealed_usage_is_merged_by_hours),
        cmocka_unit_test(a_merge_that_does_not_fit_says_so),
        cmocka_unit_test(a_sealed_usage_keeps_no_slack),
        cmocka_unit_test(sealed_hours_merge_into_the_sums_of_their_rows),
        cmocka_unit_test(keys_that_share_their_texts_in_other_places_stay_apart),
        cmocka_unit_test(keys_with_one_hash_stay_apart),
        cmocka_unit_test(lines_of_many_hours_in_turn_are_all_counted),
        cmocka_unit_test(lines_that_jump_between_two_hours_share_their_rows),
        cmocka_unit_test(a_copy_can_be_added_to),
        cmocka_unit_test(a_copy_outlives_what_it_was_made_of),
        cmocka_unit_test(only_an_empty_usage_becomes_a_copy_and_within_its_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
