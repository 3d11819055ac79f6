/* A template, a NUL, and a name of any bytes. What stands outside strings and comments must not depend on the
 * name; and in a string of a known template the name must be found again, byte for byte. The scanner and the
 * readers here are written apart from those of the program. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

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

static const char *fill(struct arena *arena, const char *template, struct text name)
{
    const struct hours_part part = {.services = &name, .service_count = name.length > 0};
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

/* Undoes the escapes of a string, up to its closing quote; then, if asked to, those of a regular expression.
 */
static struct text read_back(struct arena *arena, const char *at, char quote, bool regex)
{
    char *out = arena_alloc(arena, strlen(at) + 1, 1);
    size_t length = 0, read = 0, written = 0;

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
    for (read = 0; regex && read < length; read++) {
        if (out[read] == '\\')
            read++;
        else if (out[read] && strchr(".+*?()|[]{}^$", out[read]))
            abort();
        out[written++] = out[read];
    }
    return (struct text){out, regex ? written : length};
}

static void check_known(struct arena *arena, struct text name)
{
    static const struct {
        const char *template;
        bool regex;
    } rows[] = {
        {"s=\"{{service}}\"", false}, {"s='{{service}}'", false}, {"s=`{{service}}`", false},
        {"s=~\"{{service}}\"", true}, {"s!~'{{service}}'", true}, {"s=~`{{service}}`", true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *query = fill(arena, rows[i].template, name);
        const char *quote = query ? strpbrk(query, "\"'`") : NULL;

        if (quote && !text_equal(read_back(arena, quote + 1, *quote, rows[i].regex), name))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct text rest = {(const char *)data, size};
    const char *template = arena_string(arena, text_cut(&rest, '\0'));
    const char *query, *plain;

    if (rest.length > 0 && rest.length < 1000) {
        query = fill(arena, template, rest);
        plain = fill(arena, template, TEXT_LITERAL("x"));
        if (query && !plain)
            abort();
        if (query && !text_equal(skeleton(arena, query), skeleton(arena, plain)))
            abort();
        check_known(arena, rest);
    }
    arena_free(arena);
    return 0;
}
