/* Which templates add up over time. */
#include "unit.h"

#include "sources/additive.h"
#include "util/text.h"

static const struct {
    const char *template;
    enum additive additive;
    int line;
} rows[] = {
    {"sum(increase(container_cpu_usage_seconds_total{namespace=~\"{{namespace}}\",service=~\"{{service}}\"}"
     "[{{range}}])) / 3600",
     ADDITIVE_INCREASE, __LINE__},
    {"increase(x[{{range}}])", ADDITIVE_INCREASE, __LINE__},
    {"sum_over_time(x{a=\"b\",}[{{range}}])", ADDITIVE_SAMPLES, __LINE__},
    {"sum_over_time({__name__=\"x\"}[ {{range}} ] offset -1h30m)", ADDITIVE_SAMPLES, __LINE__},
    {"SUM by (a, b,) (increase(x[{{range}}] Offset 5m))", ADDITIVE_INCREASE, __LINE__},
    {"sum(increase(x[{{range}}])) without (a)", ADDITIVE_INCREASE, __LINE__},
    {"2 * 3 * sum(increase(x[{{range}}]))/(60*60) * .5 / 1e3", ADDITIVE_INCREASE, __LINE__},
    {"((sum((increase(x[{{range}}]))))) or vector(0)", ADDITIVE_INCREASE, __LINE__},
    {"(sum(increase(x[{{range}}])) or vector(0)) / 3600", ADDITIVE_INCREASE, __LINE__},
    {"sum # of all\n(increase(x{a='}',b=`\\`,c=\"\\\"\"}[{{range}}]) )# end", ADDITIVE_INCREASE, __LINE__},
    {"increase(job:x:rate5m[{{range}}])", ADDITIVE_INCREASE, __LINE__},

    {"", ADDITIVE_NOT, __LINE__},
    {"3600", ADDITIVE_NOT, __LINE__},
    {"vector(1)", ADDITIVE_NOT, __LINE__},
    {"x[{{range}}]", ADDITIVE_NOT, __LINE__},
    {"sum(x)", ADDITIVE_NOT, __LINE__},
    {"sum(3)", ADDITIVE_NOT, __LINE__},
    {"sum(rate(x[{{range}}])) * 24", ADDITIVE_NOT, __LINE__},
    {"sum(avg_over_time(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"sum(max_over_time(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"sum(count_over_time(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"sum(INCREASE(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"max(increase(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"avg(increase(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"topk(1, increase(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"sum(clamp_min(increase(x[{{range}}]), 0))", ADDITIVE_NOT, __LINE__},
    {"quantile_over_time(0.5, x[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"sum_over_time(x[{{range}}:5m])", ADDITIVE_NOT, __LINE__},
    {"sum_over_time(rate(x[5m])[{{range}}:5m])", ADDITIVE_NOT, __LINE__},
    {"increase(x[1h])", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}] @ end())", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}] @ 1767225600)", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}] offset {{range}})", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) + increase(y[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) - 1", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) > 1", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) / increase(y[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) * y", ADDITIVE_NOT, __LINE__},
    {"3600 / increase(x[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) ^ 2", ADDITIVE_NOT, __LINE__},
    {"-increase(x[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) or vector(1)", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) or increase(y[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) and vector(0)", ADDITIVE_NOT, __LINE__},
    {"0 or vector(0)", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]", ADDITIVE_NOT, __LINE__},
    {"increase(x{a=\"b[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x{a=\"b\"", ADDITIVE_NOT, __LINE__},
    {"increase([{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x{{{range}}}[{{range}}])", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) / 3600s", ADDITIVE_NOT, __LINE__},
    {"increase(x[{{range}}]) / 1.2.3", ADDITIVE_NOT, __LINE__},
    {"sum by (a (increase(x[{{range}}]))", ADDITIVE_NOT, __LINE__},
    {"# increase(x[{{range}}])", ADDITIVE_NOT, __LINE__},
};

static void templates(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (additive_of(text_of(rows[i].template)) != rows[i].additive)
            fail_msg("row of line %d", rows[i].line);
}

static void deep_nesting_ends(void **state)
{
    static char deep[200001];

    (void)state;
    memset(deep, '(', sizeof(deep) - 1);
    assert_int_equal(additive_of(text_of(deep)), ADDITIVE_NOT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates),
        cmocka_unit_test(deep_nesting_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
