/* Bytes of a file come into one buffer and are cut into lines there.
 * gzip is inflated here and not by gzread(), which throws away what it had unpacked in a call when it meets
 * damage. */
#include "sources/logreader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "caps.h"
#include "util/memory.h"

enum {
    PACKED_PIECE = 32 * 1024,
    GZIP_ONLY = 16 /* zlib: a gzip header, not its own */
};

struct logreader {
    int fd, error;
    bool gzip, ended;
    enum logreader_end end;
    int64_t size, offset;
    bool unpacks, between; /* zlib has its memory; between the members of a gzip file */
    z_stream zlib;
    unsigned char packed[PACKED_PIECE];
    struct linebuf lines;
};

struct logreader *logreader_new(void)
{
    return memory_new(1, sizeof(struct logreader));
}

void logreader_free(struct logreader *reader)
{
    if (reader == NULL)
        return;
    if (reader->unpacks)
        inflateEnd(&reader->zlib);
    free(reader);
}

bool logreader_is_gzip(int fd)
{
    unsigned char magic[2];

    return pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) && magic[0] == 0x1f &&
           magic[1] == 0x8b;
}

bool logreader_is_packed_otherwise(int fd)
{
    /* xz, zstd, lz4, bzip2, zip, compress */
    static const char *const magics[] = {"\xfd\x37zXZ", "\x28\xb5\x2f\xfd", "\x04\x22\x4d\x18",
                                         "BZh",         "PK\x03\x04",       "\x1f\x9d"};
    char bytes[8];
    ssize_t length = pread(fd, bytes, sizeof(bytes), 0);

    for (size_t i = 0; length > 0 && i < sizeof(magics) / sizeof(magics[0]); i++)
        if (text_starts((struct text){bytes, (size_t)length}, magics[i]))
            return true;
    return false;
}

static void finish(struct logreader *reader, enum logreader_end end)
{
    reader->ended = true;
    reader->end = end;
}

void logreader_open(struct logreader *reader, int fd, bool gzip, int64_t from, int64_t size)
{
    reader->fd = fd;
    reader->gzip = gzip;
    reader->size = size;
    reader->offset = from;
    linebuf_begin(&reader->lines, from);
    reader->ended = reader->between = false;
    reader->end = LOGREADER_WHOLE;
    reader->error = 0;
    if (!gzip)
        return;
    if (reader->unpacks)
        inflateReset(&reader->zlib);
    else
        reader->unpacks = inflateInit2(&reader->zlib, MAX_WBITS + GZIP_ONLY) == Z_OK;
    reader->zlib.avail_in = 0;
    if (!reader->unpacks) {
        reader->error = ENOMEM;
        finish(reader, LOGREADER_UNREADABLE);
    }
}

/* 0: the end of the file, or an error that ended the reading. */
static size_t read_bytes(struct logreader *reader, void *to, size_t size)
{
    ssize_t got;

    do
        got = pread(reader->fd, to, size, (off_t)reader->offset);
    while (got < 0 && errno == EINTR);
    if (got < 0) {
        reader->error = errno;
        finish(reader, LOGREADER_UNREADABLE);
        return 0;
    }
    reader->offset += got;
    return (size_t)got;
}

static bool has_shrunk(const struct logreader *reader)
{
    struct stat now;

    return fstat(reader->fd, &now) == 0 && now.st_size < reader->size;
}

static void fill_plain(struct logreader *reader, size_t room)
{
    int64_t left = reader->size - reader->offset;
    size_t got = 0;

    if (left > 0) {
        got = read_bytes(reader, reader->lines.bytes + reader->lines.filled,
                         left < (int64_t)room ? (size_t)left : room);
        reader->lines.filled += got;
    }
    if (reader->ended || (got > 0 && reader->offset < reader->size))
        return;
    finish(reader, reader->offset < reader->size || has_shrunk(reader) ? LOGREADER_SHRUNK : LOGREADER_WHOLE);
}

/* Between two members zeros may pad; whatever else comes must be a member. */
static void begin_member(struct logreader *reader)
{
    while (reader->zlib.avail_in > 0 && *reader->zlib.next_in == 0) {
        reader->zlib.next_in++;
        reader->zlib.avail_in--;
    }
    if (reader->zlib.avail_in == 0)
        return;
    inflateReset(&reader->zlib);
    reader->between = false;
}

/* One inflate() of what lies in `packed`. */
static void unpack(struct logreader *reader, size_t room)
{
    int result;

    if (reader->between)
        begin_member(reader);
    if (reader->between)
        return;
    reader->zlib.next_out = (unsigned char *)reader->lines.bytes + reader->lines.filled;
    reader->zlib.avail_out = (uInt)room;
    result = inflate(&reader->zlib, Z_NO_FLUSH);
    reader->lines.filled += room - reader->zlib.avail_out;
    if (result == Z_STREAM_END)
        reader->between = true;
    else if (result != Z_OK && result != Z_BUF_ERROR)
        finish(reader, LOGREADER_DAMAGED);
}

/* No input is left; zlib may still hold output for which there was no room. */
static void finish_gzip(struct logreader *reader, size_t room)
{
    if (!reader->between)
        unpack(reader, room);
    if (!reader->ended)
        finish(reader, reader->between ? LOGREADER_WHOLE : LOGREADER_CUT);
}

static void fill_gzip(struct logreader *reader, size_t room)
{
    size_t target = reader->lines.filled + room;

    while (!reader->ended && reader->lines.filled < target) {
        if (reader->zlib.avail_in == 0) {
            size_t got = read_bytes(reader, reader->packed, sizeof(reader->packed));

            if (got == 0) {
                if (!reader->ended)
                    finish_gzip(reader, target - reader->lines.filled);
                return;
            }
            reader->zlib.next_in = reader->packed;
            reader->zlib.avail_in = (uInt)got;
        }
        unpack(reader, target - reader->lines.filled);
    }
}

/* Up to `most` bytes, as there is room. */
static void fill(struct logreader *reader, size_t most)
{
    size_t room;

    linebuf_room(&reader->lines, &room);
    if (room > most)
        room = most;
    if (reader->gzip)
        fill_gzip(reader, room);
    else
        fill_plain(reader, room);
}

struct text logreader_peek(struct logreader *reader)
{
    while (!reader->ended && reader->lines.filled < LINEBUF_LINE_MAX_BYTES)
        fill(reader, LINEBUF_LINE_MAX_BYTES - reader->lines.filled);
    return (struct text){reader->lines.bytes, reader->lines.filled};
}

enum logreader_item logreader_next(struct logreader *reader, struct text *line)
{
    switch (linebuf_next(&reader->lines, line)) {
    case LINEBUF_LINE:
        return LOGREADER_LINE;
    case LINEBUF_LONG:
        return LOGREADER_LONG;
    case LINEBUF_MORE:
        break;
    }
    if (!reader->ended) {
        fill(reader, LINEBUF_CAPACITY);
        return LOGREADER_MORE;
    }
    if (reader->end != LOGREADER_WHOLE)
        return LOGREADER_END;
    *line = linebuf_rest(&reader->lines);
    return line->length > 0 ? LOGREADER_TAIL : LOGREADER_END;
}

enum logreader_end logreader_end(const struct logreader *reader)
{
    return reader->end;
}

int logreader_error(const struct logreader *reader)
{
    return reader->error;
}

int64_t logreader_position(const struct logreader *reader)
{
    return reader->gzip ? reader->offset - (int64_t)reader->zlib.avail_in : reader->offset;
}

int64_t logreader_line_offset(const struct logreader *reader, struct text line)
{
    return linebuf_line_offset(&reader->lines, line);
}

int64_t logreader_offset(const struct logreader *reader)
{
    return linebuf_offset(&reader->lines);
}

bool logreader_is_inside_line(const struct logreader *reader)
{
    return reader->lines.dropping;
}
