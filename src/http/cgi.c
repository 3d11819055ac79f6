/* The exchange of one process: the environment asks, standard output is answered. */
#include "http/cgi.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "http/exchange.h"
#include "http/listen.h"
#include "http/respond.h"
#include "http/serve.h"
#include "http/server.h"
#include "net/fetch.h"
#include "settings.h"
#include "util/arena.h"
#include "util/timestamp.h"

static const char *parameter(struct exchange *exchange, const char *name)
{
    (void)exchange;
    return getenv(name);
}

/* True: PIPE_BUF bytes can be written without waiting, or it shows now that nobody takes them. False: the
 * time for that is over. */
static bool wait_for_reader(const struct exchange *exchange)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    int found;

    do {
        int64_t left = exchange_left(exchange, INT64_MAX);

        found = left > 0 ? poll(&out, 1, left < INT_MAX ? (int)left : INT_MAX) : 0;
    } while (found < 0 && errno == EINTR);
    return found != 0;
}

static size_t write_bytes(struct exchange *exchange, struct text bytes)
{
    struct text rest = bytes;

    while (rest.length > 0 && wait_for_reader(exchange)) {
        ssize_t count = write(STDOUT_FILENO, rest.data, rest.length < PIPE_BUF ? rest.length : PIPE_BUF);

        if (count < 0 && errno != EINTR)
            break;
        if (count > 0)
            rest = text_skip(rest, (size_t)count);
    }
    return bytes.length - rest.length;
}

/* A pipe says when nobody reads it any more. A socket may be closed on one side only, which says nothing. */
static int descriptor(struct exchange *exchange)
{
    struct stat out;

    (void)exchange;
    return fstat(STDOUT_FILENO, &out) == 0 && S_ISFIFO(out.st_mode) ? STDOUT_FILENO : -1;
}

static struct exchange exchange_of_process(void)
{
    static const struct exchange_ops ops = {parameter, write_bytes, descriptor};

    return (struct exchange){.ops = &ops, .began = clock_ms(), .began_us = clock_us()};
}

bool cgi_is_asked(void)
{
    return text_starts(text_of(getenv("GATEWAY_INTERFACE")), "CGI/") && !listen_is_inherited();
}

static int refuse(const char *text)
{
    struct exchange exchange = exchange_of_process();
    struct request request = {.exchange = &exchange};

    request.method = request_parameter(&request, "REQUEST_METHOD");
    respond_text(&request, 500, text);
    return EXIT_FAILURE;
}

static void answer(struct settings *settings)
{
    struct server server;
    struct worker_memory memory = {.arena = arena_new()};
    struct exchange exchange = exchange_of_process();

    server_open(&server, settings, false);
    memory.fetcher = fetcher_new(server.fetch);
    if (!serve(&server, &memory, &exchange, SERVE_ADMITTED))
        abort();
    fetcher_free(memory.fetcher);
    arena_free(memory.arena);
    server_close(&server);
}

int cgi_answer(void)
{
    struct settings *settings = settings_read(settings_environment, NULL, stderr);

    signal(SIGPIPE, SIG_IGN);
    if (settings == NULL)
        return refuse("settings are wrong: see the log");
    timezone_use(settings_text(settings, OSCAR_METRICS_LOG_TIMEZONE));
    if (!fetch_library_init()) {
        settings_release(settings);
        return refuse("libcurl cannot be initialised");
    }
    answer(settings);
    settings_release(settings);
    fetch_library_cleanup();
    return EXIT_SUCCESS;
}
