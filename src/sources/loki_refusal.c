/* Loki's errors are plain text, in some versions JSON around it; their words are those of versions 1 to 3. */
#include <json-c/json.h>
#include <string.h>

#include "caps.h"
#include "sources/loki_answer.h"
#include "sources/note.h"
#include "util/arena.h"
#include "util/json.h"

#define SECOND INT64_C(1000000000)

/* Go spells durations as 721h0m0s, Prometheus' way is 30d1h. */
static const struct {
    struct text name;
    int64_t nanoseconds;
} units[] = {
    {{"y", 1}, 365 * 24 * 3600 * SECOND},
    {{"w", 1}, 7 * 24 * 3600 * SECOND},
    {{"d", 1}, 24 * 3600 * SECOND},
    {{"h", 1}, 3600 * SECOND},
    {{"m", 1}, 60 * SECOND},
    {{"s", 1}, SECOND},
    {{"ms", 2}, SECOND / 1000},
    {{"us", 2}, SECOND / 1000000},
    {{"\xc2\xb5s", 3}, SECOND / 1000000},
    {{"ns", 2}, 1},
};

static const char *const longer_than_may_be[] = {
    "query time range exceeds the limit", /* (query length: 1488h0m0s, limit: 30d1h) */
    "invalid query, length > limit",      /* (1488h0m0s > 721h0m0s) */
    "query would read too many bytes",    /* the rest do not say how long it may be */
    "max number of chunks limit",         "too large to execute on a single querier",
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The digits that the text begins with, which are taken off. */
static struct text take_digits(struct text *text)
{
    struct text digits = {text->data, 0};

    while (digits.length < text->length && is_digit(text->data[digits.length]))
        digits.length++;
    *text = text_skip(*text, digits.length);
    return digits;
}

/* False when these are no digits, or too many. */
static bool number_of(struct text digits, int64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.length; i++)
        if (!is_digit(digits.data[i]) || __builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, digits.data[i] - '0', out))
            return false;
    return digits.length > 0;
}

static int64_t take_unit(struct text *text)
{
    struct text name = {text->data, 0};

    while (name.length < text->length && !is_digit(text->data[name.length]))
        name.length++;
    *text = text_skip(*text, name.length);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (text_equal(name, units[i].name))
            return units[i].nanoseconds;
    return 0;
}

/* "30d1h", "721h0m0s", "1.5s". 0 when it is nothing of the kind. */
static int64_t duration_of(struct text text)
{
    int64_t sum = 0, whole, unit, part;

    while (text.length > 0) {
        struct text fraction = {NULL, 0};

        if (!number_of(take_digits(&text), &whole))
            return 0;
        if (text.length > 0 && text.data[0] == '.') {
            text = text_skip(text, 1);
            fraction = take_digits(&text);
        }
        unit = take_unit(&text);
        if (unit == 0 || __builtin_mul_overflow(whole, unit, &part) ||
            __builtin_add_overflow(sum, part, &sum))
            return 0;
        for (size_t i = 0; i < fraction.length; i++) {
            unit /= 10;
            if (__builtin_add_overflow(sum, unit * (fraction.data[i] - '0'), &sum))
                return 0;
        }
    }
    return sum;
}

/* What stands behind `words`; false when they are not there. */
static bool behind(struct text text, const char *words, struct text *out)
{
    const char *at = text.length ? memmem(text.data, text.length, words, strlen(words)) : NULL;

    if (at == NULL)
        return false;
    *out = text_skip(text, (size_t)(at - text.data) + strlen(words));
    return true;
}

/* The second number of "(101 > 100)", or what is called "limit: " in such brackets; empty: there is none. */
static struct text limit_in(struct text text)
{
    struct text brackets, limit = {NULL, 0};

    if (!behind(text, "(", &brackets))
        return limit;
    brackets = text_cut(&brackets, ')');
    if (behind(brackets, " > ", &limit) || behind(brackets, "limit: ", &limit))
        return text_trim(limit);
    return limit;
}

static bool says_fewer(struct text words, struct loki_refusal *refusal)
{
    struct text rest;
    int64_t limit;

    if (!behind(words, "max entries limit per query exceeded", &rest) || !number_of(limit_in(rest), &limit) ||
        limit == 0)
        return false;
    refusal->lesson = LOKI_FEWER;
    refusal->number = limit;
    return true;
}

static bool says_shorter(struct text words, struct loki_refusal *refusal)
{
    struct text rest;

    for (size_t i = 0; i < sizeof(longer_than_may_be) / sizeof(longer_than_may_be[0]); i++)
        if (behind(words, longer_than_may_be[i], &rest)) {
            refusal->lesson = LOKI_SHORTER;
            refusal->number = duration_of(limit_in(rest));
            return true;
        }
    return false;
}

/* The server's, or those of what stands between, or our own limit of time is over. */
static bool may_pass(long status)
{
    return status == 408 || status == 429 || status == 499 || status == 500 ||
           (status >= 502 && status <= 504);
}

static const char *why_of(struct arena *arena, long status, struct text words)
{
    if (status >= 300 && status < 400)
        return arena_format(arena, "HTTP %ld: redirects are not followed", status);
    if (words.length == 0 || words.data[0] == '<') /* a page for browsers */
        return arena_format(arena, "HTTP %ld", status);
    return arena_format(arena, "HTTP %ld: %s", status, note_words(arena, words, NOTE_WORDS_MAX_BYTES));
}

struct loki_refusal loki_refusal_read(struct arena *arena, long status, struct text body)
{
    struct loki_refusal refusal = {LOKI_FATAL, 0, NULL};
    struct json_object *object = json_read(body);
    struct text words = body;

    if (!json_string(json_member(object, "message"), &words))
        json_string(json_member(object, "error"), &words);
    words = text_trim(words);
    if (!says_fewer(words, &refusal) && !says_shorter(words, &refusal) && may_pass(status))
        refusal.lesson = LOKI_LATER;
    refusal.why = why_of(arena, status, words);
    json_object_put(object);
    return refusal;
}
