/* A piece of bytes that belongs to somebody else: pointer and length, any byte allowed, no terminator
 * promised. */
#ifndef OM_UTIL_TEXT_H
#define OM_UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
    const char *data;
    size_t length;
};

#define TEXT_LITERAL(s) ((struct text){(s), sizeof(s) - 1})

struct text text_of(const char *string); /* NULL gives the empty text */
bool text_equal(struct text a, struct text b);
bool text_is(struct text a, const char *string);
bool text_is_nocase(struct text a, const char *string); /* ASCII letters only */
bool text_starts(struct text a, const char *prefix);
int text_compare(struct text a, struct text b);        /* byte order, as memcmp; a prefix comes first */
int text_compare_nocase(struct text a, struct text b); /* byte order of the ASCII lower case */
struct text text_trim(struct text a);                  /* without ASCII white space at both ends */
struct text text_skip(struct text a, size_t n);        /* without its first n bytes (n <= length) */

/* Cuts the text before the first `separator`: gives what stood before, leaves in *rest what comes after.
 * Without a separator everything is given and *rest becomes {NULL, 0}: data == NULL says "nothing follows".
 */
struct text text_cut(struct text *rest, char separator);

/* A DNS-1123 name as the services have it: 1 to 253 of [a-z0-9.-], a letter or digit at both ends. */
bool text_is_dns_name(struct text a);

/* True when the bytes are valid UTF-8 (RFC 3629: no surrogates, nothing overlong, at most U+10FFFF). */
bool text_is_utf8(struct text a);

/* The length of the valid UTF-8 character that the text begins with; 0 when it begins with none. */
size_t text_utf8_length(struct text a);

#endif
