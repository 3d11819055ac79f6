/* Admission: never more at once than there are slots, first come first served, and a queue that is bounded.
 */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/admission.h"
#include "http/exchange.h"

struct client {
    struct exchange exchange;
    int descriptor;
};

static int descriptor(struct exchange *exchange)
{
    return ((struct client *)exchange)->descriptor;
}

static const struct exchange_ops ops = {.descriptor = descriptor};

static void a_part_of_the_threads_is_kept_free(void **state)
{
    static const struct {
        size_t threads, slots;
    } rows[] = {{1, 1}, {2, 1}, {3, 2}, {4, 3}, {7, 6}, {8, 6}, {16, 12}, {1024, 768}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(admission_slots(rows[i].threads), rows[i].slots);
}

static void slots_go_on_in_the_order_of_the_queue(void **state)
{
    struct admission *admission = admission_new(2);
    struct visit visits[5] = {0};

    (void)state;
    assert_int_equal(admission_enter(admission, &visits[0]), ADMISSION_SLOT);
    assert_int_equal(admission_enter(admission, &visits[1]), ADMISSION_SLOT);
    for (size_t i = 2; i < 4; i++)
        assert_int_equal(admission_enter(admission, &visits[i]), ADMISSION_QUEUED);
    assert_ptr_equal(admission_leave(admission, false), &visits[2]);
    /* Somebody new does not get what the queue waits for. */
    assert_int_equal(admission_enter(admission, &visits[4]), ADMISSION_QUEUED);
    assert_ptr_equal(admission_leave(admission, false), &visits[3]);
    assert_ptr_equal(admission_leave(admission, false), &visits[4]);
    assert_null(admission_leave(admission, false));
    assert_int_equal(admission_enter(admission, &visits[0]), ADMISSION_SLOT);
    assert_null(admission_leave(admission, false));
    assert_null(admission_leave(admission, false));
    admission_free(admission);
}

/* Whatever hangs on Prometheus: what needs no hours goes on. */
static void hours_never_have_all_slots(void **state)
{
    static const struct {
        size_t slots, hours;
    } rows[] = {{1, 1}, {2, 1}, {3, 2}, {12, 9}, {768, 576}};
    struct admission *admission = admission_new(3);
    struct visit hours[4], others[3] = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(admission_slots_for_hours(rows[i].slots), rows[i].hours);
    for (size_t i = 0; i < COUNT_OF(hours); i++) {
        hours[i] = (struct visit){.hours = true};
        assert_int_equal(admission_enter(admission, &hours[i]), i < 2 ? ADMISSION_SLOT : ADMISSION_QUEUED);
    }
    assert_int_equal(admission_enter(admission, &others[0]), ADMISSION_SLOT);
    assert_int_equal(admission_enter(admission, &others[1]), ADMISSION_QUEUED);
    assert_ptr_equal(admission_leave(admission, false), &others[1]);
    assert_null(admission_leave(admission, false));
    assert_int_equal(admission_enter(admission, &others[2]), ADMISSION_SLOT);
    /* The slot of one that asked for hours is for the first of all again. */
    assert_ptr_equal(admission_leave(admission, true), &hours[2]);
    assert_null(admission_leave(admission, false));
    assert_ptr_equal(admission_leave(admission, true), &hours[3]);
    assert_null(admission_leave(admission, true));
    assert_null(admission_leave(admission, true));
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_int_equal(admission_enter(admission, &others[i]), ADMISSION_SLOT);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        assert_null(admission_leave(admission, false));
    admission_free(admission);
}

static void the_queue_is_bounded(void **state)
{
    struct admission *admission = admission_new(1);
    struct visit visits[ADMISSION_QUEUE_MAX + 2] = {0};

    (void)state;
    assert_int_equal(admission_enter(admission, &visits[0]), ADMISSION_SLOT);
    for (size_t i = 1; i <= ADMISSION_QUEUE_MAX; i++)
        assert_int_equal(admission_enter(admission, &visits[i]), ADMISSION_QUEUED);
    assert_int_equal(admission_enter(admission, &visits[ADMISSION_QUEUE_MAX + 1]), ADMISSION_FULL);
    assert_ptr_equal(admission_leave(admission, false), &visits[1]);
    assert_int_equal(admission_enter(admission, &visits[ADMISSION_QUEUE_MAX + 1]), ADMISSION_QUEUED);
    for (size_t i = 2; i <= ADMISSION_QUEUE_MAX + 1; i++)
        assert_ptr_equal(admission_leave(admission, false), &visits[i]);
    assert_null(admission_leave(admission, false));
    admission_free(admission);
}

static void those_who_went_away_are_found(void **state)
{
    struct admission *admission = admission_new(1);
    struct client clients[4];
    struct visit visits[4] = {0};
    int theirs[4];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        int ends[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        clients[i] = (struct client){{.ops = &ops}, ends[0]};
        theirs[i] = ends[1];
        visits[i].exchange = &clients[i].exchange;
        assert_int_equal(admission_enter(admission, &visits[i]), i == 0 ? ADMISSION_SLOT : ADMISSION_QUEUED);
    }
    assert_null(admission_take_gone(admission));
    assert_int_equal(send(theirs[1], "x", 1, 0), 1); /* sends more, but is there */
    close(theirs[2]);
    assert_ptr_equal(admission_take_gone(admission), &visits[2]);
    assert_null(admission_take_gone(admission));
    assert_ptr_equal(admission_leave(admission, false), &visits[1]);
    assert_ptr_equal(admission_leave(admission, false), &visits[3]);
    assert_null(admission_leave(admission, false));
    for (size_t i = 0; i < COUNT_OF(clients); i++) {
        close(clients[i].descriptor);
        if (i != 2)
            close(theirs[i]);
    }
    admission_free(admission);
}

enum { THREADS = 8, SLOTS = 3, ROUNDS = 3000 };

struct race {
    struct admission *admission;
    atomic_int at_once, most, hours_at_once, hours_most, served;
};

struct asker {
    struct race *race;
    struct visit visits[ROUNDS];
};

static void count_one(atomic_int *at_once, atomic_int *most_of_all)
{
    int now = atomic_fetch_add(at_once, 1) + 1, most = atomic_load(most_of_all);

    while (now > most && !atomic_compare_exchange_weak(most_of_all, &most, now))
        continue;
}

static void use_slot(struct race *race, struct visit *visit)
{
    while (visit) {
        bool hours = visit->hours;

        count_one(&race->at_once, &race->most);
        if (hours)
            count_one(&race->hours_at_once, &race->hours_most);
        atomic_fetch_add(&race->served, 1);
        atomic_fetch_sub(&race->hours_at_once, hours);
        atomic_fetch_sub(&race->at_once, 1);
        visit = admission_leave(race->admission, hours);
    }
}

static void *ask(void *context)
{
    struct asker *asker = context;

    for (size_t i = 0; i < ROUNDS; i++) {
        enum admission_verdict verdict;

        asker->visits[i].hours = i % 2;
        do
            verdict = admission_enter(asker->race->admission, &asker->visits[i]);
        while (verdict == ADMISSION_FULL);
        if (verdict == ADMISSION_SLOT)
            use_slot(asker->race, &asker->visits[i]);
    }
    return NULL;
}

static void threads_serve_everybody_and_never_too_many_at_once(void **state)
{
    static struct asker askers[THREADS];
    struct race race = {.admission = admission_new(SLOTS)};
    pthread_t threads[THREADS];

    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        askers[i].race = &race;
        assert_int_equal(pthread_create(&threads[i], NULL, ask, &askers[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.served, THREADS * ROUNDS);
    assert_true(race.most <= SLOTS);
    assert_true(race.hours_most <= SLOTS - 1);
    admission_free(race.admission);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_part_of_the_threads_is_kept_free),
        cmocka_unit_test(slots_go_on_in_the_order_of_the_queue),
        cmocka_unit_test(hours_never_have_all_slots),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(those_who_went_away_are_found),
        cmocka_unit_test(threads_serve_everybody_and_never_too_many_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
