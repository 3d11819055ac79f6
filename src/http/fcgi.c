/* Accepting is not left to libfcgi: its accept does not end when the program should, and its connections,
 * silent or kept, hold a worker each. It is given a connection on which a request waits, and gives it back.
 */
#include "http/fcgi.h"

#include <stdlib.h>

#include <fastcgi.h>
#include <fcgiapp.h>

#include "util/memory.h"
#include "util/timestamp.h"

struct fcgi_exchange {
    struct exchange exchange;
    FCGX_Request request;
};

static struct fcgi_exchange *backing(struct exchange *exchange)
{
    return (struct fcgi_exchange *)exchange;
}

static const char *parameter(struct exchange *exchange, const char *name)
{
    return FCGX_GetParam(name, backing(exchange)->request.envp);
}

static bool write_bytes(struct exchange *exchange, struct text bytes)
{
    FCGX_Stream *out = backing(exchange)->request.out;
    enum { WRITE_PIECE = 8 * 1024 };

    while (bytes.length > 0) {
        int count = bytes.length < WRITE_PIECE ? (int)bytes.length : WRITE_PIECE;

        /* A peer that takes a little now and then would hold the worker for ever. */
        if (exchange->until > 0 && clock_ms() >= exchange->until)
            return false;
        if (FCGX_PutStr(bytes.data, count, out) != count || FCGX_GetError(out) != 0)
            return false;
        bytes = text_skip(bytes, (size_t)count);
    }
    return true;
}

static int descriptor(struct exchange *exchange)
{
    return backing(exchange)->request.ipcFd;
}

static const struct exchange_ops fcgi_ops = {parameter, write_bytes, descriptor};

bool fcgi_init(void)
{
    return FCGX_Init() == 0;
}

struct exchange *fcgi_begin(int connection, bool nul)
{
    struct fcgi_exchange *exchange = memory_new(1, sizeof(*exchange));
    FCGX_Request *request = &exchange->request;

    if (FCGX_InitRequest(request, -1, 0) != 0)
        abort(); /* fcgi_init() was called, and nothing else is asked of it */
    /* As if a kept connection had come back with its next request. Detached: libfcgi closes without
     * lingering. */
    request->ipcFd = connection;
    request->keepConnection = 1;
    FCGX_Detach(request);
    if (FCGX_Accept_r(request) != 0) {
        free(exchange);
        return NULL;
    }
    exchange->exchange.ops = &fcgi_ops;
    exchange->exchange.began_us = clock_us();
    exchange->exchange.began = exchange->exchange.began_us / 1000;
    /* An authorizer's answer would let somebody in elsewhere. */
    exchange->exchange.invalid = nul || request->role != FCGI_RESPONDER;
    return &exchange->exchange;
}

bool fcgi_end(struct exchange *exchange)
{
    FCGX_Request *request = &backing(exchange)->request;
    bool open;

    /* Ours to close, whatever the web server asked for: a kept connection would be a silent one. */
    request->keepConnection = 1;
    FCGX_Finish_r(request);
    open = request->ipcFd >= 0;
    free(backing(exchange));
    return open;
}
