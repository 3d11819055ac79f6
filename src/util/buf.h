/* Bytes that grow up to a cap. What would go over the cap is refused whole, and the buffer remembers it. */
#ifndef OM_UTIL_BUF_H
#define OM_UTIL_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "util/text.h"

struct buf {
    char *data; /* NUL-terminated when length > 0 */
    size_t length, capacity, limit;
    bool full; /* something did not fit */
};

void buf_init(struct buf *buf, size_t limit); /* allocates nothing */
void buf_free(struct buf *buf);               /* may be used again afterwards */
void buf_clear(struct buf *buf);              /* keeps the memory */
bool buf_add(struct buf *buf, struct text text);
bool buf_add_string(struct buf *buf, const char *string);
bool buf_add_char(struct buf *buf, char c);
/* The text as valid UTF-8: U+FFFD for each byte that begins no valid character. */
bool buf_add_utf8(struct buf *buf, struct text text);
bool buf_format(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
struct text buf_text(const struct buf *buf);

#endif
