/* One pass over the template that knows two things: in which kind of string it is, and which operator stands
 * before that string. The strings are those of Go, in which both query languages are written: "..." and '...'
 * with backslashes and without line ends, `...` raw. */
#include "sources/template.h"

#include <string.h>

#include "caps.h"
#include "util/arena.h"
#include "util/buf.h"

enum match { MATCH_NONE, MATCH_EXACT, MATCH_REGEX };

struct filler {
    struct arena *arena;
    struct buf out;
    struct text rest;
    struct template_value *values;
    size_t count;
    enum match match; /* what stands before here, but for white space and comments */
    bool negated;     /* it is !=, !~ */
    char previous;    /* the byte before, outside strings; an operator is written in one piece */
    const char *why;  /* not NULL: give up */
};

static struct template_value *find_value(const struct filler *f)
{
    for (size_t i = 0; i < f->count; i++)
        if (text_starts(f->rest, f->values[i].name))
            return &f->values[i];
    return NULL;
}

static void take(struct filler *f, size_t length)
{
    buf_add(&f->out, (struct text){f->rest.data, length});
    f->rest = text_skip(f->rest, length);
}

/* One character, or one byte that belongs to none, of a value in a string. */
static void put_in_string(struct filler *f, char quote, struct text c)
{
    unsigned char byte = (unsigned char)c.data[0];
    bool is_character = text_utf8_length(c) == c.length;

    if (quote == '`') {
        if (byte == '`' || byte == '\0' || !is_character)
            f->why = "a value cannot be written in the raw string (`...`) of the query template";
        else
            buf_add(&f->out, c);
    } else if (!is_character || byte < 0x20 || byte == 0x7f) {
        buf_format(&f->out, "\\x%02x", (unsigned)byte);
    } else {
        if (byte == (unsigned char)quote || byte == '\\')
            buf_add_char(&f->out, '\\');
        buf_add(&f->out, c);
    }
}

static bool is_special_in_regex(char c)
{
    return c != '\0' && strchr("\\.+*?()|[]{}^$", c) != NULL;
}

/* The bytes as they are meant: in a regular expression none of them is special. */
static void put_text(struct filler *f, char quote, struct text text)
{
    while (text.length > 0) {
        size_t length = text_utf8_length(text);
        struct text c = {text.data, length ? length : 1};

        if (f->match == MATCH_REGEX && is_special_in_regex(c.data[0]))
            put_in_string(f, quote, TEXT_LITERAL("\\"));
        put_in_string(f, quote, c);
        text = text_skip(text, c.length);
    }
}

/* Alone between the quotes an alternation needs no group: both languages match the whole string then, or any
 * part of it. */
static void put_alternation(struct filler *f, char quote, const struct template_value *value, bool alone)
{
    if (!alone)
        buf_add_string(&f->out, "(?:");
    for (size_t i = 0; i < value->text_count; i++) {
        if (i > 0)
            buf_add_char(&f->out, '|');
        put_text(f, quote, value->texts[i]);
    }
    if (!alone)
        buf_add_char(&f->out, ')');
}

static void put_value(struct filler *f, char quote, struct template_value *value, bool alone)
{
    if (f->match == MATCH_NONE && !value->bare) {
        f->why = arena_format(
            f->arena, "the query template has %s in a string without =, !=, =~ or !~ before it", value->name);
        return;
    }
    value->exact = value->exact || f->match == MATCH_EXACT;
    if (f->match == MATCH_EXACT && value->no_exact) {
        f->why = value->no_exact;
        return;
    }
    if (value->texts) {
        put_alternation(f, quote, value, alone);
        return;
    }
    put_text(f, quote, value->text);
    if (f->match == MATCH_REGEX && value->tail)
        buf_add_string(&f->out, value->tail);
}

/* A placeholder within a string: is it all that stands between the quotes? */
static bool is_alone(const struct filler *f, char quote, const char *begin, size_t length)
{
    return f->rest.data == begin && f->rest.length > length && f->rest.data[length] == quote;
}

static void fill_string(struct filler *f)
{
    char quote = f->rest.data[0];
    const char *begin = f->rest.data + 1;

    take(f, 1);
    while (f->why == NULL && f->rest.length > 0) {
        char c = f->rest.data[0];
        struct template_value *value = find_value(f);

        if (value) {
            size_t length = strlen(value->name);

            value->used++;
            value->limits += !f->negated;
            put_value(f, quote, value, is_alone(f, quote, begin, length));
            f->rest = text_skip(f->rest, length);
        } else if (c == quote) {
            take(f, 1);
            return;
        } else if (c == '\n' && quote != '`') {
            break;
        } else {
            take(f, c == '\\' && quote != '`' && f->rest.length > 1 ? 2 : 1);
        }
    }
    if (f->why == NULL)
        f->why = "the query template has a string that does not end";
}

static void fill_bare(struct filler *f, struct template_value *value)
{
    if (!value->bare) {
        f->why = arena_format(f->arena, "the query template has %s outside a string", value->name);
        return;
    }
    value->used++;
    buf_add(&f->out, value->text);
    f->rest = text_skip(f->rest, strlen(value->name));
}

static void skip_comment(struct filler *f)
{
    const char *end = memchr(f->rest.data, '\n', f->rest.length);

    take(f, end ? (size_t)(end - f->rest.data) : f->rest.length);
}

static void note_match(struct filler *f, char c)
{
    bool regex = c == '~' && strchr("=!|", f->previous), exact = c == '=' && !strchr("=<>~", f->previous);

    if (regex || exact) {
        f->match = regex ? MATCH_REGEX : MATCH_EXACT;
        f->negated = f->previous == '!';
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
        f->match = MATCH_NONE;
    }
    f->previous = c;
}

static void fill_next(struct filler *f)
{
    char c = f->rest.data[0];
    struct template_value *value = find_value(f);

    if (value) {
        fill_bare(f, value);
    } else if (c == '#') {
        skip_comment(f);
        f->previous = ' ';
        return;
    } else if (c == '"' || c == '\'' || c == '`') {
        fill_string(f);
    } else {
        note_match(f, c);
        take(f, 1);
        return;
    }
    f->match = MATCH_NONE;
    f->previous = ' ';
}

const char *template_fill(struct arena *arena, const char *template, struct template_value *values,
                          size_t count, const char **why)
{
    struct filler f = {
        .arena = arena, .rest = text_of(template), .values = values, .count = count, .previous = ' '};
    const char *query = NULL;

    buf_init(&f.out, TEMPLATE_MAX_BYTES);
    while (f.why == NULL && f.rest.length > 0)
        fill_next(&f);
    if (f.why == NULL && f.out.full)
        f.why = "the query is too long";
    if (f.why == NULL)
        query = arena_string(arena, buf_text(&f.out));
    buf_free(&f.out);
    *why = f.why;
    return query;
}
