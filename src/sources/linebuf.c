/* One buffer holds the longest line and a piece to read. */
#include "sources/linebuf.h"

#include <string.h>

#include "caps.h"

void linebuf_begin(struct linebuf *lines, int64_t base)
{
    lines->dropping = false;
    lines->base = base;
    lines->start = lines->scanned = lines->filled = 0;
}

/* What has come in so far of a line is too long, or needs more. */
static enum linebuf_item without_end(struct linebuf *lines, struct text *line)
{
    lines->scanned = lines->filled;
    if (lines->dropping) {
        lines->start = lines->filled;
        return LINEBUF_MORE;
    }
    if (lines->filled - lines->start <= LINEBUF_LINE_MAX_BYTES)
        return LINEBUF_MORE;
    *line = (struct text){lines->bytes + lines->start, LINEBUF_LINE_MAX_BYTES};
    lines->start = lines->filled;
    lines->dropping = true;
    return LINEBUF_LONG;
}

/* A file that was emptied under a writer that goes on at its old place begins with a hole. */
static void skip_hole(struct linebuf *lines)
{
    if (lines->dropping)
        return;
    while (lines->start < lines->filled && lines->bytes[lines->start] == '\0')
        lines->start++;
    if (lines->scanned < lines->start)
        lines->scanned = lines->start;
}

enum linebuf_item linebuf_next(struct linebuf *lines, struct text *line)
{
    for (;;) {
        bool dropped = lines->dropping;
        const char *end;
        size_t length;

        skip_hole(lines);
        end = memchr(lines->bytes + lines->scanned, '\n', lines->filled - lines->scanned);
        if (end == NULL)
            return without_end(lines, line);
        length = (size_t)(end - lines->bytes) - lines->start;
        *line = (struct text){lines->bytes + lines->start, length};
        lines->start = lines->scanned = lines->start + length + 1;
        lines->dropping = false;
        if (dropped)
            continue; /* that was the rest of a long line */
        if (length <= LINEBUF_LINE_MAX_BYTES)
            return LINEBUF_LINE;
        line->length = LINEBUF_LINE_MAX_BYTES;
        return LINEBUF_LONG;
    }
}

char *linebuf_room(struct linebuf *lines, size_t *room)
{
    size_t kept = lines->filled - lines->start;

    if (lines->start > 0) {
        memmove(lines->bytes, lines->bytes + lines->start, kept);
        lines->base += (int64_t)lines->start;
        lines->scanned -= lines->start;
        lines->filled = kept;
        lines->start = 0;
    }
    *room = LINEBUF_CAPACITY - lines->filled;
    return lines->bytes + lines->filled;
}

struct text linebuf_rest(struct linebuf *lines)
{
    struct text rest = {lines->bytes + lines->start, lines->filled - lines->start};

    lines->start = lines->filled;
    return rest;
}

int64_t linebuf_line_offset(const struct linebuf *lines, struct text line)
{
    return lines->base + (line.data - lines->bytes);
}

int64_t linebuf_offset(const struct linebuf *lines)
{
    return lines->base + (int64_t)lines->start;
}
