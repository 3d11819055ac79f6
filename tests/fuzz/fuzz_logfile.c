/* Any bytes as a log file, plain and packed by gzip in members of any size, read as reports read it: every
 * line that counts alone is counted once, whether the file is read at once, or remembered and read on when it
 * has grown. What counts alone, a simple reading of the whole content says, of which nothing is shared with
 * the program's but the reading of one line. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "caps.h"
#include "sources/logfiles.h"
#include "sources/logreader.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    HEAD = 4, /* bytes of the input that say how the rest is used */
    CONTENT_MAX = 256 * 1024,
    MEMBERS_MAX = 256, /* of a gzip file */
    MEMORY = 16 * 1024 * 1024,
    TYPES = USAGE_TYPES,
    LATER = 3600, /* seconds after the file was written to: its last line is whole */
};

/* Bytes of the input that stand for many, so that small inputs reach what long lines reach. */
enum { LONG_MARK = 0x01, LONG_RUN = LINEBUF_LINE_MAX_BYTES - 24, SHORT_MARK = 0x02, SHORT_RUN = 12 * 1024 };

/* 2026-05-01T00:00:00Z to 12:30:00.5: whole hours, and one that is cut. */
static const struct instant range_start = {1777593600, 0}, range_end = {1777638600, 500000000};

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* ---- what is right ---- */

struct counts {
    uint64_t of[TYPES];
};

static void count_alone(const struct logline_rules *rules, struct text line, struct counts *counts)
{
    struct logline_event event;

    if (logline_parse(rules, line, NULL, &event) == LOGLINE_COUNTS &&
        instant_compare(event.time, range_start) >= 0 && instant_compare(event.time, range_end) <= 0)
        counts->of[event.type]++;
}

/* A line of a container, of which pieces have come. */
struct joined {
    char *bytes;
    size_t length;
    bool too_long;
};

static void join(struct joined *joined, struct text piece)
{
    if (joined->length + piece.length > LINEBUF_LINE_MAX_BYTES) {
        joined->too_long = true;
        return;
    }
    memcpy(joined->bytes + joined->length, piece.data, piece.length);
    joined->length += piece.length;
}

static void end_joined(const struct logline_rules *rules, struct joined *joined, struct counts *counts)
{
    if (joined->length > 0 && !joined->too_long)
        count_alone(rules, (struct text){joined->bytes, joined->length}, counts);
    joined->length = 0;
    joined->too_long = false;
}

static void expect_line(const struct logline_rules *rules, struct joined *joined, struct text line,
                        struct counts *counts)
{
    struct logline_piece piece;
    struct joined *open;

    if (line.length > LINEBUF_LINE_MAX_BYTES)
        return;
    if (!logline_piece(line, &piece)) {
        count_alone(rules, line, counts);
        return;
    }
    open = &joined[piece.is_stderr];
    if (open->length == 0 && !piece.continues) {
        count_alone(rules, line, counts);
        return;
    }
    join(open, open->length > 0 ? piece.content : line);
    if (!piece.continues)
        end_joined(rules, open, counts);
}

/* Line by line; a hole of NULs before a line is none of it. */
static struct counts expect(const struct logline_rules *rules, struct text content)
{
    struct joined joined[2] = {{malloc(LINEBUF_LINE_MAX_BYTES), 0, false},
                               {malloc(LINEBUF_LINE_MAX_BYTES), 0, false}};
    struct counts counts = {{0}};

    must(joined[0].bytes && joined[1].bytes);
    while (content.data != NULL && content.length > 0) {
        struct text line = text_cut(&content, '\n');

        while (line.length > 0 && line.data[0] == '\0')
            line = text_skip(line, 1);
        expect_line(rules, joined, line, &counts);
    }
    for (size_t i = 0; i < 2; i++) {
        end_joined(rules, &joined[i], &counts);
        free(joined[i].bytes);
    }
    return counts;
}

/* ---- what reports count ---- */

struct reading {
    struct logline_rules rules;
    struct cache *remembered; /* NULL: nothing is */
    char path[64];
};

static enum status_level read_file(const struct reading *reading, struct counts *counts)
{
    struct arena *arena = arena_new();
    struct usage *usage = usage_new(MEMORY);
    struct timespec now;
    struct source_context context = {
        .arena = arena, .start = range_start, .end = range_end, .remembered = reading->remembered};
    struct source_status status;
    struct logfiles_tally tally;
    struct job *job;
    enum status_level level;

    clock_gettime(CLOCK_REALTIME, &now);
    context.now = (struct instant){now.tv_sec + LATER, 0};
    context.deadline = clock_ms() + LATER;
    status_init(&status, arena, "request-logs");
    job = logfiles_start(&context, reading->path, &reading->rules, usage, &status, &tally);
    while (job->ops->step(job) != JOB_DONE)
        continue;
    *counts = (struct counts){{0}};
    for (size_t i = 0; i < usage_row_count(usage); i++)
        counts->of[usage_row(usage, i).type] += usage_row(usage, i).count;
    level = status.level;
    must((level == STATUS_OK) == (status_notes(&status) == NULL));
    usage_free(usage);
    arena_free(arena);
    return level;
}

static void must_equal(const struct reading *reading, const struct counts *right)
{
    struct counts found;

    read_file(reading, &found);
    must(memcmp(&found, right, sizeof(found)) == 0);
}

/* At once, and remembered: a report that reads, and one that finds what was read. */
static void check_whole(struct reading reading, const struct counts *right)
{
    struct cache *cache = reading.remembered;

    reading.remembered = NULL;
    must_equal(&reading, right);
    reading.remembered = cache;
    must_equal(&reading, right);
    must_equal(&reading, right);
}

/* ---- files ---- */

static void append(int fd, struct text bytes)
{
    must(write(fd, bytes.data, bytes.length) == (ssize_t)bytes.length);
}

/* It is no plain file for the program when it begins as packed ones do. */
static bool is_plain(int fd)
{
    return !logreader_is_gzip(fd) && !logreader_is_packed_otherwise(fd);
}

/* In two parts, cut anywhere; who reads before the second comes counts the first. */
static void check_plain(struct reading *reading, int fd, struct text content, size_t cut)
{
    struct text first = {content.data, cut}, second = text_skip(content, cut);
    struct counts right = expect(&reading->rules, first);

    append(fd, first);
    if (!is_plain(fd))
        return;
    must_equal(reading, &right);
    append(fd, second);
    if (!is_plain(fd))
        return;
    right = expect(&reading->rules, content);
    check_whole(*reading, &right);
}

static void pack(struct buf *to, struct text member)
{
    z_stream zlib = {0};
    unsigned char piece[4096];
    int result;

    must(deflateInit2(&zlib, member.length % 10, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
    zlib.next_in = (unsigned char *)(uintptr_t)member.data;
    zlib.avail_in = (uInt)member.length;
    do {
        zlib.next_out = piece;
        zlib.avail_out = sizeof(piece);
        result = deflate(&zlib, Z_FINISH);
        buf_add(to, (struct text){(char *)piece, sizeof(piece) - zlib.avail_out});
    } while (result == Z_OK);
    must(result == Z_STREAM_END);
    deflateEnd(&zlib);
}

/* Members of `member` bytes; one that is damaged, or ends early, gives no more than is in it, and says so. */
static void check_gzip(struct reading *reading, int fd, struct text content, size_t member, uint8_t damage)
{
    struct counts right = expect(&reading->rules, content), found;
    struct text rest = content;
    struct buf packed;
    size_t last = 0;

    if (member < content.length / MEMBERS_MAX + 1)
        member = content.length / MEMBERS_MAX + 1;
    buf_init(&packed, CONTENT_MAX * 2);
    do {
        size_t length = rest.length < member ? rest.length : member;

        last = packed.length;
        pack(&packed, (struct text){rest.data, length});
        if (damage % 4 == 1) /* what pads a tape */
            buf_add(&packed, TEXT_LITERAL("\0\0\0"));
        rest = text_skip(rest, length);
    } while (rest.length > 0);
    must(!packed.full);
    append(fd, buf_text(&packed));
    check_whole(*reading, &right);
    if (damage % 4 == 2) {
        must(ftruncate(fd, (off_t)(last + 1 + damage % (packed.length - last - 1))) == 0);
        must(read_file(reading, &found) != STATUS_OK);
        for (size_t i = 0; i < TYPES; i++)
            must(found.of[i] <= right.of[i]);
    } else if (damage % 4 == 3) {
        must(pwrite(fd, &damage, 1, (off_t)(damage * 7919u % packed.length)) == 1);
        read_file(reading, &found);
    }
    buf_free(&packed);
}

static void add_run(struct buf *content, size_t length)
{
    char piece[1024];

    memset(piece, 'x', sizeof(piece));
    for (; length > 0; length -= length < sizeof(piece) ? length : sizeof(piece))
        buf_add(content, (struct text){piece, length < sizeof(piece) ? length : sizeof(piece)});
}

static struct buf content_of(const uint8_t *data, size_t size)
{
    struct buf content;

    buf_init(&content, CONTENT_MAX);
    for (size_t i = 0; i < size; i++) {
        if (data[i] == LONG_MARK || data[i] == SHORT_MARK)
            add_run(&content, data[i] == LONG_MARK ? LONG_RUN : SHORT_RUN);
        else
            buf_add_char(&content, (char)data[i]);
    }
    return content;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading reading = {.rules = {.services_namespace = "oscar-svc"}};
    size_t place;
    struct buf content;
    int fd;

    if (size < HEAD)
        return 0;
    reading.rules.kind = data[0] & 1 ? LOGLINE_EXPOSED : LOGLINE_REQUESTS;
    place = (size_t)data[1] << 8 | data[2];
    content = content_of(data + HEAD, size - HEAD);
    fd = memfd_create("log", MFD_CLOEXEC);
    must(fd >= 0);
    snprintf(reading.path, sizeof(reading.path), "/proc/self/fd/%d", fd);
    reading.remembered = cache_new(MEMORY, (int64_t)LATER * 1000);
    if (data[0] & 2)
        check_gzip(&reading, fd, buf_text(&content), place + 1, data[3]);
    else
        check_plain(&reading, fd, buf_text(&content), content.length > 0 ? place % (content.length + 1) : 0);
    cache_free(reading.remembered);
    close(fd);
    buf_free(&content);
    return 0;
}
