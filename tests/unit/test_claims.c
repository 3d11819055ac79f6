/* Claims: one holder a key, and nobody who waits is forgotten. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "util/claims.h"

static void count(void *context)
{
    atomic_fetch_add((atomic_int *)context, 1);
}

static void a_key_has_one_holder(void **state)
{
    struct claims *claims = claims_new();
    struct claim *a = claims_take(claims, TEXT_LITERAL("a\0b")), *other;

    (void)state;
    assert_non_null(a);
    assert_null(claims_take(claims, TEXT_LITERAL("a\0b")));
    other = claims_take(claims, TEXT_LITERAL("a\0c"));
    assert_non_null(other);
    claims_release(claims, a);
    a = claims_take(claims, TEXT_LITERAL("a\0b"));
    assert_non_null(a);
    claims_release(claims, a);
    claims_release(claims, other);
    claims_free(claims);
}

static void letting_go_wakes_all_who_listen(void **state)
{
    struct claims *claims = claims_new();
    struct claim *claim = claims_take(claims, TEXT_LITERAL("a"));
    atomic_int woken = 0, other = 0;
    struct claims_listener one = {.wake = count, .context = &woken}, two = {.wake = count, .context = &other};

    (void)state;
    claims_listen(claims, &one);
    claims_listen(claims, &two);
    claims_release(claims, claim);
    assert_int_equal(woken, 1);
    assert_int_equal(other, 1);
    claims_unlisten(claims, &one);
    claim = claims_take(claims, TEXT_LITERAL("a"));
    claims_release(claims, claim);
    assert_int_equal(woken, 1);
    assert_int_equal(other, 2);
    claims_unlisten(claims, &two);
    claims_free(claims);
}

enum { THREADS = 8, ROUNDS = 2000, KEYS = 3 };

struct race {
    struct claims *claims;
    atomic_int holders[KEYS], most;
};

static void *take_and_release(void *context)
{
    struct race *race = context;

    for (size_t i = 0; i < ROUNDS; i++) {
        size_t key = i % KEYS;
        struct claim *claim = claims_take(race->claims, (struct text){&"abc"[key], 1});

        if (claim == NULL)
            continue;
        if (atomic_fetch_add(&race->holders[key], 1) > 0)
            atomic_store(&race->most, 2);
        atomic_fetch_sub(&race->holders[key], 1);
        claims_release(race->claims, claim);
    }
    return NULL;
}

static void threads_never_hold_the_same_key(void **state)
{
    struct race race = {.claims = claims_new()};
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_release, &race), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.most, 0);
    claims_free(race.claims);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_one_holder),
        cmocka_unit_test(letting_go_wakes_all_who_listen),
        cmocka_unit_test(threads_never_hold_the_same_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
