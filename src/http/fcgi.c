/* Accepting is not left to libfcgi: its accept does not end when the program should, and its connections,
 * silent or kept, hold a worker each. It is given a connection on which a request waits, and gives it back.
 */
#include "http/fcgi.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <fastcgi.h>
#include <fcgiapp.h>

#include "caps.h"
#include "util/memory.h"
#include "util/timestamp.h"

struct fcgi_exchange {
    struct exchange exchange;
    FCGX_Request request;
    const atomic_int_least64_t *end; /* NULL: there is none */
    int64_t send_ms;                 /* that the kernel waits for the peer to take more, as set now */
};

static struct fcgi_exchange *backing(struct exchange *exchange)
{
    return (struct fcgi_exchange *)exchange;
}

static const char *parameter(struct exchange *exchange, const char *name)
{
    return FCGX_GetParam(name, backing(exchange)->request.envp);
}

/* The next write ends in time, whatever the peer does: one that takes a little now and then would hold the
 * worker for ever, and one that takes nothing would hold up the end of the program. False: it is over, and
 * nothing goes out any more, also not what libfcgi still holds. */
static bool hold_to_time(struct fcgi_exchange *fcgi)
{
    int64_t left = exchange_left(&fcgi->exchange, fcgi->end ? atomic_load(fcgi->end) : INT64_MAX);

    if (left <= 0) {
        shutdown(fcgi->request.ipcFd, SHUT_RDWR);
        return false;
    }
    if (left < fcgi->send_ms) {
        struct timeval timeout = {.tv_sec = left / 1000, .tv_usec = left % 1000 * 1000};

        setsockopt(fcgi->request.ipcFd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        fcgi->send_ms = left;
    }
    return true;
}

static size_t write_bytes(struct exchange *exchange, struct text bytes)
{
    FCGX_Stream *out = backing(exchange)->request.out;
    enum { WRITE_PIECE = 8 * 1024 };
    struct text rest = bytes;

    while (rest.length > 0) {
        int count = rest.length < WRITE_PIECE ? (int)rest.length : WRITE_PIECE;

        if (!hold_to_time(backing(exchange)) || FCGX_PutStr(rest.data, count, out) != count ||
            FCGX_GetError(out) != 0)
            break;
        rest = text_skip(rest, (size_t)count);
    }
    return bytes.length - rest.length;
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

struct exchange *fcgi_begin(int connection, bool nul, const atomic_int_least64_t *end)
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
    exchange->end = end;
    exchange->send_ms = LOBBY_SEND_SECONDS * INT64_C(1000); /* as the lobby has set it */
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
    hold_to_time(backing(exchange));
    FCGX_Finish_r(request);
    open = request->ipcFd >= 0;
    free(backing(exchange));
    return open;
}
