/* Numbers and base64: spellings. The expected numbers are those of JavaScript's Number.prototype.toString,
 * but for small ones, which have no exponent here. */
#include "unit.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "util/base64.h"
#include "util/decimal.h"

static void hours_are_spelled_shortest(void **state)
{
    static const struct {
        double value;
        const char *text;
        int line;
    } rows[] = {
        {0, "0", __LINE__},
        {-0.0, "0", __LINE__},
        {2.5, "2.5", __LINE__},
        {0.1, "0.1", __LINE__},
        {0.1 + 0.2, "0.30000000000000004", __LINE__},
        {1, "1", __LINE__},
        {100, "100", __LINE__},
        {123456.789, "123456.789", __LINE__},
        {1.0 / 3, "0.3333333333333333", __LINE__},
        {-2.5, "-2.5", __LINE__},
        {0.05, "0.05", __LINE__},
        {1e-7, "0.0000001", __LINE__},
        {1.5e-7, "0.00000015", __LINE__},
        {1e20, "100000000000000000000", __LINE__},
        {123456789012345680000.0, "123456789012345680000", __LINE__},
        {1e21, "1e+21", __LINE__},
        {1.5e300, "1.5e+300", __LINE__},
        {9007199254740993.0, "9007199254740992", __LINE__},
        {4.35, "4.35", __LINE__},
        {99.99999999999999, "99.99999999999999", __LINE__},
    };
    char text[DECIMAL_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        decimal_shortest(rows[i].value, text);
        if (strcmp(text, rows[i].text) != 0)
            fail_msg("row of line %d: %s", rows[i].line, text);
    }
}

static void every_spelling_reads_back(void **state)
{
    const double values[] = {DBL_MAX, DBL_MIN, 5e-324, DBL_EPSILON, 1e22, 3.141592653589793, 0.1 + 0.7};
    char text[DECIMAL_SIZE];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        double back;

        decimal_shortest(values[i], text);
        back = strtod(text, NULL);
        if (memcmp(&back, &values[i], sizeof(back)) != 0)
            fail_msg("%s", text);
    }
}

static void base64_is_strict(void **state)
{
    static const struct {
        const char *text, *plain;
        int line;
    } rows[] = {
        {"", "", __LINE__},           {"Zg==", "f", __LINE__},        {"Zm8=", "fo", __LINE__},
        {"Zm9v", "foo", __LINE__},    {"Zm9vYg==", "foob", __LINE__}, {"Zg", NULL, __LINE__},
        {"Zg=", NULL, __LINE__},      {"Zh==", NULL, __LINE__},       {"Zm9=", NULL, __LINE__},
        {"Zg==Zg==", NULL, __LINE__}, {"Z===", NULL, __LINE__},       {"====", NULL, __LINE__},
        {"Zm 9v", NULL, __LINE__},    {"Zm9v\n", NULL, __LINE__},     {"Zm-_", NULL, __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out;
        bool valid;

        buf_init(&out, 100);
        valid = base64_decode(text_of(rows[i].text), &out);
        if (valid != (rows[i].plain != NULL) || (valid && !text_is(buf_text(&out), rows[i].plain)))
            fail_msg("row of line %d", rows[i].line);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hours_are_spelled_shortest),
        cmocka_unit_test(every_spelling_reads_back),
        cmocka_unit_test(base64_is_strict),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
