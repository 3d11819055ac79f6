/* Cache-Control: what names a directive, and what only looks like it. */
#include "unit.h"

#include "http/cache_control.h"

static void directives_are_found(void **state)
{
    static const struct {
        const char *header;
        bool has;
        int line;
    } rows[] = {
        {"", false, __LINE__},
        {NULL, false, __LINE__},
        {"no-cache", true, __LINE__},
        {"NO-Cache", true, __LINE__},
        {" \tno-cache\t ", true, __LINE__},
        {"max-age=0, no-cache", true, __LINE__},
        {"no-cache,no-store", true, __LINE__},
        {",, ,no-cache,", true, __LINE__},
        {"no-cache=x", true, __LINE__},
        {"no-cache=\"a, b\"", true, __LINE__},
        {"x=\"a, b\", no-cache", true, __LINE__},
        {"x=\"a\\\", b\", no-cache", true, __LINE__},
        {"x=\\\", no-cache", false, __LINE__}, /* quotes open; outside them "\" is nothing */
        {"no-store", false, __LINE__},
        {"max-age=0", false, __LINE__},
        {"no-cach", false, __LINE__},
        {"no-cache2", false, __LINE__},
        {"no-cache;", false, __LINE__},
        {"no cache", false, __LINE__},
        {"\"no-cache\"", false, __LINE__},
        {"x=no-cache", false, __LINE__},
        {"x=\"a, no-cache\"", false, __LINE__},
        {"x=\"a\\\", no-cache, b\"", false, __LINE__},
        {"x=\"a, no-cache", false, __LINE__},
        {"x=\"a, no-cache\\", false, __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (cache_control_has(text_of(rows[i].header), "no-cache") != rows[i].has)
            fail_msg("row of line %d", rows[i].line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(directives_are_found)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
