/* The text format: escapes, whole numbers, histograms that add up. */
#include "unit.h"

#include "http/exposition.h"

static void families_and_samples(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    exposition_family(&out, "a_total", EXPOSITION_COUNTER, "Things \\ and\nmore \"things\".");
    exposition_number(&out, "a_total", NULL, UINT64_MAX);
    exposition_number(&out, "a_total", (const struct exposition_label[]){{"x", "plain"}, {NULL, NULL}}, 0);
    exposition_number(&out, "a_total",
                      (const struct exposition_label[]){{"x", "q\"b\\n\n"}, {"y", ""}, {NULL, NULL}}, 7);
    assert_string_equal(out.data, "# HELP a_total Things \\\\ and\\nmore \"things\".\n"
                                  "# TYPE a_total counter\n"
                                  "a_total 18446744073709551615\n"
                                  "a_total{x=\"plain\"} 0\n"
                                  "a_total{x=\"q\\\"b\\\\n\\n\",y=\"\"} 7\n");
    buf_free(&out);
}

static const struct {
    int64_t microseconds;
    const char *text;
    int line;
} seconds_rows[] = {
    {0, "s 0\n", __LINE__},
    {-5, "s 0\n", __LINE__},
    {1, "s 0.000001\n", __LINE__},
    {1000000, "s 1\n", __LINE__},
    {1500000, "s 1.5\n", __LINE__},
    {10000010, "s 10.00001\n", __LINE__},
    {1795892708823337, "s 1795892708.823337\n", __LINE__},
};

static void microseconds_are_written_as_seconds(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(seconds_rows); i++) {
        struct buf out;

        buf_init(&out, 100);
        exposition_seconds(&out, "s", NULL, seconds_rows[i].microseconds);
        if (strcmp(out.data, seconds_rows[i].text) != 0)
            fail_msg("line %d: %s", seconds_rows[i].line, out.data);
        buf_free(&out);
    }
}

static void a_histogram_is_cumulative(void **state)
{
    static const int64_t times[] = {-1, 0, 1000, 1001, 5000, 50000000, 50000001, 3600000000};
    static const char expected[] = "# HELP h_seconds H.\n"
                                   "# TYPE h_seconds histogram\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.001\"} 3\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.005\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.01\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.025\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.05\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.1\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.25\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"0.5\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"1\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"2.5\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"5\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"10\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"25\"} 5\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"50\"} 6\n"
                                   "h_seconds_bucket{r=\"/x\",le=\"+Inf\"} 8\n"
                                   "h_seconds_sum{r=\"/x\"} 3700.007002\n"
                                   "h_seconds_count{r=\"/x\"} 8\n";
    struct histogram histogram = {.sum = 0};
    struct buf out;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(times); i++)
        histogram_add(&histogram, times[i]);
    buf_init(&out, 10000);
    exposition_family(&out, "h_seconds", EXPOSITION_HISTOGRAM, "H.");
    exposition_histogram(&out, "h_seconds", (const struct exposition_label[]){{"r", "/x"}, {NULL, NULL}},
                         &histogram);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

static void a_buffer_that_is_full_says_so(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 20);
    exposition_number(&out, "a_name_of_ten", NULL, 1234567890);
    assert_true(out.full);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_and_samples),
        cmocka_unit_test(microseconds_are_written_as_seconds),
        cmocka_unit_test(a_histogram_is_cumulative),
        cmocka_unit_test(a_buffer_that_is_full_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
