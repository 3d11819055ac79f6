/* A log file, plain or gzip, as lines: read once, in pieces, in constant memory. One reader serves many
 * files, one after the other. */
#ifndef OM_SOURCES_LOGREADER_H
#define OM_SOURCES_LOGREADER_H

#include <stdbool.h>
#include <stdint.h>

#include "sources/linebuf.h"
#include "util/text.h"

enum logreader_item {
    LOGREADER_LINE, /* a line, without its end and without the NULs that it begins with */
    LOGREADER_LONG, /* the first LINEBUF_LINE_MAX_BYTES bytes of a longer line, the rest of which is dropped
                     */
    LOGREADER_TAIL, /* what stands behind the last line end of a file that was read to its end */
    LOGREADER_MORE, /* bytes were read: call again (and a good moment to pause) */
    LOGREADER_END,  /* see logreader_end() */
};

/* How the file ended. */
enum logreader_end {
    LOGREADER_WHOLE,
    LOGREADER_CUT,       /* gzip: ends early */
    LOGREADER_DAMAGED,   /* gzip: no valid data, or something else behind it */
    LOGREADER_SHRUNK,    /* plain: now smaller than what was to be read */
    LOGREADER_UNREADABLE /* see logreader_error() */
};

struct logreader;

struct logreader *logreader_new(void);
void logreader_free(struct logreader *reader); /* NULL is allowed */

/* True when the file begins as gzip does. */
bool logreader_is_gzip(int fd);

/* True when it begins as those of other compressors do: read as lines it would seem to be empty. */
bool logreader_is_packed_otherwise(int fd);

/* Begins with a file; the descriptor stays the caller's. Of a plain file the bytes from offset `from` to
 * `size` are read, a gzip file (with `from` 0) is read to its end. */
void logreader_open(struct logreader *reader, int fd, bool gzip, int64_t from, int64_t size);

/* The text is valid until the next call. */
enum logreader_item logreader_next(struct logreader *reader, struct text *line);

/* Before the first logreader_next(): the beginning of the (uncompressed) contents, LINEBUF_LINE_MAX_BYTES
 * bytes or all that can be read if less. */
struct text logreader_peek(struct logreader *reader);

enum logreader_end logreader_end(const struct logreader *reader);
int logreader_error(const struct logreader *reader);        /* an errno */
int64_t logreader_position(const struct logreader *reader); /* bytes of the file that were taken so far */

/* Offsets in the (uncompressed) content: of the line that was just given, and of what comes next. */
int64_t logreader_line_offset(const struct logreader *reader, struct text line);
int64_t logreader_offset(const struct logreader *reader);

/* What comes next is the rest of a line that is too long. */
bool logreader_is_inside_line(const struct logreader *reader);

#endif
