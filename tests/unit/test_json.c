/* JSON from strangers: what json-c lets pass and we do not. */
#include "unit.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "util/json.h"

static void grammar(void **state)
{
    static const struct {
        const char *text;
        bool valid;
        int line;
    } rows[] = {
        {"{}", true, __LINE__},
        {" {\"a\" : [1, -2.5e+3, 0, true, false, null, \"x\\u00e9\\n\"] }\r\n\t", true, __LINE__},
        {"[]", true, __LINE__},
        {"\"\\ud83d\\ude00\"", true, __LINE__},
        {"{\"a\":\"\\u0000\"}", true, __LINE__},
        {"{\"a\\u0000b\":1}", false, __LINE__},
        {"", false, __LINE__},
        {" ", false, __LINE__},
        {"null", false, __LINE__},
        {"{'a':1}", false, __LINE__},
        {"{\"a\":'b'}", false, __LINE__},
        {"{a:1}", false, __LINE__},
        {"[NaN]", false, __LINE__},
        {"[Infinity]", false, __LINE__},
        {"[-Infinity]", false, __LINE__},
        {"[01]", false, __LINE__},
        {"[-]", false, __LINE__},
        {"[+1]", false, __LINE__},
        {"[1.]", false, __LINE__},
        {"[.5]", false, __LINE__},
        {"[1e]", false, __LINE__},
        {"[True]", false, __LINE__},
        {"[1,]", false, __LINE__},
        {"[,1]", false, __LINE__},
        {"{\"a\":1,}", false, __LINE__},
        {"{\"a\"}", false, __LINE__},
        {"{\"a\":}", false, __LINE__},
        {"{\"a\":1", false, __LINE__},
        {"{\"a\":\"x", false, __LINE__},
        {"{\"a\":\"x\\", false, __LINE__},
        {"[\"\\u12\"]", false, __LINE__},
        {"[\"\\x41\"]", false, __LINE__},
        {"[\"a\nb\"]", false, __LINE__},
        {"[1]x", false, __LINE__},
        {"[1][2]", false, __LINE__},
        {"/* no */ {}", false, __LINE__},
        {"[\"\xff\"]", false, __LINE__},
        {"\xef\xbb\xbf{}", false, __LINE__},
        {"<html>", false, __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct json_object *value = json_read(text_of(rows[i].text));

        if ((value != NULL) != rows[i].valid)
            fail_msg("row of line %d: %s", rows[i].line, rows[i].text);
        json_object_put(value);
    }
}

static void depth_is_bounded(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 3];
    struct json_object *value;

    (void)state;
    memset(text, '[', sizeof(text));
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    value = json_read((struct text){text, 2 * JSON_DEPTH_MAX});
    assert_non_null(value);
    json_object_put(value);
    memset(text + JSON_DEPTH_MAX, '[', 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    assert_null(json_read((struct text){text, 2 * JSON_DEPTH_MAX + 2}));
    memset(text, '[', sizeof(text));
    assert_null(json_read((struct text){text, sizeof(text)}));
}

/* A megabyte of small objects would take hundreds. */
static void lists_are_bounded(void **state)
{
    static const char start[] = "{\"a\":[", end[] = "0]}";
    static char text[sizeof(start) + 3 * JSON_DISTINCT_LISTS_MAX + sizeof(end)];
    size_t length = sizeof(start) - 1;
    struct json_object *value;

    (void)state;
    memcpy(text, start, length);
    for (int i = 2; i < JSON_DISTINCT_LISTS_MAX; i++, length += 3)
        memcpy(text + length, i % 2 ? "{}," : "[],", 3);
    memcpy(text + length, end, sizeof(end));
    value = json_read_distinct(text_of(text));
    assert_non_null(value);
    json_object_put(value);
    memcpy(text + length, "[]]}", sizeof("[]]}"));
    assert_null(json_read_distinct(text_of(text)));
    value = json_read(text_of(text));
    assert_non_null(value);
    json_object_put(value);
}

static void members_and_strings(void **state)
{
    struct json_object *value =
        json_read(TEXT_LITERAL("{\"a\":\"x\\u0000y\",\"b\":null,\"c\":1,\"c\":\"z\"}"));
    struct text text;

    (void)state;
    assert_true(json_string(json_member(value, "a"), &text));
    assert_true(text_equal(text, TEXT_LITERAL("x\0y")));
    assert_null(json_member(value, "b"));
    assert_null(json_member(value, "none"));
    assert_null(json_member(json_member(value, "a"), "a"));
    assert_null(json_member(NULL, "a"));
    assert_true(json_string(json_member(value, "c"), &text));
    assert_true(text_is(text, "z"));
    assert_false(json_string(value, &text));
    assert_false(json_string(NULL, &text));
    json_object_put(value);
}

/* What is read of a backend, too: json-c makes hundreds of bytes of two. */
static void brackets_are_bounded(void **state)
{
    size_t length = 1 + 3 * (size_t)(JSON_LISTS_MAX - 1);
    char *text = malloc(length + 8);
    struct json_object *value;

    (void)state;
    assert_non_null(text);
    text[0] = '[';
    for (size_t at = 1; at < length; at += 3)
        memcpy(text + at, "[],", 3);
    memcpy(text + length, "0]", 3);
    value = json_read(text_of(text));
    assert_int_equal(json_object_array_length(value), JSON_LISTS_MAX);
    json_object_put(value);
    memcpy(text + length, "{}]", 4);
    assert_null(json_read(text_of(text)));
    assert_true(json_has_too_many_lists(text_of(text)));
    assert_false(json_has_too_many_lists((struct text){text, length + 2}));
    memcpy(text + length, "0]", 3);
    assert_false(json_has_too_many_lists(text_of(text)));
    free(text);
}

/* Scripts are full of them, and cost nothing. */
static void brackets_in_strings_do_not_count(void **state)
{
    static const char start[] = "{\"\\\"{\":\"\\\\\\\"", end[] = "\\\\\",\"b\":[]}";
    size_t count = 2 * (size_t)JSON_LISTS_MAX, length = sizeof(start) - 1 + count;
    char *text = malloc(length + sizeof(end));
    struct json_object *value;

    (void)state;
    assert_non_null(text);
    memcpy(text, start, sizeof(start) - 1);
    for (size_t i = 0; i < count; i++)
        text[sizeof(start) - 1 + i] = i % 2 ? '{' : '[';
    memcpy(text + length, end, sizeof(end));
    value = json_read_distinct(text_of(text));
    assert_non_null(value);
    assert_int_equal(json_object_object_length(value), 2);
    assert_int_equal(json_object_get_string_len(json_member(value, "\"{")), 2 + count + 1);
    json_object_put(value);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grammar),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(lists_are_bounded),
        cmocka_unit_test(members_and_strings),
        cmocka_unit_test(brackets_are_bounded),
        cmocka_unit_test(brackets_in_strings_do_not_count),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
