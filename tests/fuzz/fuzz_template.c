/* A template, a NUL, and a name of any bytes; or two, with a NUL between them. What stands outside strings
 * and comments must not depend on the names; and in a string of a known template they must be found again,
 * byte for byte. The scanner and the readers here are written apart from those of the program. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sources/additive.h"
#include "sources/prometheus.h"
#include "util/arena.h"
#include "util/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The query without what stands in its strings. */
static struct text skeleton(struct arena *arena, const char *query)
{
    struct buf out;
    struct text copy;
    char quote = '\0';

    buf_init(&out, 1024 * 1024);
    for (; *query; query++) {
        if (quote == '\0') {
            buf_add_char(&out, *query);
            if (strchr("\"'`#", *query))
                quote = *query;
            continue;
        }
        if (quote == '#') {
            buf_add_char(&out, *query);
            if (*query == '\n')
                quote = '\0';
            continue;
        }
        if (*query == '\\' && quote != '`' && query[1])
            query++;
        else if (*query == quote) {
            buf_add_char(&out, *query);
            quote = '\0';
        }
    }
    if (quote != '\0' && quote != '#')
        abort();
    copy = arena_text(arena, buf_text(&out));
    buf_free(&out);
    return copy;
}

static const char *fill(struct arena *arena, const char *template, const struct text *names, size_t count)
{
    const struct hours_part part = {.services = names, .service_count = count};
    const char *why = NULL;
    const char *filled = prometheus_fill(arena, template, &part, "oscar.svc", 60000, &why);

    if ((filled == NULL) != (why != NULL))
        abort();
    return filled;
}

static unsigned hex(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* Undoes the escapes of a string, up to its closing quote. */
static struct text read_string(struct arena *arena, const char *at, char quote)
{
    char *out = arena_alloc(arena, strlen(at) + 1, 1);
    size_t length = 0;

    while (*at && *at != quote) {
        if (quote == '`' || *at != '\\') {
            out[length++] = *at++;
        } else if (at[1] == 'x') {
            out[length++] = (char)(hex(at[2]) * 16 + hex(at[3]));
            at += 4;
        } else {
            out[length++] = at[1];
            at += 2;
        }
    }
    if (*at != quote)
        abort();
    return (struct text){out, length};
}

/* Takes what a regular expression says literally, up to a bar that is none, or the end. */
static struct text read_literal(struct arena *arena, struct text *regex)
{
    char *out = arena_alloc(arena, regex->length + 1, 1);
    size_t read, written = 0;

    for (read = 0; read < regex->length && regex->data[read] != '|'; read++) {
        if (regex->data[read] == '\\')
            read++;
        else if (regex->data[read] && strchr(".+*?()[]{}^$", regex->data[read]))
            abort();
        out[written++] = regex->data[read];
    }
    if (read > regex->length)
        abort();
    *regex = text_skip(*regex, read);
    return (struct text){out, written};
}

/* The names are found again, and nothing else. */
static void check_string(struct arena *arena, struct text content, bool regex, const struct text *names,
                         size_t count)
{
    if (!regex) {
        if (count != 1 || !text_equal(content, names[0]))
            abort();
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!text_equal(read_literal(arena, &content), names[i]))
            abort();
        if ((content.length > 0) != (i + 1 < count))
            abort();
        if (content.length > 0)
            content = text_skip(content, 1);
    }
}

static void check_known(struct arena *arena, const struct text *names, size_t count)
{
    static const struct {
        const char *template;
        bool regex;
    } rows[] = {
        {"s=\"{{service}}\"", false}, {"s='{{service}}'", false}, {"s=`{{service}}`", false},
        {"s=~\"{{service}}\"", true}, {"s!~'{{service}}'", true}, {"s=~`{{service}}`", true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *query = fill(arena, rows[i].template, names, count);
        const char *quote = query ? strpbrk(query, "\"'`") : NULL;

        if (quote)
            check_string(arena, read_string(arena, quote + 1, *quote), rows[i].regex, names, count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct text plain_names[] = {{"x", 1}, {"y", 1}};
    struct arena *arena = arena_new();
    struct text rest = {(const char *)data, size}, names[2];
    const char *template = arena_string(arena, text_cut(&rest, '\0'));
    size_t count;

    (void)additive_of(text_of(template));
    names[0] = text_cut(&rest, '\0');
    names[1] = rest;
    count = rest.length > 0 ? 2 : 1;
    if (names[0].length > 0 && size < 2000) {
        const char *query = fill(arena, template, names, count);
        const char *plain = fill(arena, template, plain_names, count);

        if (query && !plain)
            abort();
        if (query && !text_equal(skeleton(arena, query), skeleton(arena, plain)))
            abort();
        if (query && prometheus_group(template, names, count) > count)
            abort();
        check_known(arena, names, count);
    }
    arena_free(arena);
    return 0;
}
