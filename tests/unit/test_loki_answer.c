/* Loki's answers: what is read of the recorded ones, and what is no answer. */
#include "unit.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sources/loki_answer.h"
#include "util/arena.h"
#include "util/json.h"

enum { FROM = 100, TO = 200, ENTRIES_MAX = 1000 };

#define DATA(members)    "{\"status\":\"success\",\"data\":{" members "}}"
#define RESULT(result)   DATA("\"resultType\":\"streams\",\"result\":" result)
#define STREAM(members)  RESULT("[{" members "}]")
#define VALUES(values)   STREAM("\"stream\":{\"app\":\"oscar\"},\"values\":" values)
#define LABELS(labels)   STREAM("\"stream\":{" labels "},\"values\":[[\"100\",\"x\"]]")
#define ESCAPED_DATA     "\"d\\u0061ta\""
#define NO_JSON          "it is not JSON, or not all of it"
#define NO_PAIR          "an entry is no pair of time and line"
#define TOO_MUCH         "an entry has more than time, line and metadata"
#define NO_TIME          "an entry's time is no number of nanoseconds"
#define OUT_OF_RANGE     "an entry's time is not in the range that was asked for"
#define TWICE            "a member comes twice"
#define NO_RESULT        "it lacks its result or the type of it"
#define NO_STREAM        "a stream lacks its labels or its values"
#define NO_STATUS        "it lacks its status or its data"
#define NO_SUCCESS       "its status is not success"
#define NO_LABEL         "a label is no string"
#define NO_STREAMS       "its result is no list of streams"
#define NO_WARNINGS_LIST "its warnings are no list"

struct taken {
    size_t count, stop_at;
    struct loki_entry entries[ENTRIES_MAX];
    struct arena *arena;
};

static bool take(void *context, const struct loki_entry *entry)
{
    struct taken *taken = context;

    assert_in_range(taken->count, 0, ENTRIES_MAX - 1);
    taken->entries[taken->count++] = (struct loki_entry){entry->time, arena_text(taken->arena, entry->line),
                                                         arena_text(taken->arena, entry->country)};
    return taken->count != taken->stop_at;
}

static struct taken *take_all(struct arena *arena, struct text body)
{
    struct taken *taken = ARENA_NEW(arena, struct taken);

    taken->arena = arena;
    assert_true(loki_answer_each(body, take, taken));
    return taken;
}

static int set_up(void **state)
{
    *state = arena_new();
    return 0;
}

static int tear_down(void **state)
{
    arena_free(*state);
    return 0;
}

/* ---- the recorded answers ---- */

static struct text recorded(struct arena *arena)
{
    const char *source = getenv("srcdir");
    char path[512], *data = arena_alloc(arena, 1, 1024 * 1024);
    FILE *file;
    size_t length;

    snprintf(path, sizeof(path), "%s/tests/data/loki/exchanges.jsonl", source ? source : ".");
    file = fopen(path, "rb");
    assert_non_null(file);
    length = fread(data, 1, 1024 * 1024, file);
    fclose(file);
    assert_in_range(length, 1, 1024 * 1024 - 1);
    return (struct text){data, length};
}

static struct text country_of(struct json_object *labels)
{
    static const char *const names[] = {"geoip_country_code", "geoip_country_name", "country",
                                        "country_code"};
    struct text country;

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (json_string(json_member(labels, names[i]), &country) && country.length > 0)
            return text_is(country, "unknown") ? TEXT_LITERAL("") : country;
    return TEXT_LITERAL("");
}

/* Every entry that the tree has, in its order. */
static size_t compare_with_tree(struct json_object *body, const struct taken *taken)
{
    struct json_object *result = json_member(json_member(body, "data"), "result");
    size_t count = 0;

    for (size_t i = 0; i < json_object_array_length(result); i++) {
        struct json_object *stream = json_object_array_get_idx(result, i);
        struct json_object *values = json_member(stream, "values");
        struct text country = country_of(json_member(stream, "stream"));

        for (size_t k = 0; k < json_object_array_length(values); k++, count++) {
            struct json_object *value = json_object_array_get_idx(values, k);
            struct text time, line;
            char digits[32];

            assert_true(count < taken->count);
            assert_true(json_string(json_object_array_get_idx(value, 0), &time));
            assert_true(json_string(json_object_array_get_idx(value, 1), &line));
            snprintf(digits, sizeof(digits), "%lld", (long long)taken->entries[count].time);
            assert_true(text_is(time, digits));
            assert_true(text_equal(line, taken->entries[count].line));
            assert_true(text_equal(country, taken->entries[count].country));
        }
    }
    assert_int_equal(count, taken->count);
    return count;
}

static size_t compare_answer(struct arena *arena, struct json_object *body)
{
    struct loki_answer answer;
    struct text text;
    const char *why;

    text.data = json_object_to_json_string_length(body, JSON_C_TO_STRING_PLAIN, &text.length);
    if (!loki_answer_check(arena, text, 0, INT64_MAX, &answer, &why))
        fail_msg("%s: %.200s", why, text.data);
    assert_int_equal(answer.entries, take_all(arena, text)->count);
    assert_int_equal(answer.warning_count, 0);
    return compare_with_tree(body, take_all(arena, text));
}

static void recorded_answers_are_read_as_a_tree_says(void **state)
{
    struct arena *arena = arena_new();
    struct text rest = recorded(arena);
    size_t answers = 0, entries = 0;

    (void)state;
    while (rest.length > 0) {
        struct json_object *exchange = json_read(text_cut(&rest, '\n'));
        struct json_object *body = json_member(exchange, "body");

        assert_non_null(exchange);
        if (json_member(body, "data")) {
            entries += compare_answer(arena, body);
            answers++;
        }
        json_object_put(exchange);
    }
    assert_int_equal(answers, 20);
    assert_int_equal(entries, 774);
    arena_free(arena);
}

/* ---- what is an answer ---- */

struct row {
    const char *body;
    size_t entries;
    const char *why; /* NULL: it is an answer */
    int line;
};

static void check_rows(struct arena *arena, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct text body = text_of(rows[i].body);
        struct loki_answer answer;
        const char *why = NULL;
        bool valid = loki_answer_check(arena, body, FROM, TO, &answer, &why);

        if (valid != (rows[i].why == NULL) || (why && rows[i].why && strcmp(why, rows[i].why) != 0))
            fail_msg("row of line %d: %d, %s", rows[i].line, valid, why ? why : "-");
        if (valid && (answer.entries != rows[i].entries || take_all(arena, body)->count != rows[i].entries))
            fail_msg("row of line %d: %zu entries", rows[i].line, answer.entries);
    }
}

static void entries_are_pairs_in_the_range(void **state)
{
    static const struct row rows[] = {
        {VALUES("[]"), 0, NULL, __LINE__},
        {VALUES("[[\"100\",\"x\"]]"), 1, NULL, __LINE__},
        {VALUES("[[\"199\",\"\"],[\"199\",\"\"]]"), 2, NULL, __LINE__},
        {VALUES("[[\"100\",\"x\",{}]]"), 1, NULL, __LINE__},
        {VALUES("[[\"100\",\"x\",{\"structuredMetadata\":{\"a\":\"b\"},\"parsed\":{}}]]"), 1, NULL, __LINE__},
        {VALUES(" [ [ \"100\" , \"x\" , { } ] , [\"101\",\"\"] ] "), 2, NULL, __LINE__},
        {VALUES("[[\"100\",\"\\u0000\\ud83d\\ude00\\ud83d\"]]"), 1, NULL, __LINE__},
        {VALUES("[[\"99\",\"x\"]]"), 0, OUT_OF_RANGE, __LINE__},
        {VALUES("[[\"200\",\"x\"]]"), 0, OUT_OF_RANGE, __LINE__},
        {VALUES("[[\"100\",\"x\"],[\"1000\",\"x\"]]"), 0, OUT_OF_RANGE, __LINE__},
        {VALUES("[[\"9223372036854775808\",\"x\"]]"), 0, OUT_OF_RANGE, __LINE__},
        {VALUES("[[\"18446744073709551716\",\"x\"]]"), 0, NO_TIME, __LINE__}, /* 100 more than 2^64 */
        {VALUES("[[\"-100\",\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[\"100.0\",\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[\"1e2\",\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[\"\",\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[\" 100\",\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[\"10\\u0030\",\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[100,\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[null,\"x\"]]"), 0, NO_TIME, __LINE__},
        {VALUES("[[]]"), 0, NO_PAIR, __LINE__},
        {VALUES("[[\"100\"]]"), 0, NO_PAIR, __LINE__},
        {VALUES("[[\"100\",1]]"), 0, NO_PAIR, __LINE__},
        {VALUES("[[\"100\",null]]"), 0, NO_PAIR, __LINE__},
        {VALUES("[\"100\",\"x\"]"), 0, NO_PAIR, __LINE__},
        {VALUES("[{\"100\":\"x\"}]"), 0, NO_PAIR, __LINE__},
        {VALUES("[null]"), 0, NO_PAIR, __LINE__},
        {VALUES("[[\"100\",\"x\",[]]]"), 0, TOO_MUCH, __LINE__},
        {VALUES("[[\"100\",\"x\",\"y\"]]"), 0, TOO_MUCH, __LINE__},
        {VALUES("[[\"100\",\"x\",{},{}]]"), 0, TOO_MUCH, __LINE__},
        {VALUES("null"), 0, "a stream's values are no list", __LINE__},
        {VALUES("{}"), 0, "a stream's values are no list", __LINE__},
    };

    check_rows(*state, rows, COUNT_OF(rows));
}

static void members_come_in_any_order_and_once(void **state)
{
    static const struct row rows[] = {
        {RESULT("[]"), 0, NULL, __LINE__},
        {STREAM("\"values\":[[\"100\",\"x\"]],\"stream\":{}"), 1, NULL, __LINE__},
        {STREAM("\"x\":[1],\"values\":[[\"100\",\"x\"]],\"y\":{\"values\":1},\"stream\":{},\"z\":0"), 1, NULL,
         __LINE__},
        {DATA("\"stats\":{\"result\":[]},\"result\":[{\"stream\":{},\"values\":[[\"100\",\"x\"]]}],"
              "\"resultType\":\"streams\""),
         1, NULL, __LINE__},
        {"{" ESCAPED_DATA ":{\"resultType\":\"stre\\u0061ms\",\"result\":[]},\"status\":\"success\"}", 0,
         NULL, __LINE__},
        {"{\"x\":1,\"x\":2,\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[]}}", 0,
         NULL, __LINE__},
        {"{\"status\":\"success\",\"status\":\"success\"}", 0, TWICE, __LINE__},
        {"{\"data\":{\"resultType\":\"streams\",\"result\":[]}," ESCAPED_DATA ":{}}", 0, TWICE, __LINE__},
        {"{\"warnings\":[],\"warnings\":[]}", 0, TWICE, __LINE__},
        {DATA("\"resultType\":\"streams\",\"resultType\":\"streams\""), 0, TWICE, __LINE__},
        {RESULT("[],\"result\":[]"), 0, TWICE, __LINE__},
        {DATA("\"result\":[],\"result\":[],\"resultType\":\"streams\""), 0, TWICE, __LINE__},
        {STREAM("\"stream\":{},\"stream\":{}"), 0, TWICE, __LINE__},
        {STREAM("\"values\":[],\"stream\":{},\"values\":[]"), 0, TWICE, __LINE__},
        {LABELS("\"country\":\"ES\",\"country\":\"ES\""), 0, TWICE, __LINE__},
        {LABELS("\"app\":\"a\",\"app\":\"b\""), 1, NULL, __LINE__},
        {"{\"status\":\"success\"}", 0, NO_STATUS, __LINE__},
        {"{\"data\":{\"resultType\":\"streams\",\"result\":[]}}", 0, NO_STATUS, __LINE__},
        {"{}", 0, NO_STATUS, __LINE__},
        {DATA(""), 0, NO_RESULT, __LINE__},
        {DATA("\"resultType\":\"streams\""), 0, NO_RESULT, __LINE__},
        {DATA("\"result\":[]"), 0, NO_RESULT, __LINE__},
        {STREAM("\"stream\":{}"), 0, NO_STREAM, __LINE__},
        {STREAM("\"values\":[]"), 0, NO_STREAM, __LINE__},
        {STREAM("\"values\":[[\"99\",\"x\"]],\"stream\":{}"), 0, OUT_OF_RANGE, __LINE__},
        {DATA("\"result\":[1],\"resultType\":\"streams\""), 0, "a stream is no object", __LINE__},
        {"{\"status\":\"error\",\"errorType\":\"timeout\",\"error\":\"x\"}", 0, NO_SUCCESS, __LINE__},
        {"{\"status\":\"Success\"}", 0, NO_SUCCESS, __LINE__},
        {"{\"status\":200}", 0, NO_SUCCESS, __LINE__},
        {"{\"status\":\"success\",\"data\":null}", 0, "its data are no object", __LINE__},
        {"{\"status\":\"success\",\"data\":[]}", 0, "its data are no object", __LINE__},
        {DATA("\"resultType\":\"matrix\",\"result\":[]"), 0, NO_STREAMS, __LINE__},
        {DATA("\"result\":[],\"resultType\":\"vector\""), 0, NO_STREAMS, __LINE__},
        {DATA("\"resultType\":\"streams \",\"result\":[]"), 0, NO_STREAMS, __LINE__},
        {DATA("\"resultType\":null,\"result\":[]"), 0, NO_STREAMS, __LINE__},
        {RESULT("null"), 0, "the result is no list", __LINE__},
        {RESULT("{}"), 0, "the result is no list", __LINE__},
        {RESULT("[[]]"), 0, "a stream is no object", __LINE__},
        {STREAM("\"stream\":[],\"values\":[]"), 0, "a stream's labels are no object", __LINE__},
        {LABELS("\"app\":1"), 0, NO_LABEL, __LINE__},
        {LABELS("\"app\":null"), 0, NO_LABEL, __LINE__},
        {LABELS("\"app\":[\"x\"]"), 0, NO_LABEL, __LINE__},
        {"[]", 0, "it is no object", __LINE__},
        {"null", 0, "it is no object", __LINE__},
        {"\"success\"", 0, "it is no object", __LINE__},
    };

    check_rows(*state, rows, COUNT_OF(rows));
}

static void what_is_no_json_is_no_answer(void **state)
{
    static const struct row rows[] = {
        {" \t\r\n" RESULT("[]") "\n", 0, NULL, __LINE__},
        {VALUES("[[\"100\",\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"]]"), 1, NULL, __LINE__},
        {"", 0, NO_JSON, __LINE__},
        {RESULT("[]") "x", 0, NO_JSON, __LINE__},
        {RESULT("[]") "{}", 0, NO_JSON, __LINE__},
        {"\xef\xbb\xbf" RESULT("[]"), 0, NO_JSON, __LINE__},
        {"<html>", 0, NO_JSON, __LINE__},
        {RESULT("[,]"), 0, NO_JSON, __LINE__},
        {VALUES("[,[\"100\",\"x\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\"],]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\",]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\" \"x\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\"}]"), 0, NO_JSON, __LINE__},
        {VALUES("[['100','x']]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\ny\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\x1fy\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"\xff\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"\x80\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"12345678\x9f\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"\xc3\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"12345678\xed\xa0\x80\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"\\x41\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"\\u00g0\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"\\ud83\"]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\",{\"a\":NaN}]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\",{\"a\":01}]]"), 0, NO_JSON, __LINE__},
        {VALUES("[[\"100\",\"x\",{\"a\\u0000b\":1}]]"), 0, NO_JSON, __LINE__},
        {LABELS("\"country\\u0000x\":\"ES\""), 0, NO_JSON, __LINE__},
        {"{\"status\\u0000\":\"success\"}", 0, NO_JSON, __LINE__},
        {"{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],"
         "\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[]}}",
         0, NO_JSON, __LINE__},
        {"{\"x\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]],"
         "\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[]}}",
         0, NULL, __LINE__},
    };

    check_rows(*state, rows, COUNT_OF(rows));
}

static void no_beginning_of_an_answer_is_one(void **state)
{
    const struct text whole = TEXT_LITERAL(
        VALUES("[[\"100\",\"a\\n\\u00e9 \xc3\xa9 and some more\"],[\"101\",\"x\",{\"a\":[1.5e3,true]}]]"));
    struct loki_answer answer;
    const char *why;

    assert_true(loki_answer_check(*state, whole, FROM, TO, &answer, &why));
    assert_int_equal(answer.entries, 2);
    for (size_t length = 0; length < whole.length; length++) {
        char *exact = malloc(length + 1); /* a byte too far is seen by the sanitizers */

        assert_non_null(exact);
        memcpy(exact, whole.data, length);
        exact = realloc(exact, length ? length : 1);
        assert_false(loki_answer_check(*state, (struct text){exact, length}, FROM, TO, &answer, &why));
        assert_string_equal(why, NO_JSON);
        free(exact);
    }
}

/* ---- what is read ---- */

static void the_first_label_that_is_not_empty_gives_the_country(void **state)
{
    static const struct {
        const char *body, *country;
        int line;
    } rows[] = {
        {LABELS(""), "", __LINE__},
        {LABELS("\"app\":\"ES\",\"Country\":\"ES\",\"countr\":\"ES\""), "", __LINE__},
        {LABELS("\"country_code\":\"ES\""), "ES", __LINE__},
        {LABELS("\"country_code\":\"D\",\"country\":\"C\""), "C", __LINE__},
        {LABELS("\"country\":\"C\",\"geoip_country_name\":\"B\",\"country_code\":\"D\""), "B", __LINE__},
        {LABELS("\"geoip_country_name\":\"B\",\"geoip_country_code\":\"A\""), "A", __LINE__},
        {LABELS("\"geoip_country_code\":\"\",\"geoip_country_name\":\"\",\"country_code\":\"D\""), "D",
         __LINE__},
        {LABELS("\"geoip_country_code\":\"unknown\",\"country\":\"ES\""), "", __LINE__},
        {LABELS("\"country\":\"UnKnown\""), "", __LINE__},
        {LABELS("\"country\":\"unknown land\""), "unknown land", __LINE__},
        {LABELS("\"c\\u006funtry\":\"\\u0045S\""), "ES", __LINE__},
        {STREAM("\"values\":[[\"100\",\"x\"]],\"stream\":{\"country\":\"ES\"}"), "ES", __LINE__},
        {RESULT("[{\"stream\":{\"country\":\"\\u0045S\"},\"values\":[]},"
                "{\"stream\":{},\"values\":[[\"100\",\"x\"]]}]"),
         "", __LINE__},
        {STREAM("\"stream\":{},\"values\":[[\"100\",\"x\",{\"country\":\"ES\"}]]"), "", __LINE__},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct taken *taken = take_all(*state, text_of(rows[i].body));

        if (taken->count != 1 || !text_is(taken->entries[0].country, rows[i].country))
            fail_msg("row of line %d: %s", rows[i].line, taken->entries[0].country.data);
    }
}

/* With its NUL bytes. */
#define BYTES(literal)                                                                                       \
    {                                                                                                        \
        (literal), sizeof(literal) - 1                                                                       \
    }

static void lines_are_the_bytes_that_were_meant(void **state)
{
    static const struct {
        const char *body;
        struct text line;
        int row;
    } rows[] = {
        {VALUES("[[\"100\",\"GET /run/a \\u003c\\u0026\\u003E\"]]"), BYTES("GET /run/a <&>"), __LINE__},
        {VALUES("[[\"100\",\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]]"), BYTES("\"\\/\b\f\n\r\t"), __LINE__},
        {VALUES("[[\"100\",\"a\\u0000b\"]]"), BYTES("a\0b"), __LINE__},
        {VALUES("[[\"100\",\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"]]"),
         BYTES("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf"), __LINE__},
        {VALUES("[[\"100\",\"\\ud83d\\uDE00\\udbff\\udfff\"]]"), BYTES("\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf"),
         __LINE__},
        {VALUES("[[\"100\",\"\\ud83dx\"]]"), BYTES("\xef\xbf\xbdx"), __LINE__},
        {VALUES("[[\"100\",\"\\ude00\\ud83d\"]]"), BYTES("\xef\xbf\xbd\xef\xbf\xbd"), __LINE__},
        {VALUES("[[\"100\",\"\\ude00\\ude00\"]]"), BYTES("\xef\xbf\xbd\xef\xbf\xbd"), __LINE__},
        {VALUES("[[\"100\",\"\\ud83d\\ud83d\\ude00\"]]"), BYTES("\xef\xbf\xbd\xf0\x9f\x98\x80"), __LINE__},
        {VALUES("[[\"100\",\"\\ud83d\\n\"]]"), BYTES("\xef\xbf\xbd\n"), __LINE__},
        {VALUES("[[\"100\",\"\xc3\xa9\xf0\x9f\x98\x80\"]]"), BYTES("\xc3\xa9\xf0\x9f\x98\x80"), __LINE__},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct taken *taken = take_all(*state, text_of(rows[i].body));

        if (taken->count != 1 || taken->entries[0].time != 100 ||
            !text_equal(taken->entries[0].line, rows[i].line))
            fail_msg("row of line %d: %s", rows[i].row, taken->entries[0].line.data);
    }
}

static void a_taker_can_stop(void **state)
{
    struct taken *taken = ARENA_NEW(*state, struct taken);

    taken->arena = *state;
    taken->stop_at = 2;
    assert_false(loki_answer_each(TEXT_LITERAL(VALUES("[[\"100\",\"x\"],[\"101\",\"y\"],[\"102\",\"z\"]]")),
                                  take, taken));
    assert_int_equal(taken->count, 2);
}

static void warnings_are_counted_and_the_first_is_told(void **state)
{
    static const struct {
        const char *warnings;
        size_t count;
        const char *first, *why;
        int line;
    } rows[] = {
        {"[]", 0, NULL, NULL, __LINE__},
        {"null", 0, NULL, NULL, __LINE__},
        {"[\"some were\\nlost \\u003c\"]", 1, "some were lost <", NULL, __LINE__},
        {"[\"one\",\"two\",\"three\"]", 3, "one", NULL, __LINE__},
        {"[\"\"]", 1, "no words", NULL, __LINE__},
        {"[{\"text\":\"x\"},\"two\"]", 2, "two", NULL, __LINE__},
        {"\"one\"", 0, NULL, NO_WARNINGS_LIST, __LINE__},
        {"{}", 0, NULL, NO_WARNINGS_LIST, __LINE__},
        {"[\"one\"", 0, NULL, NO_JSON, __LINE__},
        {"nul", 0, NULL, NO_JSON, __LINE__},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text body = text_of(arena_format(
            *state,
            "{\"status\":\"success\",\"warnings\":%s,\"data\":{\"resultType\":\"streams\",\"result\":[]}}",
            rows[i].warnings));
        struct loki_answer answer;
        const char *why;
        bool valid = loki_answer_check(*state, body, FROM, TO, &answer, &why);

        if (valid ? rows[i].why != NULL : (!rows[i].why || strcmp(why, rows[i].why) != 0))
            fail_msg("row of line %d: %s", rows[i].line, why ? why : "-");
        if (valid && (answer.warning_count != rows[i].count ||
                      strcmp(answer.warning ? answer.warning : "-", rows[i].first ? rows[i].first : "-")))
            fail_msg("row of line %d: %zu, %s", rows[i].line, answer.warning_count, answer.warning);
    }
}

/* ---- refusals and hints ---- */

static void refusals_teach(void **state)
{
    static const struct {
        long status;
        const char *body;
        enum loki_lesson lesson;
        int64_t number;
        const char *why;
        int line;
    } rows[] = {
        {400, "max entries limit per query exceeded, limit > max_entries_limit_per_query (101 > 100)",
         LOKI_FEWER, 100, NULL, __LINE__},
        {400, "max entries limit per query exceeded, limit > max_entries_limit (5001 > 5000)\n", LOKI_FEWER,
         5000, NULL, __LINE__},
        {500, "rpc error: code = Code(400) desc = max entries limit per query exceeded, limit > x (9 > 7)",
         LOKI_FEWER, 7, NULL, __LINE__},
        {400,
         "{\"code\":400,\"status\":\"error\",\"message\":\"max entries limit per query exceeded, limit "
         "\\u003e "
         "max_entries_limit (101 \\u003e 100)\"}",
         LOKI_FEWER, 100,
         "HTTP 400: max entries limit per query exceeded, limit > max_entries_limit (101 > 100)", __LINE__},
        {400, "max entries limit per query exceeded, limit > x (101 > 0)", LOKI_FATAL, 0, NULL, __LINE__},
        {400, "max entries limit per query exceeded, limit > x (101 > 99999999999999999999)", LOKI_FATAL, 0,
         NULL, __LINE__},
        {400, "max entries limit per query exceeded, limit > x (101 > 1e2)", LOKI_FATAL, 0, NULL, __LINE__},
        {400, "max entries limit per query exceeded, limit > x (101 > -5)", LOKI_FATAL, 0, NULL, __LINE__},
        {400, "max entries limit per query exceeded", LOKI_FATAL, 0, NULL, __LINE__},
        {400, "the query time range exceeds the limit (query length: 1488h0m0s, limit: 30d1h)", LOKI_SHORTER,
         2595600000000000, NULL, __LINE__},
        {400, "the query time range exceeds the limit (query length: 1488h0m0s, limit: 721h0m0s)",
         LOKI_SHORTER, 2595600000000000, NULL, __LINE__},
        {400, "invalid query, length > limit (1488h0m0s > 721h0m0s)", LOKI_SHORTER, 2595600000000000, NULL,
         __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: 1h0m1.5s)", LOKI_SHORTER,
         3601500000000, NULL, __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: 1y2w3d4h5m6s7ms)",
         LOKI_SHORTER, 33019506007000000, NULL, __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: 1.000000001ms)", LOKI_SHORTER,
         1000000, NULL, __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: 2\xc2\xb5s3ns)", LOKI_SHORTER,
         2003, NULL, __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: 400y)", LOKI_SHORTER, 0, NULL,
         __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: 5parsec)", LOKI_SHORTER, 0,
         NULL, __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: h)", LOKI_SHORTER, 0, NULL,
         __LINE__},
        {400, "the query time range exceeds the limit (query length: 2h, limit: 5)", LOKI_SHORTER, 0, NULL,
         __LINE__},
        {400, "the query time range exceeds the limit (query", LOKI_SHORTER, 0, NULL, __LINE__},
        {400,
         "the query would read too many bytes (query: 1.2 GiB, limit: 1.0 GiB); consider adding more "
         "specific "
         "stream selectors or reduce the time range of the query",
         LOKI_SHORTER, 0, NULL, __LINE__},
        {400, "query too large to execute on a single querier: (query: 2GB, limit: 1GB); consider",
         LOKI_SHORTER, 0, NULL, __LINE__},
        {400, "the query hit the max number of chunks limit (limit: 2000000 chunks)", LOKI_SHORTER, 0, NULL,
         __LINE__},
        {400, "limit must be a positive value", LOKI_FATAL, 0, "HTTP 400: limit must be a positive value",
         __LINE__},
        {400, "parse error at line 1, col 19: syntax error: unexpected $end, expecting } or ,", LOKI_FATAL, 0,
         NULL, __LINE__},
        {401, "no org id\n", LOKI_FATAL, 0, "HTTP 401: no org id", __LINE__},
        {403, "", LOKI_FATAL, 0, "HTTP 403", __LINE__},
        {404, "404 page not found\n", LOKI_FATAL, 0, "HTTP 404: 404 page not found", __LINE__},
        {302, "elsewhere", LOKI_FATAL, 0, "HTTP 302: redirects are not followed", __LINE__},
        {501, "", LOKI_FATAL, 0, NULL, __LINE__},
        {429, "too many outstanding requests", LOKI_LATER, 0, "HTTP 429: too many outstanding requests",
         __LINE__},
        {500, "{\"error\":\"broken\"}", LOKI_LATER, 0, "HTTP 500: broken", __LINE__},
        {502, " <html><body>Bad Gateway</body></html>", LOKI_LATER, 0, "HTTP 502", __LINE__},
        {503, "{\"message\":5}", LOKI_LATER, 0, "HTTP 503: {\"message\":5}", __LINE__},
        {504, "a\x1b[31m\xff", LOKI_LATER, 0, "HTTP 504: a [31m\xef\xbf\xbd", __LINE__},
        {408, "", LOKI_LATER, 0, NULL, __LINE__},
        {499, "the request was cancelled by the client", LOKI_LATER, 0, NULL, __LINE__},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loki_refusal refusal = loki_refusal_read(*state, rows[i].status, text_of(rows[i].body));

        if (refusal.lesson != rows[i].lesson || refusal.number != rows[i].number ||
            (rows[i].why && strcmp(refusal.why, rows[i].why) != 0))
            fail_msg("row of line %d: %d, %lld, %s", rows[i].line, (int)refusal.lesson,
                     (long long)refusal.number, refusal.why);
    }
}

static void recorded_refusals_teach_what_they_say(void **state)
{
    struct text rest = recorded(*state);
    size_t lessons[LOKI_SHORTER + 1] = {0};

    while (rest.length > 0) {
        struct json_object *exchange = json_read(text_cut(&rest, '\n'));
        struct text body;

        if (json_string(json_member(exchange, "body"), &body))
            lessons[loki_refusal_read(*state, json_object_get_int(json_member(exchange, "status")), body)
                        .lesson]++;
        json_object_put(exchange);
    }
    assert_int_equal(lessons[LOKI_FEWER], 1);
    assert_int_equal(lessons[LOKI_SHORTER], 1);
    assert_int_equal(lessons[LOKI_LATER], 0);
    assert_int_equal(lessons[LOKI_FATAL], 8);
}

static void statistics(void **state)
{
    static const struct {
        const char *body;
        bool valid;
        uint64_t bytes, entries;
        int line;
    } rows[] = {
        {"{\"streams\":43,\"chunks\":43,\"bytes\":17408,\"entries\":168}", true, 17408, 168, __LINE__},
        {"{\"entries\":0,\"bytes\":0}", true, 0, 0, __LINE__},
        {"{\"entries\":1,\"bytes\":18446744073709551615}", true, UINT64_MAX, 1, __LINE__},
        {"{\"entries\":1}", false, 0, 0, __LINE__},
        {"{\"bytes\":1}", false, 0, 0, __LINE__},
        {"{\"entries\":-1,\"bytes\":1}", false, 0, 0, __LINE__},
        {"{\"entries\":1.5,\"bytes\":1}", false, 0, 0, __LINE__},
        {"{\"entries\":\"1\",\"bytes\":1}", false, 0, 0, __LINE__},
        {"only label matchers are supported", false, 0, 0, __LINE__},
        {"[]", false, 0, 0, __LINE__},
        {"", false, 0, 0, __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct loki_stats stats = {0, 0};
        bool valid = loki_stats_read(text_of(rows[i].body), &stats);

        if (valid != rows[i].valid ||
            (valid && (stats.bytes != rows[i].bytes || stats.entries != rows[i].entries)))
            fail_msg("row of line %d: %d", rows[i].line, valid);
    }
}

#define VOLUME(type, series)                                                                                 \
    "{\"status\":\"success\",\"data\":{\"resultType\":\"" type "\",\"result\":[" series "],\"stats\":{}}}"
#define SERIES(values) "{\"metric\":{\"a\":\"b\"},\"values\":[" values "]}"

static void volumes_by_step(void **state)
{
    static const struct {
        const char *body;
        bool valid;
        uint64_t bytes[3]; /* from 7200 on, an hour each */
        int line;
    } rows[] = {
        {VOLUME("matrix", ""), true, {0, 0, 0}, __LINE__},
        /* at the end of their steps, the last one without the millisecond */
        {VOLUME("matrix", SERIES("[10799.999,\"10\"],[14399.999,\"20\"],[18000,\"30\"]")),
         true,
         {10, 20, 30},
         __LINE__},
        /* at the beginning */
        {VOLUME("matrix", SERIES("[7200,\"10\"],[10800,\"20\"],[14400,\"30\"]")),
         true,
         {10, 20, 30},
         __LINE__},
        {VOLUME("matrix", SERIES("[14399.999,\"20\"]") "," SERIES("[10799.999,\"1\"],[14399.999,\"2\"]")),
         true,
         {1, 22, 0},
         __LINE__},
        {VOLUME("vector", "{\"metric\":{},\"value\":[14399.999,\"20\"]}"), true, {0, 20, 0}, __LINE__},
        {VOLUME("matrix", SERIES("[7199.999,\"1\"],[18000.001,\"2\"],[-1,\"3\"],[1e300,\"4\"]")),
         true,
         {0, 0, 0},
         __LINE__},
        {VOLUME("matrix", SERIES("[7200,\"-1\"]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[7200,\"1.5\"]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[7200,\"\"]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[7200,\"NaN\"]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[7200,\"18446744073709551616\"]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[7200,\"18446744073709551615\"],[7201,\"1\"]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[7200,10]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[\"7200\",\"10\"]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("[7200]")), false, {0}, __LINE__},
        {VOLUME("matrix", SERIES("7200")), false, {0}, __LINE__},
        {VOLUME("matrix", "{\"metric\":{}}"), false, {0}, __LINE__},
        {VOLUME("matrix", "[]"), false, {0}, __LINE__},
        {"{\"status\":\"error\",\"data\":{\"result\":[]}}", false, {0}, __LINE__},
        {"{\"status\":\"success\"}", false, {0}, __LINE__},
        {"404 page not found", false, {0}, __LINE__},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t bytes[3] = {7, 7, 7};
        bool valid = loki_volume_read(text_of(rows[i].body), 7200, 3600, bytes, 3);

        if (valid != rows[i].valid || (valid && memcmp(bytes, rows[i].bytes, sizeof(bytes)) != 0))
            fail_msg("row of line %d: %d, %llu %llu %llu", rows[i].line, valid, (unsigned long long)bytes[0],
                     (unsigned long long)bytes[1], (unsigned long long)bytes[2]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_answers_are_read_as_a_tree_says),
        cmocka_unit_test_setup_teardown(entries_are_pairs_in_the_range, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_come_in_any_order_and_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_json_is_no_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_beginning_of_an_answer_is_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_first_label_that_is_not_empty_gives_the_country, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lines_are_the_bytes_that_were_meant, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_taker_can_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(warnings_are_counted_and_the_first_is_told, set_up, tear_down),
        cmocka_unit_test_setup_teardown(refusals_teach, set_up, tear_down),
        cmocka_unit_test_setup_teardown(recorded_refusals_teach_what_they_say, set_up, tear_down),
        cmocka_unit_test_setup_teardown(statistics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(volumes_by_step, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
