/* Where windows end: simulated over data whose entries are known. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "sources/loki_plan.h"

enum { HOURS = 720, STRETCHES = 256 };

/* Entries of each hour, spread evenly over it; an hour may have a burst in one of its nanoseconds. */
struct data {
    double hourly[HOURS];
    int64_t burst_at;
    double burst;
};

static double between(const struct data *data, int64_t from, int64_t to)
{
    double count = 0;

    for (int64_t at = from; at < to;) {
        int64_t next = (at / LOKI_HOUR + 1) * LOKI_HOUR;

        if (next > to)
            next = to;
        count += data->hourly[at / LOKI_HOUR] * ((double)(next - at) / (double)LOKI_HOUR);
        at = next;
    }
    if (data->burst_at >= from && data->burst_at < to)
        count += data->burst;
    return count;
}

/* The time of the last of the first `limit` entries. */
static int64_t latest(const struct data *data, int64_t from, int64_t to, double limit)
{
    int64_t low = from, high = to;

    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;

        if (between(data, from, middle) < limit)
            low = middle;
        else
            high = middle;
    }
    return low;
}

struct outcome {
    size_t requests, overflows;
    double counted, thrown, cut;
};

/* Reads everything as the source does, one window after the other; stretches are claimed for `windows`. */
static struct outcome simulate(const struct data *data, struct loki_plan *plan, unsigned windows)
{
    struct loki_stretch stretches[STRETCHES];
    struct outcome outcome = {0};
    size_t count = 0;
    int64_t claimed = 0;

    while (count > 0 || claimed < HOURS * LOKI_HOUR) {
        struct loki_stretch *stretch;
        int64_t from, to;
        double entries;

        if (count == 0) {
            stretches[count++] = (struct loki_stretch){claimed, claimed + LOKI_HOUR, INT64_MAX};
            while (stretches[0].to < HOURS * LOKI_HOUR && loki_plan_has_room(plan, &stretches[0], windows))
                stretches[0].to += LOKI_HOUR;
            claimed = stretches[0].to;
        }
        stretch = &stretches[count - 1];
        from = stretch->from;
        to = loki_plan_end(plan, stretch);
        assert_true(to > from && to <= stretch->to);
        assert_true(to - from <= plan->length);
        entries = between(data, from, to);
        assert_true(++outcome.requests < 100000);
        if (entries >= (double)plan->limit && to - from > 1) {
            outcome.overflows++;
            outcome.thrown += (double)plan->limit;
            stretch->from = to;
            assert_true(count < STRETCHES);
            stretches[count] =
                loki_plan_overflow(plan, stretch, from, to, latest(data, from, to, (double)plan->limit));
            assert_true(stretches[count].longest <= (to - from) / 2);
            count++;
        } else {
            if (entries >= (double)plan->limit)
                outcome.cut += entries - (double)plan->limit;
            outcome.counted += entries;
            loki_plan_learn(plan, stretch, from, to, (size_t)entries);
            stretch->from = to;
        }
        while (count > 0 && stretches[count - 1].from == stretches[count - 1].to)
            count--;
    }
    return outcome;
}

/* Days and nights at 10:1, and one hour at 20 times the mean. */
static void make_month(struct data *data, double entries)
{
    double sum = 0, busy;

    *data = (struct data){.burst_at = -1};
    for (int i = 0; i < HOURS; i++)
        sum += data->hourly[i] = i == 400 ? 0 : i % 24 >= 8 && i % 24 < 20 ? 10 : 1;
    busy = sum * 20 / (HOURS - 20);
    data->hourly[400] = busy;
    for (int i = 0; i < HOURS; i++)
        data->hourly[i] *= entries / (sum + busy);
}

static void init(struct loki_plan *plan, float *hints, const struct data *data, float factor)
{
    loki_plan_init(plan, LOKI_LIMIT, LOKI_LENGTH, 0, HOURS, hints);
    for (int i = 0; data && i < HOURS; i++)
        loki_plan_hint(plan, i, (float)data->hourly[i] * factor);
}

static bool near(double a, double b)
{
    return a > b - 1 && a < b + 1;
}

static void a_month_by_good_hints(void **state)
{
    float hints[HOURS];
    struct loki_plan plan;
    struct outcome outcome;
    struct data data;

    (void)state;
    make_month(&data, 1000000);
    for (unsigned windows = 1; windows <= 8; windows++) {
        init(&plan, hints, &data, 1);
        outcome = simulate(&data, &plan, windows);
        assert_true(near(outcome.counted, 1000000));
        if ((double)outcome.requests > 2.2 * 1000000 / LOKI_LIMIT || outcome.thrown > 0)
            fail_msg("%u windows: %zu requests, %g thrown away", windows, outcome.requests, outcome.thrown);
    }
}

/* An index that speaks of more or fewer entries than come: a filter in the query, rough chunks. */
static void hints_that_are_wrong_throughout(void **state)
{
    static const float factors[] = {0.01f, 0.1f, 0.3f, 0.5f, 0.8f, 1.2f, 2, 10, 1000};
    float hints[HOURS];
    struct loki_plan plan;
    struct outcome outcome;
    struct data data;

    (void)state;
    make_month(&data, 1000000);
    for (size_t i = 0; i < COUNT_OF(factors); i++) {
        init(&plan, hints, &data, factors[i]);
        outcome = simulate(&data, &plan, 4);
        assert_true(near(outcome.counted, 1000000));
        if ((double)outcome.requests > 2.2 * 1000000 / LOKI_LIMIT || outcome.thrown > 100000)
            fail_msg("factor %g: %zu requests, %g thrown away", (double)factors[i], outcome.requests,
                     outcome.thrown);
    }
}

/* An index that is broken, or a filter that hardly lets anything through: windows find their own way. */
static void hints_beyond_all_measure(void **state)
{
    static const float factors[] = {1e5f, 1e9f, 1e18f, 1e30f};
    float hints[HOURS];
    struct loki_plan plan;
    struct outcome outcome;
    struct data data;

    (void)state;
    make_month(&data, 1000000);
    for (size_t i = 0; i < COUNT_OF(factors); i++) {
        init(&plan, hints, &data, factors[i]);
        outcome = simulate(&data, &plan, 4);
        assert_true(near(outcome.counted, 1000000));
        if (outcome.requests > 1000)
            fail_msg("factor %g: %zu requests", (double)factors[i], outcome.requests);
    }
}

/* Chunks of two hours: the hint of an hour is what is in both. */
static void hints_that_are_smeared(void **state)
{
    float hints[HOURS];
    struct loki_plan plan;
    struct outcome outcome;
    struct data data;

    (void)state;
    make_month(&data, 1000000);
    init(&plan, hints, NULL, 1);
    for (int i = 0; i < HOURS; i++)
        loki_plan_hint(&plan, i, (float)(data.hourly[i] + data.hourly[i ^ 1]) / 2);
    outcome = simulate(&data, &plan, 4);
    assert_true(near(outcome.counted, 1000000));
    if ((double)outcome.requests > 2.2 * 1000000 / LOKI_LIMIT || outcome.thrown > 100000)
        fail_msg("%zu requests, %g thrown away", outcome.requests, outcome.thrown);
}

static void without_hints_windows_grow(void **state)
{
    float hints[HOURS];
    struct loki_plan plan;
    struct outcome outcome;
    struct data data;

    (void)state;
    make_month(&data, 1000000);
    init(&plan, hints, NULL, 1);
    outcome = simulate(&data, &plan, 4);
    assert_true(near(outcome.counted, 1000000));
    if ((double)outcome.requests > 3 * 1000000 / LOKI_LIMIT || outcome.thrown > 250000)
        fail_msg("%zu requests, %g thrown away", outcome.requests, outcome.thrown);

    /* An hour, four, sixteen, ... up to the longest. */
    data = (struct data){.burst_at = -1};
    init(&plan, hints, NULL, 1);
    outcome = simulate(&data, &plan, 1);
    assert_int_equal(outcome.requests, 8); /* 1 + 4 + 16 + 64 + 168 + 168 + 168 + 131 hours */
}

/* One nanosecond in a quiet month has as many as the server gives at once, or more. */
static void a_burst(void **state)
{
    static const double sizes[] = {4000, 4999, 5000, 5001, 50000};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        for (int hinted = 0; hinted < 3; hinted++) {
            float hints[HOURS];
            struct loki_plan plan;
            struct outcome outcome;
            struct data data = {.burst_at = 300 * LOKI_HOUR + 1234567890, .burst = sizes[i]};

            for (int hour = 0; hour < HOURS; hour++)
                data.hourly[hour] = 2;
            init(&plan, hints, hinted ? &data : NULL, 1);
            if (hinted == 2)
                loki_plan_hint(&plan, 300, (float)sizes[i]);
            outcome = simulate(&data, &plan, 4);
            assert_true(near(outcome.counted, 2 * HOURS + sizes[i]));
            assert_true(near(outcome.cut, sizes[i] > 5000 ? sizes[i] - 5000 : 0));
            if (outcome.requests > 60)
                fail_msg("%g entries, hints %d: %zu requests", sizes[i], hinted, outcome.requests);
        }
}

static void short_queries_and_small_limits(void **state)
{
    float hints[HOURS];
    struct loki_plan plan;
    struct outcome outcome;
    struct data data;

    (void)state;
    make_month(&data, 10000);
    init(&plan, hints, &data, 1);
    plan.limit = 1;
    plan.length = 61 * LOKI_SECOND;
    outcome = simulate(&data, &plan, 4);
    assert_true(near(outcome.counted, 10000));
}

static void a_server_in_trouble_is_spared_for_a_while(void **state)
{
    const struct loki_stretch month = {0, HOURS * LOKI_HOUR, INT64_MAX};
    float hints[HOURS];
    struct loki_stretch stretch = month;
    struct loki_plan plan;
    struct data data = {.burst_at = -1};
    int64_t longest;

    (void)state;
    init(&plan, hints, &data, 1);
    longest = loki_plan_end(&plan, &month);
    assert_int_equal(longest, LOKI_WINDOW_MAX);
    loki_plan_spare(&plan, 0, 8 * LOKI_HOUR);
    assert_int_equal(loki_plan_end(&plan, &month), 2 * LOKI_HOUR);
    loki_plan_learn(&plan, &stretch, 0, 2 * LOKI_HOUR, 0);
    assert_int_equal(loki_plan_end(&plan, &month),
                     4 * LOKI_HOUR); /* not more than half of what was too much */
    for (int i = 0; i < 200; i++)
        loki_plan_learn(&plan, &stretch, 0, loki_plan_end(&plan, &month), 0);
    assert_int_equal(loki_plan_end(&plan, &month), longest);
    for (int i = 0; i < 20; i++)
        loki_plan_spare(&plan, 0, loki_plan_end(&plan, &month));
    assert_int_equal(loki_plan_end(&plan, &month), 60 * LOKI_SECOND); /* shorter is no less work */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_month_by_good_hints),
        cmocka_unit_test(hints_that_are_wrong_throughout),
        cmocka_unit_test(hints_beyond_all_measure),
        cmocka_unit_test(hints_that_are_smeared),
        cmocka_unit_test(without_hints_windows_grow),
        cmocka_unit_test(a_burst),
        cmocka_unit_test(short_queries_and_small_limits),
        cmocka_unit_test(a_server_in_trouble_is_spared_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
