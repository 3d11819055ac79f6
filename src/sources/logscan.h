/* The lines of a log file as somebody wrote them, with the place of each: pieces that a container runtime
 * made of a long line are one line again. */
#ifndef OM_SOURCES_LOGSCAN_H
#define OM_SOURCES_LOGSCAN_H

#include <stdbool.h>
#include <stdint.h>

#include "util/text.h"

struct logfile;
struct logreader;
struct logscan;

enum logscan_item {
    LOGSCAN_LINE,
    LOGSCAN_LONG, /* the text is the beginning of a line that is too long to be kept */
    LOGSCAN_MORE, /* bytes were read: call again (and a good moment to pause) */
    LOGSCAN_END,
};

struct logscan_line {
    struct text text; /* valid until the next call */
    /* Offsets in the (uncompressed) content. Whoever reads from `from` to `to` again finds this line again.
     */
    int64_t from, to;
    bool tail; /* the file ends inside this line: somebody may still be writing it */
};

/* The reader stays the caller's; a scan uses it alone between logscan_open() and the end. */
struct logscan *logscan_new(struct logreader *reader);
void logscan_free(struct logscan *scan); /* NULL is allowed */

/* Gives the lines of a file that begin at `from` or behind it, and before `to` (0: to its end). `from` must
 * be where a line begins, `to` where one ends. */
void logscan_open(struct logscan *scan, const struct logfile *file, int64_t from, int64_t to);

enum logscan_item logscan_next(struct logscan *scan, struct logscan_line *line);

/* The offset behind the last line end so far. */
int64_t logscan_end(const struct logscan *scan);

/* No line is open there: who begins at logscan_end() later misses nothing. */
bool logscan_is_between_lines(const struct logscan *scan);

#endif
