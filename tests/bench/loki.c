/* As much of Loki as a report asks for, fast enough not to be what is measured: the entries lie in memory as
 * they are sent. `loki FOLDER MILLISECONDS`, the listening socket on descriptor 0; so long it waits before it
 * sends entries. FOLDER/streams: a line of JSON labels for each stream; FOLDER/0, 1, ...: their entries in
 * the order of time, as lines ["<ns>","<text>"],. Everything is of the namespace "oscar"; whoever asks for
 * another gets nothing. One line on standard output for each query_range: its start, end, limit, and how many
 * entries it got. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>

enum {
    STREAMS_MAX = 32,
    REQUEST_MAX = 65536,
    VALUE_MAX = 4096,
    SEPARATOR = 2,    /* of entries: ",\n" */
    LIMIT_MAX = 5000, /* Loki's default */
};

struct stream {
    char labels[512];
    const char *data;
    size_t count;
    int64_t *times;  /* nanoseconds */
    size_t *offsets; /* one more than entries */
};

static struct stream streams[STREAMS_MAX];
static size_t stream_count;
static struct timespec latency;

struct request {
    char data[REQUEST_MAX + 1];
    size_t length;
    char query[VALUE_MAX], step[VALUE_MAX];
    int64_t start, end, limit;
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void load_entries(struct stream *stream, const char *path)
{
    struct stat info;
    int file = open(path, O_RDONLY);
    size_t room = 0;

    if (file < 0 || fstat(file, &info) < 0)
        die(path);
    if (info.st_size > 0) {
        stream->data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
        if (stream->data == MAP_FAILED)
            die(path);
    }
    close(file);
    for (size_t at = 0; at < (size_t)info.st_size;) {
        const char *end = memchr(stream->data + at, '\n', (size_t)info.st_size - at);

        if (stream->count + 2 > room) {
            room = room ? room * 2 : 4096;
            stream->times = realloc(stream->times, room * sizeof(*stream->times));
            stream->offsets = realloc(stream->offsets, room * sizeof(*stream->offsets));
            if (!stream->times || !stream->offsets)
                die("memory");
        }
        stream->times[stream->count] = strtoll(stream->data + at + 2, NULL, 10);
        stream->offsets[stream->count++] = at;
        at = (size_t)(end + 1 - stream->data);
        stream->offsets[stream->count] = at;
    }
}

static void load(const char *folder)
{
    char path[4096];
    FILE *file;

    snprintf(path, sizeof(path), "%s/streams", folder);
    file = fopen(path, "r");
    if (!file)
        die(path);
    while (stream_count < STREAMS_MAX &&
           fgets(streams[stream_count].labels, sizeof(streams[0].labels), file)) {
        struct stream *stream = &streams[stream_count];

        stream->labels[strcspn(stream->labels, "\n")] = '\0';
        snprintf(path, sizeof(path), "%s/%zu", folder, stream_count++);
        load_entries(stream, path);
    }
    fclose(file);
}

/* The first place with a time of at least `when`. */
static size_t place(const struct stream *stream, int64_t when)
{
    size_t low = 0, high = stream->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (stream->times[middle] < when)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct range {
    size_t from[STREAMS_MAX], to[STREAMS_MAX];
    size_t entries, bytes;
};

static struct range find(const struct request *request, int64_t start, int64_t end)
{
    struct range range = {.entries = 0};

    if (!strstr(request->query, "namespace=\"oscar\""))
        return range;
    for (size_t i = 0; i < stream_count; i++) {
        range.from[i] = place(&streams[i], start);
        range.to[i] = place(&streams[i], end);
        range.entries += range.to[i] - range.from[i];
        if (streams[i].count)
            range.bytes += streams[i].offsets[range.to[i]] - streams[i].offsets[range.from[i]];
    }
    return range;
}

/* Leaves the first `limit` entries over all streams. */
static void cut(struct range *range, size_t limit)
{
    size_t to[STREAMS_MAX];

    if (range->entries <= limit)
        return;
    memcpy(to, range->from, sizeof(to));
    for (size_t count = 0; count < limit; count++) {
        size_t first = STREAMS_MAX;

        for (size_t i = 0; i < stream_count; i++)
            if (to[i] < range->to[i] &&
                (first == STREAMS_MAX || streams[i].times[to[i]] < streams[first].times[to[first]]))
                first = i;
        to[first]++;
    }
    memcpy(range->to, to, sizeof(to));
    range->entries = limit;
}

static bool send_all(int connection, struct iovec *parts, size_t count)
{
    while (count > 0) {
        ssize_t sent = writev(connection, parts, (int)count);

        if (sent < 0)
            return false;
        while (count > 0 && (size_t)sent >= parts->iov_len) {
            sent -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + sent;
            parts->iov_len -= (size_t)sent;
        }
    }
    return true;
}

static bool send_head_and(int connection, const char *status, const char *type, struct iovec *parts,
                          size_t count)
{
    char head[256];
    size_t length = 0;

    for (size_t i = 1; i < count; i++)
        length += parts[i].iov_len;
    parts[0].iov_base = head;
    parts[0].iov_len =
        (size_t)snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                         status, type, length);
    return send_all(connection, parts, count);
}

static bool send_text(int connection, const char *status, const char *type, char *body)
{
    struct iovec parts[2] = {[1] = {body, strlen(body)}};

    return send_head_and(connection, status, type, parts, 2);
}

#define TYPE_JSON "application/json; charset=UTF-8"

static struct iovec text_part(const char *text)
{
    return (struct iovec){(char *)text, strlen(text)};
}

static bool send_entries(int connection, const struct request *request)
{
    static const char head[] = "{\"status\":\"success\",\"data\":{\"resultType\":\"streams\",\"result\":[";
    struct iovec parts[3 + 5 * STREAMS_MAX];
    struct range range = find(request, request->start, request->end);
    size_t count = 1;
    bool any = false;

    nanosleep(&latency, NULL);
    cut(&range, (size_t)request->limit);
    printf("%" PRId64 " %" PRId64 " %" PRId64 " %zu\n", request->start, request->end, request->limit,
           range.entries);
    parts[count++] = text_part(head);
    for (size_t i = 0; i < stream_count; i++) {
        const struct stream *stream = &streams[i];

        if (range.from[i] == range.to[i])
            continue;
        parts[count++] = text_part(any ? ",{\"stream\":" : "{\"stream\":");
        any = true;
        parts[count++] = text_part(stream->labels);
        parts[count++] = text_part(",\"values\":[");
        parts[count++] =
            (struct iovec){(char *)stream->data + stream->offsets[range.from[i]],
                           stream->offsets[range.to[i]] - stream->offsets[range.from[i]] - SEPARATOR};
        parts[count++] = text_part("]}");
    }
    parts[count++] = text_part("],\"stats\":{}}}");
    return send_head_and(connection, "200 OK", TYPE_JSON, parts, count);
}

static bool send_stats(int connection, const struct request *request)
{
    struct range range = find(request, request->start, request->end);
    char body[256];

    snprintf(body, sizeof(body), "{\"streams\":%zu,\"chunks\":%zu,\"bytes\":%zu,\"entries\":%zu}",
             stream_count, stream_count, range.bytes, range.entries);
    return send_text(connection, "200 OK", TYPE_JSON, body);
}

static bool send_volumes(int connection, const struct request *request)
{
    int64_t step = strtoll(request->step, NULL, 10) * 1000000000;
    char *body = NULL;
    size_t length;
    FILE *out = open_memstream(&body, &length);
    bool sent, any = false;

    if (!out || step <= 0)
        return false;
    fputs("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":["
          "{\"metric\":{\"namespace\":\"oscar\"},\"values\":[",
          out);
    for (int64_t at = request->start; at < request->end; at += step) {
        struct range range = find(request, at, at + step < request->end ? at + step : request->end);

        if (range.bytes)
            fprintf(out, "%s[%" PRId64 ",\"%zu\"]", any ? "," : "", at / 1000000000, range.bytes);
        any = any || range.bytes;
    }
    fputs("]}]}}", out);
    fclose(out);
    sent = send_text(connection, "200 OK", TYPE_JSON, body);
    free(body);
    return sent;
}

static int digit(char c)
{
    const char *digits = "0123456789abcdef", *found = strchr(digits, c | 0x20);

    return found && c ? (int)(found - digits) : 0;
}

/* The value of a parameter, decoded. */
static void value(const char *form, const char *name, char *out)
{
    size_t length = strlen(name), at = 0;

    while (form && (strncmp(form, name, length) != 0 || form[length] != '=')) {
        form = strchr(form, '&');
        form = form ? form + 1 : NULL;
    }
    for (form = form ? form + length + 1 : ""; *form && *form != '&' && *form != ' ' && at < VALUE_MAX - 1;
         form++) {
        if (*form == '%' && form[1] && form[2]) {
            out[at++] = (char)(digit(form[1]) << 4 | digit(form[2]));
            form += 2;
        } else {
            out[at++] = *form == '+' ? ' ' : *form;
        }
    }
    out[at] = '\0';
}

static int64_t number(const char *form, const char *name)
{
    char text[VALUE_MAX];

    value(form, name, text);
    return strtoll(text, NULL, 10);
}

static bool answer(int connection, struct request *request, char *form)
{
    const char *path = strchr(request->data, ' ') + 1;
    char *query = strpbrk(request->data + (path - request->data), "? \r");

    if (query && *query == '?')
        form = query + 1;
    value(form, "query", request->query);
    value(form, "step", request->step);
    request->start = number(form, "start");
    request->end = number(form, "end");
    request->limit = number(form, "limit");
    if (strncmp(path, "/loki/api/v1/query_range", 24) == 0 && request->limit > 0 &&
        request->limit <= LIMIT_MAX && strstr(form, "direction=forward"))
        return send_entries(connection, request);
    if (strncmp(path, "/loki/api/v1/index/stats", 24) == 0)
        return send_stats(connection, request);
    if (strncmp(path, "/loki/api/v1/index/volume_range", 31) == 0)
        return send_volumes(connection, request);
    return send_text(connection, "400 Bad Request", "text/plain", (char[]){"not asked for here"});
}

/* Reads until head and body are there; where the body begins, or NULL at the end. */
static char *receive(int connection, struct request *request)
{
    request->length = 0;
    for (;;) {
        ssize_t got = recv(connection, request->data + request->length, REQUEST_MAX - request->length, 0);
        char *end, *said;

        if (got <= 0)
            return NULL;
        request->length += (size_t)got;
        request->data[request->length] = '\0';
        end = strstr(request->data, "\r\n\r\n");
        said = strcasestr(request->data, "\r\nContent-Length:");
        if (end && request->length >= (size_t)(end + 4 - request->data) +
                                          (said && said < end ? strtoul(said + 17, NULL, 10) : 0))
            return end + 4;
    }
}

static void *serve(void *context)
{
    int connection = (int)(intptr_t)context, on = 1;
    struct request *request = malloc(sizeof(*request));
    char *body;

    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    while (request && (body = receive(connection, request)) && answer(connection, request, body))
        continue;
    free(request);
    close(connection);
    return NULL;
}

int main(int count, char **arguments)
{
    if (count != 3)
        return 2;
    latency.tv_nsec = strtol(arguments[2], NULL, 10) * 1000000;
    setvbuf(stdout, NULL, _IOLBF, 0);
    load(arguments[1]);
    for (;;) {
        int connection = accept(0, NULL, NULL);
        pthread_t thread;

        if (connection < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection) != 0)
            die("accept");
        pthread_detach(thread);
    }
}
