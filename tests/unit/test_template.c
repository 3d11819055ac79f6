/* Placeholders of query templates: every value stays in its string and in its regular expression. */
#include "unit.h"

#include <string.h>

#include "sources/prometheus.h"
#include "sources/template.h"
#include "util/arena.h"

#define ALL_EXACT     "the query template matches one service exactly (\"=\") and cannot ask for all"
#define NO_SERVICE    "the query template does not select by {{service}} and cannot be limited to a service"
#define NO_OWNER      "the query template does not select by {{namespace}} and cannot be limited to an owner"
#define SEVERAL_EXACT "the query template matches one service exactly (\"=\") and cannot ask for several"
#define NO_RAW        "a value cannot be written in the raw string (`...`) of the query template"
#define NO_END        "the query template has a string that does not end"
#define DEFAULT_QUERY                                                                                        \
    "sum(increase(container_cpu_usage_seconds_total{namespace=~\"{{namespace}}\",service=~\"{{service}}\"}"  \
    "[{{range}}])) / 3600"

struct row {
    const char *template;
    struct text service, namespace;
    const char *query; /* NULL: refused */
    const char *why;
    int line;
};

static void run(const struct row *rows, size_t count)
{
    struct arena *arena = arena_new();

    for (size_t i = 0; i < count; i++) {
        const struct hours_part part = {&rows[i].service, rows[i].service.length > 0, rows[i].namespace};
        const char *why = NULL;
        const char *filled = prometheus_fill(arena, rows[i].template, &part, "oscar.svc", 300000, &why);
        const char *expected = rows[i].query ? rows[i].query : rows[i].why, *got = filled ? filled : why;

        if ((filled != NULL) != (rows[i].query != NULL) || strcmp(got, expected) != 0)
            fail_msg("row of line %d: %s", rows[i].line, got);
        arena_reset(arena);
    }
    arena_free(arena);
}

#define ALL                                                                                                  \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define NONE                                                                                                 \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }
#define T(s)                                                                                                 \
    {                                                                                                        \
        (s), sizeof(s) - 1                                                                                   \
    }

static void default_template(void **state)
{
    static const struct row rows[] = {
        {DEFAULT_QUERY, ALL, NONE,
         "sum(increase(container_cpu_usage_seconds_total{namespace=~\"oscar\\\\.svc.*\",service=~\".*\"}["
         "300s])) / "
         "3600",
         NULL, __LINE__},
        {DEFAULT_QUERY, T("yolo.v8"), NONE,
         "sum(increase(container_cpu_usage_seconds_total{namespace=~\"oscar\\\\.svc.*\",service=~\"yolo\\\\."
         "v8\"}"
         "[300s])) / 3600",
         NULL, __LINE__},
        {DEFAULT_QUERY, ALL, T("oscar-svc-a.b"),
         "sum(increase(container_cpu_usage_seconds_total{namespace=~\"oscar-svc-a\\\\.b\",service=~\".*\"}["
         "300s])) / "
         "3600",
         NULL, __LINE__},
    };

    (void)state;
    run(rows, COUNT_OF(rows));
}

static void operators_decide_how_a_name_is_escaped(void **state)
{
    static const struct row rows[] = {
        {"a{s=\"{{service}}\"}", T("y.v8"), NONE, "a{s=\"y.v8\"}", NULL, __LINE__},
        {"a{t=\"{{service}}\",s!=\"{{service}}\"}", T("y.v8"), NONE, "a{t=\"y.v8\",s!=\"y.v8\"}", NULL,
         __LINE__},
        {"a{s=~\"{{service}}\"}", T("y.v8"), NONE, "a{s=~\"y\\\\.v8\"}", NULL, __LINE__},
        {"a{t=\"{{service}}\",s!~\"{{service}}\"}", T("y.v8"), NONE, "a{t=\"y.v8\",s!~\"y\\\\.v8\"}", NULL,
         __LINE__},
        {"a{s=~'{{service}}'}", T("y.v8"), NONE, "a{s=~'y\\\\.v8'}", NULL, __LINE__},
        {"a{s=~`{{service}}`}", T("y.v8"), NONE, "a{s=~`y\\.v8`}", NULL, __LINE__},
        {"a{s=`{{service}}`}", T("y.v8"), NONE, "a{s=`y.v8`}", NULL, __LINE__},
        {"a{s =~ # why\n \"^({{service}}|x)$\"}", T("y.v8"), NONE, "a{s =~ # why\n \"^(y\\\\.v8|x)$\"}", NULL,
         __LINE__},
        {"a{s=~\"{{service}}-{{service}}\"}", T("y"), NONE, "a{s=~\"y-y\"}", NULL, __LINE__},
        {"a{s=\"{{service}}\",t=~\"{{service}}\"}", T("y.v8"), NONE, "a{s=\"y.v8\",t=~\"y\\\\.v8\"}", NULL,
         __LINE__},
        {"a{s=~\"{{service}}\"}", ALL, NONE, "a{s=~\".*\"}", NULL, __LINE__},
        {"a{s=\"{{service}}\"}", ALL, NONE, NULL, ALL_EXACT, __LINE__},
        {"a{s!=\"{{service}}\"}", ALL, NONE, NULL, ALL_EXACT, __LINE__},
        {"a{n=~\"{{namespace}}\"}", ALL, NONE, "a{n=~\"oscar\\\\.svc.*\"}", NULL, __LINE__},
        {"a{n=\"{{namespace}}\"}", ALL, NONE, "a{n=\"oscar.svc\"}", NULL, __LINE__},
        {"a{n=~\"{{namespace}}\"}", ALL, T("n.1"), "a{n=~\"n\\\\.1\"}", NULL, __LINE__},
        {"a{n=\"{{namespace}}\"}", ALL, T("n.1"), "a{n=\"n.1\"}", NULL, __LINE__},
        {"a{n=~\"{{services_namespace}}(-.*)?\"}", ALL, NONE, "a{n=~\"oscar\\\\.svc(-.*)?\"}", NULL,
         __LINE__},
        {"a{n=\"{{services_namespace}}\"}", ALL, NONE, "a{n=\"oscar.svc\"}", NULL, __LINE__},
        {"a{n=\"{{services_namespace}}\"}", ALL, T("n.1"), NULL, NO_OWNER, __LINE__},
        {"# {{namespace}}\na", ALL, T("n.1"), NULL, NO_OWNER, __LINE__},
        {"a # it's {{service}}\n [{{range}}]", ALL, NONE, "a # it's {{service}}\n [300s]", NULL, __LINE__},
        {"a[{{range}}] offset {{range}}", ALL, NONE, "a[300s] offset 300s", NULL, __LINE__},
        {"f(a, \"{{range}}\")", ALL, NONE, "f(a, \"300s\")", NULL, __LINE__},
        {"a{s=\"{{other}}\"}", ALL, NONE, "a{s=\"{{other}}\"}", NULL, __LINE__},
        {"vector(2.5)", ALL, NONE, "vector(2.5)", NULL, __LINE__},
        {"vector(2.5)", T("y"), NONE, NULL, NO_SERVICE, __LINE__},
        {"a{s!=\"{{service}}\"}", T("y"), NONE, NULL, NO_SERVICE, __LINE__},
        {"a{s!~\"{{service}}\"}", T("y"), NONE, NULL, NO_SERVICE, __LINE__},
        {"a{n!=\"{{namespace}}\",s=\"{{service}}\"}", T("y"), T("n"), NULL, NO_OWNER, __LINE__},
        {"a{s=\"yolo\"} # {{service}}", T("y"), NONE, NULL, NO_SERVICE, __LINE__},
        {"a{n=\"{{namespace}}\"}", T("y"), T("n"), NULL, NO_SERVICE, __LINE__},
        {"", ALL, NONE, "", NULL, __LINE__},
    };

    (void)state;
    run(rows, COUNT_OF(rows));
}

static void no_value_leaves_its_string(void **state)
{
    static const struct row rows[] = {
        {"a{s=\"{{service}}\"}", T("x\"}) or b{c='`\\"), NONE, "a{s=\"x\\\"}) or b{c='`\\\\\"}", NULL,
         __LINE__},
        {"a{s='{{service}}'}", T("x'} \"`\\"), NONE, "a{s='x\\'} \"`\\\\'}", NULL, __LINE__},
        {"a{s=`{{service}}`}", T("x\"'\\\n"), NONE, "a{s=`x\"'\\\n`}", NULL, __LINE__},
        {"a{s=`{{service}}`}", T("x`"), NONE, NULL, NO_RAW, __LINE__},
        {"a{s=`{{service}}`}", T("x\0"), NONE, NULL, NO_RAW, __LINE__},
        {"a{s=`{{service}}`}", T("\xff"), NONE, NULL, NO_RAW, __LINE__},
        {"a{s=\"{{service}}\"}", T("\n\r\t\0\x7f"), NONE, "a{s=\"\\x0a\\x0d\\x09\\x00\\x7f\"}", NULL,
         __LINE__},
        {"a{s=\"{{service}}\"}", T("\xc3\xa9\xff\xc3"), NONE, "a{s=\"\xc3\xa9\\xff\\xc3\"}", NULL, __LINE__},
        {"a{s=~\"{{service}}\"}", T(".*|\"(\\"), NONE, "a{s=~\"\\\\.\\\\*\\\\|\\\"\\\\(\\\\\\\\\"}", NULL,
         __LINE__},
        {"a{s=~`{{service}}`}", T(".+?()|[]{}^$\\"), NONE, "a{s=~`\\.\\+\\?\\(\\)\\|\\[\\]\\{\\}\\^\\$\\\\`}",
         NULL, __LINE__},
        {"a{s=\"{{service}}\",n=\"{{range}}\"}", T("{{range}}"), NONE, "a{s=\"{{range}}\",n=\"300s\"}", NULL,
         __LINE__},
        {"a{n=~\"{{namespace}}\"}", ALL, T("a|b\""), "a{n=~\"a\\\\|b\\\"\"}", NULL, __LINE__},
        {"a{s=\"\\\"{{service}}\"}", T("x"), NONE, "a{s=\"\\\"x\"}", NULL, __LINE__},
        {"a{s=\"\\\\{{service}}\"}", T("x"), NONE, "a{s=\"\\\\x\"}", NULL, __LINE__},
        {"a{s=\"\\{{service}}\"}", T("x"), NONE, NULL, NO_SERVICE, __LINE__},
    };

    (void)state;
    run(rows, COUNT_OF(rows));
}

static void templates_that_cannot_be_used(void **state)
{
    static const char outside[] = "the query template has {{service}} outside a string";
    static const char without[] =
        "the query template has {{service}} in a string without =, !=, =~ or !~ before it";
    static const struct row rows[] = {
        {"{{service}}", T("x"), NONE, NULL, outside, __LINE__},
        {"a{s={{service}}}", T("x"), NONE, NULL, outside, __LINE__},
        {"a{s=\"x\"{{service}}}", T("x"), NONE, NULL, outside, __LINE__},
        {"a_{{namespace}}", T("x"), NONE, NULL, "the query template has {{namespace}} outside a string",
         __LINE__},
        {"f(a, \"{{service}}\")", T("x"), NONE, NULL, without, __LINE__},
        {"a == \"{{service}}\"", T("x"), NONE, NULL, without, __LINE__},
        {"a >= \"{{service}}\"", T("x"), NONE, NULL, without, __LINE__},
        {"a{s=\"x\" \"{{service}}\"}", T("x"), NONE, NULL, without, __LINE__},
        {"a{s= ~\"{{service}}\"}", T("x"), NONE, NULL, without, __LINE__},
        {"a{s=\"{{service}}", T("x"), NONE, NULL, NO_END, __LINE__},
        {"a{s=\"x\\\"", T("x"), NONE, NULL, NO_END, __LINE__},
        {"a{s=\"x\\", T("x"), NONE, NULL, NO_END, __LINE__},
        {"a{s=\"x\n\"}", T("x"), NONE, NULL, NO_END, __LINE__},
        {"a{s=`x", T("x"), NONE, NULL, NO_END, __LINE__},
        {"'", T("x"), NONE, NULL, NO_END, __LINE__},
    };

    (void)state;
    run(rows, COUNT_OF(rows));
}

/* What a template makes of the services a.b, c and the worst name that there could be. */
static void several_services_are_an_alternation(void **state)
{
    static const struct {
        const char *template, *query, *why;
        int line;
    } rows[] = {
        {"a{s=~\"{{service}}\"}", "a{s=~\"a\\\\.b|c|x\\\"\\\\|\\\\)\\\\.\\\\*\\\\\\\\\"}", NULL, __LINE__},
        {"a{t=~'{{service}}',s!~'{{service}}'}",
         "a{t=~'a\\\\.b|c|x\"\\\\|\\\\)\\\\.\\\\*\\\\\\\\',s!~'a\\\\.b|c|x\"\\\\|\\\\)\\\\.\\\\*\\\\\\\\'}",
         NULL, __LINE__},
        {"a{s=~`{{service}}`}", "a{s=~`a\\.b|c|x\"\\|\\)\\.\\*\\\\`}", NULL, __LINE__},
        {"a{s=~`p-{{service}}`}", "a{s=~`p-(?:a\\.b|c|x\"\\|\\)\\.\\*\\\\)`}", NULL, __LINE__},
        {"a{s=~`{{service}}.*`}", "a{s=~`(?:a\\.b|c|x\"\\|\\)\\.\\*\\\\).*`}", NULL, __LINE__},
        {"a{s=\"{{service}}\"}", NULL, SEVERAL_EXACT, __LINE__},
        {"a{s!=\"{{service}}\"}", NULL, SEVERAL_EXACT, __LINE__},
        {"a{s=~\"{{service}}\",t=\"{{service}}\"}", NULL, SEVERAL_EXACT, __LINE__},
        {"a", NULL, NO_SERVICE, __LINE__},
        {"a{{service}}", NULL, "the query template has {{service}} outside a string", __LINE__},
    };
    static const struct text services[] = {
        {"a.b", 3},
        {"c", 1},
        {"x\"|).*\\", 7},
    };
    static const struct hours_part part = {.services = services, .service_count = COUNT_OF(services)};
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const char *why = NULL;
        const char *filled = prometheus_fill(arena, rows[i].template, &part, "oscar", 1000, &why);
        const char *got = filled ? filled : why, *expected = rows[i].query ? rows[i].query : rows[i].why;

        if ((filled != NULL) != (rows[i].query != NULL) || strcmp(got, expected) != 0)
            fail_msg("row of line %d: %s", rows[i].line, got);
    }
    arena_free(arena);
}

static void ranges_are_seconds_where_they_are_whole(void **state)
{
    static const struct hours_part all = {.service_count = 0};
    struct arena *arena = arena_new();
    const char *why;

    (void)state;
    assert_string_equal(prometheus_fill(arena, "[{{range}}]", &all, "o", 86400000, &why), "[86400s]");
    assert_string_equal(prometheus_fill(arena, "[{{range}}]", &all, "o", 43199999, &why), "[43199999ms]");
    arena_free(arena);
}

static void line_filters_of_logql_are_operators_too(void **state)
{
    struct arena *arena = arena_new();
    struct template_value values[] = {{.name = "{{service}}", .text = TEXT_LITERAL("a.b")}};
    const char *why;

    (void)state;
    assert_string_equal(
        template_fill(arena, "{x=\"1\"} |~ \"/{{service}}/\" |= `{{service}}`", values, 1, &why),
        "{x=\"1\"} |~ \"/a\\\\.b/\" |= `a.b`");
    assert_true(values[0].used);
    assert_null(template_fill(arena, "{x=\"1\"} |> \"{{service}}\"", values, 1, &why));
    arena_free(arena);
}

static void a_query_is_capped(void **state)
{
    static char template[TEMPLATE_MAX_BYTES + 2];
    static const char piece[] = "+a";
    struct arena *arena = arena_new();
    const char *why = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(template) - 1; i++)
        template[i] = piece[i % 2];
    assert_null(template_fill(arena, template, NULL, 0, &why));
    assert_string_equal(why, "the query is too long");
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_template),
        cmocka_unit_test(operators_decide_how_a_name_is_escaped),
        cmocka_unit_test(no_value_leaves_its_string),
        cmocka_unit_test(templates_that_cannot_be_used),
        cmocka_unit_test(several_services_are_an_alternation),
        cmocka_unit_test(ranges_are_seconds_where_they_are_whole),
        cmocka_unit_test(line_filters_of_logql_are_operators_too),
        cmocka_unit_test(a_query_is_capped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
