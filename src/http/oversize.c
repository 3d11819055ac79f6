/* Records of output, and the one that ends a request, written by hand (FastCGI specification 1.0,
 * sections 3.3 and 5.5): libfcgi would want to read the request first. */
#include "http/oversize.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "http/exchange.h"
#include "util/memory.h"
#include "util/timestamp.h"

enum { HEADER_SIZE = 8, END_SIZE = 8, CONTENT_PIECE = 0xffff, TYPE_END = 3, TYPE_STDOUT = 6 };

struct oversize {
    struct exchange exchange;
    int connection;
    unsigned id;
};

static struct oversize *backing(struct exchange *exchange)
{
    return (struct oversize *)exchange;
}

static bool send_bytes(int connection, struct text bytes)
{
    while (bytes.length > 0) {
        ssize_t sent = send(connection, bytes.data, bytes.length, MSG_NOSIGNAL);

        if (sent <= 0)
            return false;
        bytes = text_skip(bytes, (size_t)sent);
    }
    return true;
}

static bool send_record(const struct oversize *to, int type, struct text content)
{
    const char header[HEADER_SIZE] = {
        1, (char)type, (char)(to->id >> 8), (char)to->id, (char)(content.length >> 8), (char)content.length};

    return send_bytes(to->connection, (struct text){header, sizeof(header)}) &&
           send_bytes(to->connection, content);
}

static const char *parameter(struct exchange *exchange, const char *name)
{
    (void)exchange;
    (void)name;
    return NULL;
}

static bool write_bytes(struct exchange *exchange, struct text bytes)
{
    bool sent = true;

    while (sent && bytes.length > 0) {
        size_t piece = bytes.length < CONTENT_PIECE ? bytes.length : CONTENT_PIECE;

        sent = send_record(backing(exchange), TYPE_STDOUT, (struct text){bytes.data, piece});
        bytes = text_skip(bytes, piece);
    }
    return sent;
}

static int descriptor(struct exchange *exchange)
{
    return backing(exchange)->connection;
}

static const struct exchange_ops oversize_ops = {parameter, write_bytes, descriptor};

struct exchange *oversize_begin(int connection, unsigned id)
{
    struct oversize *oversize = memory_new(1, sizeof(*oversize));

    *oversize = (struct oversize){{&oversize_ops, clock_ms(), true}, connection, id};
    return &oversize->exchange;
}

void oversize_end(struct exchange *exchange)
{
    static const char complete[END_SIZE];
    struct oversize *oversize = backing(exchange);

    /* To a peer that is gone nothing can be said. */
    (void)!(send_record(oversize, TYPE_STDOUT, (struct text){NULL, 0}) &&
            send_record(oversize, TYPE_END, (struct text){complete, sizeof(complete)}));
    free(oversize);
}
