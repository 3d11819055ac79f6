/* CRI runtimes cut lines at some 16 KB and mark all pieces but the last; the time is the first one's. */
#include "sources/logscan.h"

#include <stdlib.h>

#include "caps.h"
#include "sources/logline.h"
#include "sources/logreader.h"
#include "sources/logset.h"
#include "util/buf.h"
#include "util/memory.h"

/* A line that goes on, of standard output or of standard error. */
struct open_line {
    struct buf text;
    int64_t from;
};

struct logscan {
    struct logreader *reader;
    int64_t from, to, end;
    struct open_line open[2];
    struct open_line *given; /* was given out, and is to be emptied */
    bool ended_open;         /* the file ended inside such a line */
    bool tail;               /* it ended inside any line */
};

struct logscan *logscan_new(struct logreader *reader)
{
    struct logscan *scan = memory_new(1, sizeof(*scan));

    scan->reader = reader;
    for (size_t i = 0; i < 2; i++)
        buf_init(&scan->open[i].text, LINEBUF_LINE_MAX_BYTES);
    return scan;
}

void logscan_free(struct logscan *scan)
{
    if (scan == NULL)
        return;
    for (size_t i = 0; i < 2; i++)
        buf_free(&scan->open[i].text);
    free(scan);
}

void logscan_open(struct logscan *scan, const struct logfile *file, int64_t from, int64_t to)
{
    /* gzip is unpacked from its beginning, whatever is looked for. */
    logreader_open(scan->reader, file->fd, file->gzip, file->gzip ? 0 : from, to > 0 ? to : file->size);
    scan->from = scan->end = from;
    scan->to = to > 0 ? to : INT64_MAX;
    scan->given = NULL;
    scan->ended_open = scan->tail = false;
    for (size_t i = 0; i < 2; i++)
        buf_clear(&scan->open[i].text);
}

static bool is_open(const struct open_line *open)
{
    return open->text.length > 0;
}

/* Also a line that is open begins before this one's end: to find the one is to find the other. */
static int64_t begin_of(const struct logscan *scan, int64_t from)
{
    for (size_t i = 0; i < 2; i++)
        if (is_open(&scan->open[i]) && scan->open[i].from < from)
            from = scan->open[i].from;
    return from;
}

static enum logscan_item give_open(struct logscan *scan, struct open_line *open, struct logscan_line *line)
{
    scan->given = open;
    line->text = buf_text(&open->text);
    return open->text.full ? LOGSCAN_LONG : LOGSCAN_LINE;
}

/* True: *item is to be given; false: the line goes on. */
static bool take(struct logscan *scan, struct logscan_line *line, enum logscan_item *item)
{
    struct logline_piece piece;
    struct open_line *open;
    int64_t from = line->from;

    *item = LOGSCAN_LINE;
    line->from = begin_of(scan, from);
    if (!logline_piece(line->text, &piece))
        return true;
    open = &scan->open[piece.is_stderr];
    if (!piece.continues && !is_open(open))
        return true;
    if (!is_open(open))
        open->from = from;
    buf_add(&open->text, is_open(open) ? piece.content : line->text);
    if (piece.continues)
        return false;
    *item = give_open(scan, open, line);
    return true;
}

/* Of a file that was read to its end: the lines whose last piece is not there. */
static enum logscan_item finish(struct logscan *scan, struct logscan_line *line)
{
    for (size_t i = 0; i < 2; i++) {
        struct open_line *open = &scan->open[i];

        if (!is_open(open) || logreader_end(scan->reader) != LOGREADER_WHOLE)
            continue;
        scan->ended_open = true;
        *line = (struct logscan_line){.from = open->from, .to = scan->end, .tail = true};
        return give_open(scan, open, line);
    }
    return LOGSCAN_END;
}

static void drop_given(struct logscan *scan)
{
    if (scan->given)
        buf_clear(&scan->given->text);
    scan->given = NULL;
}

enum logscan_item logscan_next(struct logscan *scan, struct logscan_line *line)
{
    enum logscan_item item;

    drop_given(scan);
    for (;;) {
        enum logreader_item read = logreader_next(scan->reader, &line->text);

        if (read == LOGREADER_MORE)
            return LOGSCAN_MORE;
        scan->tail |= read == LOGREADER_TAIL;
        if (!scan->tail && !logreader_is_inside_line(scan->reader))
            scan->end = logreader_offset(scan->reader);
        if (read == LOGREADER_END)
            return finish(scan, line);
        line->from = logreader_line_offset(scan->reader, line->text);
        line->to = logreader_offset(scan->reader);
        line->tail = read == LOGREADER_TAIL;
        if (line->from < scan->from)
            continue;
        if (line->from >= scan->to)
            return LOGSCAN_END;
        if (read == LOGREADER_LONG) {
            line->from = begin_of(scan, line->from);
            return LOGSCAN_LONG;
        }
        if (take(scan, line, &item)) {
            /* The last piece of a line: who begins there later would not have those before it. */
            scan->ended_open |= line->tail && scan->given != NULL;
            return item;
        }
    }
}

int64_t logscan_end(const struct logscan *scan)
{
    return scan->end;
}

bool logscan_is_between_lines(const struct logscan *scan)
{
    return !scan->ended_open && !logreader_is_inside_line(scan->reader) && !is_open(&scan->open[0]) &&
           !is_open(&scan->open[1]);
}
