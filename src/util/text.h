/* A piece of bytes that belongs to somebody else: pointer and length, any byte allowed, no terminator
 * promised. */
#ifndef OM_UTIL_TEXT_H
#define OM_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct text {
    const char *data;
    size_t length;
};

#define TEXT_LITERAL(s) ((struct text){(s), sizeof(s) - 1})

struct text text_of(const char *string); /* NULL gives the empty text */

/* Inline: what every log line goes through some twenty times. */
static inline bool text_equal(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool text_starts(struct text a, const char *prefix)
{
    size_t length = strlen(prefix);

    return a.length >= length && memcmp(a.data, prefix, length) == 0;
}

/* Without its first n bytes (n <= length). */
static inline struct text text_skip(struct text a, size_t n)
{
    return (struct text){a.data + n, a.length - n};
}

static inline bool text_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without ASCII white space at both ends. */
static inline struct text text_trim(struct text a)
{
    while (a.length > 0 && text_is_space(a.data[0]))
        a = text_skip(a, 1);
    while (a.length > 0 && text_is_space(a.data[a.length - 1]))
        a.length--;
    return a;
}

/* Cuts the text before the first `separator`: gives what stood before, leaves in *rest what comes after.
 * Without a separator everything is given and *rest becomes {NULL, 0}: data == NULL says "nothing follows".
 */
static inline struct text text_cut(struct text *rest, char separator)
{
    struct text head = *rest;
    const char *at = head.length ? (const char *)memchr(head.data, separator, head.length) : NULL;

    if (at == NULL) {
        *rest = (struct text){NULL, 0};
        return head;
    }
    head.length = (size_t)(at - head.data);
    *rest = text_skip(*rest, head.length + 1);
    return head;
}

/* Cuts the next piece off a comma-separated list, trimmed; empty ones are passed over. False when none is
 * left.
 */
bool text_next(struct text *list, struct text *piece);

bool text_is(struct text a, const char *string);
bool text_is_nocase(struct text a, const char *string); /* ASCII letters only */
int text_compare(struct text a, struct text b);         /* byte order, as memcmp; a prefix comes first */
int text_compare_nocase(struct text a, struct text b);  /* byte order of the ASCII lower case */

/* A DNS-1123 name as the services have it: 1 to 253 of [a-z0-9.-], a letter or digit at both ends. */
bool text_is_dns_name(struct text a);

/* True when the bytes are valid UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF). */
bool text_is_utf8(struct text a);

/* The length of the valid UTF-8 character that the text begins with; 0 when it begins with none. */
size_t text_utf8_length(struct text a);

#endif
