/* Bytes that come in pieces, as lines: in constant memory, cut where they lie. */
#ifndef OM_SOURCES_LINEBUF_H
#define OM_SOURCES_LINEBUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caps.h"
#include "util/text.h"

enum {
    LINEBUF_CAPACITY = LINEBUF_LINE_MAX_BYTES + 128 * 1024,
};

enum linebuf_item {
    LINEBUF_LINE, /* a line, without its end and without the NULs that it begins with */
    LINEBUF_LONG, /* the first LINEBUF_LINE_MAX_BYTES bytes of a longer line, the rest of which is dropped */
    LINEBUF_MORE, /* no line end is in sight: more bytes are needed */
};

struct linebuf {
    bool dropping;                 /* inside a line that is too long */
    int64_t base;                  /* the place of the buffer's first byte in the content */
    size_t start, scanned, filled; /* lines begin at start; no line end before scanned; bytes up to filled */
    char bytes[LINEBUF_CAPACITY];
};

/* Empty; what comes in stands at that place in the content. */
void linebuf_begin(struct linebuf *lines, int64_t base);

/* The text is valid until the next call. */
enum linebuf_item linebuf_next(struct linebuf *lines, struct text *line);

/* After LINEBUF_MORE (or before the first linebuf_next()): where `*room` bytes may be put, at least one.
 * `filled` grows by what was. Texts that were given are void. */
char *linebuf_room(struct linebuf *lines, size_t *room);

/* When nothing more comes: what stands behind the last line end, but for the rest of a line that is too long.
 */
struct text linebuf_rest(struct linebuf *lines);

/* Offsets in the content: of the line that was just given, and of what comes next. */
int64_t linebuf_line_offset(const struct linebuf *lines, struct text line);
int64_t linebuf_offset(const struct linebuf *lines);

#endif
