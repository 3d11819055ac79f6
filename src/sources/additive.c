/* Recursive descent over the few forms that add up; whatever else comes is ADDITIVE_NOT. The unfilled
 * template is read, so that no value can change what is found: placeholders other than {{range}} stand in
 * strings. */
#include "sources/additive.h"

#include <stdbool.h>

#include "caps.h"

#define RANGE "{{range}}"

/* What an expression is. A vector is one of the additive ones. */
enum kind { KIND_BAD, KIND_NUMBER, KIND_INCREASE, KIND_SAMPLES };

struct reader {
    struct text rest;
    int depth;
};

static enum kind read_sum(struct reader *r);

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

/* White space and comments. */
static void skip_blanks(struct reader *r)
{
    while (r->rest.length > 0) {
        if (r->rest.data[0] == '#')
            text_cut(&r->rest, '\n');
        else if (text_is_space(r->rest.data[0]))
            r->rest = text_skip(r->rest, 1);
        else
            return;
    }
}

/* The word that comes next; empty when something else does. */
static struct text peek_word(struct reader *r)
{
    struct text word;

    skip_blanks(r);
    word = (struct text){r->rest.data, 0};
    while (word.length < r->rest.length && is_word(word.data[word.length]))
        word.length++;
    return word;
}

static struct text take_word(struct reader *r)
{
    struct text word = peek_word(r);

    if (word.length > 0)
        r->rest = text_skip(r->rest, word.length);
    return word;
}

static bool take(struct reader *r, const char *what)
{
    skip_blanks(r);
    if (!text_starts(r->rest, what))
        return false;
    r->rest = text_skip(r->rest, strlen(what));
    return true;
}

/* Up to its end; template_fill() knows the same strings. */
static bool skip_string(struct reader *r)
{
    char quote = r->rest.data[0];

    for (r->rest = text_skip(r->rest, 1); r->rest.length > 0; r->rest = text_skip(r->rest, 1)) {
        if (r->rest.data[0] == quote) {
            r->rest = text_skip(r->rest, 1);
            return true;
        }
        if (r->rest.data[0] == '\\' && quote != '`' && r->rest.length > 1)
            r->rest = text_skip(r->rest, 1);
    }
    return false;
}

/* From behind the opening brace to behind the closing one: label names, operators and strings. */
static bool skip_labels(struct reader *r)
{
    for (;;) {
        skip_blanks(r);
        if (r->rest.length == 0)
            return false;
        if (take(r, "}"))
            return true;
        if (strchr("\"'`", r->rest.data[0])) {
            if (!skip_string(r))
                return false;
        } else if (is_word(r->rest.data[0]) || strchr("=!~,", r->rest.data[0])) {
            r->rest = text_skip(r->rest, 1);
        } else {
            return false;
        }
    }
}

static bool skip_offset(struct reader *r)
{
    if (!text_is_nocase(peek_word(r), "offset"))
        return true;
    take_word(r);
    take(r, "-");
    return take_word(r).length > 0;
}

/* name{...}[{{range}}] offset ..., from behind the function's opening parenthesis to its closing one. */
static bool skip_selector(struct reader *r)
{
    struct text name = take_word(r);
    bool labels = take(r, "{");

    if (labels && !skip_labels(r))
        return false;
    return (labels || name.length > 0) && take(r, "[") && take(r, RANGE) && take(r, "]") && skip_offset(r) &&
           take(r, ")");
}

/* by (a, b) and without (a, b), where there is one. */
static bool skip_grouping(struct reader *r)
{
    struct text word = peek_word(r);

    if (!text_is_nocase(word, "by") && !text_is_nocase(word, "without"))
        return true;
    take_word(r);
    if (!take(r, "("))
        return false;
    while (!take(r, ")")) {
        if (take_word(r).length == 0)
            return false;
        take(r, ",");
    }
    return true;
}

static enum kind read_group(struct reader *r)
{
    enum kind kind;

    if (r->depth >= ADDITIVE_DEPTH_MAX)
        return KIND_BAD;
    r->depth++;
    kind = read_sum(r);
    r->depth--;
    return take(r, ")") ? kind : KIND_BAD;
}

static enum kind read_aggregation(struct reader *r)
{
    enum kind kind;

    if (!skip_grouping(r) || !take(r, "("))
        return KIND_BAD;
    kind = read_group(r);
    return kind != KIND_NUMBER && skip_grouping(r) ? kind : KIND_BAD;
}

/* 3600, 1e3, .5 */
static bool skip_number(struct reader *r)
{
    size_t digits = 0, points = 0, at = 0;

    for (; at < r->rest.length; at++) {
        char c = r->rest.data[at];

        if (c >= '0' && c <= '9')
            digits++;
        else if (c == '.')
            points++;
        else if ((c != 'e' && c != 'E') || digits == 0)
            break;
    }
    if (digits == 0 || points > 1 || (at < r->rest.length && is_word(r->rest.data[at])))
        return false;
    r->rest = text_skip(r->rest, at);
    return true;
}

static enum kind read_factor(struct reader *r)
{
    struct text word;

    if (take(r, "("))
        return read_group(r);
    if (r->rest.length > 0 && (r->rest.data[0] == '.' || (r->rest.data[0] >= '0' && r->rest.data[0] <= '9')))
        return skip_number(r) ? KIND_NUMBER : KIND_BAD;
    word = take_word(r);
    if (text_is_nocase(word, "sum"))
        return read_aggregation(r);
    if (text_is(word, "increase"))
        return take(r, "(") && skip_selector(r) ? KIND_INCREASE : KIND_BAD;
    if (text_is(word, "sum_over_time"))
        return take(r, "(") && skip_selector(r) ? KIND_SAMPLES : KIND_BAD;
    return KIND_BAD;
}

static enum kind read_product(struct reader *r)
{
    enum kind kind = read_factor(r);

    while (kind != KIND_BAD) {
        bool times = take(r, "*");
        enum kind factor;

        if (!times && !take(r, "/"))
            return kind;
        factor = read_factor(r);
        if (factor == KIND_NUMBER)
            continue;
        kind = times && kind == KIND_NUMBER ? factor : KIND_BAD;
    }
    return KIND_BAD;
}

/* Only `or vector(0)` may be added to a product. */
static enum kind read_sum(struct reader *r)
{
    enum kind kind = read_product(r);

    if (kind == KIND_BAD || !text_is_nocase(peek_word(r), "or"))
        return kind;
    take_word(r);
    if (kind == KIND_NUMBER || !text_is(take_word(r), "vector") || !take(r, "(") ||
        !text_is(take_word(r), "0") || !take(r, ")"))
        return KIND_BAD;
    return kind;
}

enum additive additive_of(struct text template)
{
    struct reader r = {.rest = template};
    enum kind kind = read_sum(&r);

    skip_blanks(&r);
    if (r.rest.length > 0)
        return ADDITIVE_NOT;
    if (kind == KIND_SAMPLES)
        return ADDITIVE_SAMPLES;
    return kind == KIND_INCREASE ? ADDITIVE_INCREASE : ADDITIVE_NOT;
}
