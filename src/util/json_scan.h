/* JSON text (RFC 8259) read from front to back, without a tree: fast, strict, allocating nothing.
 *
 * Each function takes what must stand next, with the white space before it. Where something else stands, or
 * the grammar is broken, it is false and so is everything after it. Strings must be valid UTF-8, names must
 * not hold \u0000, and values may be nested at most JSON_DEPTH_MAX deep.
 *
 *     if (!json_scan_open(&scan, '['))
 *         return false;
 *     while (json_scan_more(&scan, ']'))
 *         take a value
 *     return json_scan_end(&scan);       only this says that all was well
 *
 * A copy of the struct is a place to come back to. */
#ifndef OM_UTIL_JSON_SCAN_H
#define OM_UTIL_JSON_SCAN_H

#include <stdbool.h>

#include "util/text.h"

struct buf;

struct json_scan {
    const char *at, *end;
    int depth;
    size_t lists; /* objects and arrays that were opened */
    bool first;   /* no element of the innermost list was taken yet */
    bool broken;
};

/* What stands between the quotes. Without escapes these are the bytes meant; else json_scan_decode() tells.
 */
struct json_raw {
    struct text text;
    bool escaped;
};

struct json_scan json_scan_of(struct text text);

/* An object or array: its opening '{' or '['; is there one more element (if not, `close` has been taken); in
 * an object, the name of the element with its colon. */
bool json_scan_open(struct json_scan *scan, char open);
bool json_scan_more(struct json_scan *scan, char close);
bool json_scan_name(struct json_scan *scan, struct json_raw *out);

bool json_scan_string(struct json_scan *scan, struct json_raw *out);
bool json_scan_number(struct json_scan *scan, struct text *out);
bool json_scan_skip(struct json_scan *scan); /* any value, checked */

/* The first byte of what stands next; NUL at the end, and when the scan is broken. */
char json_scan_peek(struct json_scan *scan);

/* Nothing was broken, and nothing stands behind. */
bool json_scan_end(struct json_scan *scan);

/* The bytes meant: in *scratch, whose content goes, when there are escapes. Half a surrogate pair becomes
 * U+FFFD. The scratch must have room for as many bytes as are raw. */
struct text json_scan_decode(struct json_raw raw, struct buf *scratch);

#endif
