/* The shared store: bounded, in order of use, expiring, and safe to be held while it forgets. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cache.h"
#include "util/memory.h"
#include "util/timestamp.h"

static atomic_int alive;

struct number {
    struct cache_value value;
    int number;
};

static void destroy(struct cache_value *value)
{
    atomic_fetch_sub(&alive, 1);
    free(value);
}

static void put(struct cache *cache, const char *key, int number, size_t bytes, int64_t born)
{
    struct number *value = memory_new(1, sizeof(*value));

    atomic_fetch_add(&alive, 1);
    cache_value_init(&value->value, bytes, destroy);
    value->number = number;
    cache_put(cache, text_of(key), &value->value, born);
    cache_value_release(&value->value);
}

/* The number behind a key; -1 when there is none. */
static int get(struct cache *cache, const char *key)
{
    struct cache_value *value = cache_get(cache, text_of(key));
    int number = value ? ((struct number *)value)->number : -1;

    cache_value_release(value);
    return number;
}

static void what_was_not_asked_for_goes_first(void **state)
{
    struct cache *cache = cache_new(300, 60000);

    (void)state;
    put(cache, "a", 1, 100, clock_ms());
    put(cache, "b", 2, 100, clock_ms());
    put(cache, "c", 3, 100, clock_ms());
    assert_int_equal(get(cache, "a"), 1);
    put(cache, "d", 4, 150, clock_ms());
    assert_int_equal(get(cache, "b"), -1);
    assert_int_equal(get(cache, "c"), -1);
    assert_int_equal(get(cache, "a"), 1);
    assert_int_equal(get(cache, "d"), 4);
    assert_int_equal(cache_bytes(cache), 250);
    cache_free(cache);
    assert_int_equal(alive, 0);
}

static void a_value_takes_the_place_of_its_key(void **state)
{
    struct cache *cache = cache_new(300, 60000);

    (void)state;
    put(cache, "a", 1, 100, clock_ms());
    put(cache, "a", 2, 200, clock_ms());
    assert_int_equal(get(cache, "a"), 2);
    assert_int_equal(cache_bytes(cache), 200);
    put(cache, "a", 3, 301,
        clock_ms()); /* too large to be kept; the older one is not right any more either */
    assert_int_equal(get(cache, "a"), -1);
    assert_int_equal(cache_bytes(cache), 0);
    cache_free(cache);
}

static void what_is_too_old_is_not_given(void **state)
{
    struct cache *cache = cache_new(300, 60000);

    (void)state;
    put(cache, "old", 1, 100, clock_ms() - 60001);
    put(cache, "young", 2, 100, clock_ms() - 1000);
    assert_int_equal(get(cache, "old"), -1);
    assert_int_equal(get(cache, "young"), 2);
    assert_int_equal(cache_count(cache), 1);
    cache_drop(cache, TEXT_LITERAL("young"));
    assert_int_equal(cache_count(cache), 0);
    cache_free(cache);
}

static void a_held_value_outlives_the_cache(void **state)
{
    struct cache *cache = cache_new(300, 60000);
    struct cache_value *held;

    (void)state;
    put(cache, "a", 7, 100, clock_ms());
    held = cache_get(cache, TEXT_LITERAL("a"));
    cache_free(cache);
    assert_int_equal(((struct number *)held)->number, 7);
    assert_int_equal(alive, 1);
    cache_value_release(held);
    assert_int_equal(alive, 0);
}

static void *use(void *context)
{
    struct cache *cache = context;
    char key[16];

    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof(key), "%d", i % 7);
        if (i % 3 == 0)
            put(cache, key, i % 7, 100, clock_ms());
        else if (get(cache, key) != -1 && get(cache, key) > 6)
            abort();
    }
    return NULL;
}

static void workers_share_it(void **state)
{
    struct cache *cache = cache_new(450, 60000);
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, use, cache), 0);
    for (size_t i = 0; i < COUNT_OF(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(cache_bytes(cache) <= 450);
    cache_free(cache);
    assert_int_equal(alive, 0);
}

static void put_hours(struct cache *cache, const char *key, size_t hours, size_t bytes)
{
    struct number *value = memory_new(1, sizeof(*value));

    atomic_fetch_add(&alive, 1);
    cache_value_init(&value->value, bytes, destroy);
    value->value.hours = hours;
    cache_put(cache, text_of(key), &value->value, clock_ms());
    cache_value_release(&value->value);
}

static void what_it_holds_can_be_seen(void **state)
{
    struct cache *cache = cache_new(300, 60000);
    struct cache_view view;

    (void)state;
    put_hours(cache, "a", 24, 100);
    put_hours(cache, "b", 0, 100);
    put_hours(cache, "c", 1, 100);
    put_hours(cache, "c", 2, 90); /* in place of it: nothing had to go */
    cache_look(cache, &view);
    assert_int_equal(view.hours, 26);
    assert_int_equal(view.entries, 3);
    assert_int_equal(view.bytes, 290);
    assert_int_equal(view.max_bytes, 300);
    assert_int_equal(view.evictions, 0);
    put_hours(cache, "d", 3, 110); /* the first goes */
    put_hours(cache, "e", 5, 301); /* is not kept */
    cache_drop(cache, TEXT_LITERAL("b"));
    cache_look(cache, &view);
    assert_int_equal(view.hours, 5);
    assert_int_equal(view.entries, 2);
    assert_int_equal(view.evictions, 1);
    cache_free(cache);
}

static void hits_are_what_its_users_say(void **state)
{
    struct cache *cache = cache_new(300, 60000);
    struct cache_view view;

    (void)state;
    put(cache, "a", 1, 100, clock_ms());
    get(cache, "a");
    get(cache, "b");
    cache_look(cache, &view);
    assert_int_equal(view.hits + view.misses, 0);
    cache_hit(cache);
    cache_hit(cache);
    cache_missed(cache);
    cache_hit(NULL);
    cache_missed(NULL);
    cache_look(cache, &view);
    assert_int_equal(view.hits, 2);
    assert_int_equal(view.misses, 1);
    cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_holds_can_be_seen),
        cmocka_unit_test(hits_are_what_its_users_say),
        cmocka_unit_test(what_was_not_asked_for_goes_first),
        cmocka_unit_test(a_value_takes_the_place_of_its_key),
        cmocka_unit_test(what_is_too_old_is_not_given),
        cmocka_unit_test(a_held_value_outlives_the_cache),
        cmocka_unit_test(workers_share_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
