/* One thread; a connection a request, unless it is kept. */
#include "http_server.h"

#include "net/fetch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/memory.h"

enum { MAX_REQUESTS = 8, MAX_REQUEST_BYTES = 256 * 1024, MAX_HELD = 32 };

struct http_server {
    const struct http_reply *replies;
    size_t count, together;
    http_choose *choose; /* NULL: by the replies */
    void *context;
    int listener, arrived[2]; /* a pipe: a byte for each request */
    int connections[MAX_HELD];
    char *requests[MAX_REQUESTS];
    char url[64];
    pthread_t thread;
};

static void check(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    abort();
}

static size_t body_length(const char *head)
{
    const char *field = strstr(head, "\r\nContent-Length:");
    size_t length = 0;

    if (field == NULL)
        return 0;
    for (field += strlen("\r\nContent-Length: "); *field >= '0' && *field <= '9'; field++)
        length = length * 10 + (size_t)(*field - '0');
    return length;
}

static void read_request(int connection, char *out)
{
    size_t length = 0;

    for (;;) {
        ssize_t got = recv(connection, out + length, MAX_REQUEST_BYTES - 1 - length, 0);
        const char *end;

        if (got <= 0)
            return;
        length += (size_t)got;
        out[length] = '\0';
        end = strstr(out, "\r\n\r\n");
        if (end && length >= (size_t)(end + 4 - out) + body_length(out))
            return;
    }
}

static void hang_up(struct http_server *server, size_t i)
{
    if (server->connections[i] >= 0)
        close(server->connections[i]);
    server->connections[i] = -1;
}

/* False when the server is being stopped. */
static bool take_request(struct http_server *server, size_t i)
{
    bool kept = i > 0 && server->replies[i - 1].keep;

    if (kept) {
        server->connections[i] = server->connections[i - 1];
        server->connections[i - 1] = -1;
    } else {
        server->connections[i] = accept(server->listener, NULL, NULL);
    }
    if (server->connections[i] < 0)
        return false;
    if (server->replies[i].close_at_once)
        return true;
    read_request(server->connections[i], server->requests[i]);
    check(write(server->arrived[1], "x", 1) == 1, "write");
    return true;
}

static void answer(struct http_server *server, size_t i)
{
    const struct http_reply *reply = &server->replies[i];

    if (reply->bytes && !reply->close_at_once)
        (void)!send(server->connections[i], reply->bytes, strlen(reply->bytes), MSG_NOSIGNAL);
    if (reply->close_at_once || (reply->bytes && !reply->keep))
        hang_up(server, i);
}

static void *serve(void *context)
{
    struct http_server *server = context;

    for (size_t i = 0; i < server->together; i++)
        if (!take_request(server, i))
            return NULL;
    for (size_t i = 0; i < server->together; i++)
        answer(server, i);
    for (size_t i = server->together; i < server->count && take_request(server, i); i++)
        answer(server, i);
    return NULL;
}

/* The requests of such a server all go into the first buffer. */
static void *serve_chosen(void *context)
{
    struct http_server *server = context;
    size_t held = 0;

    for (;;) {
        int connection = accept(server->listener, NULL, NULL);
        const char *bytes;

        if (connection < 0)
            return NULL;
        server->requests[0][0] = '\0';
        read_request(connection, server->requests[0]);
        bytes = server->choose(server->context, server->requests[0]);
        if (bytes == NULL) {
            check(held < MAX_HELD, "too many requests without an answer");
            server->connections[held++] = connection;
            continue;
        }
        (void)!send(connection, bytes, strlen(bytes), MSG_NOSIGNAL);
        close(connection);
    }
}

static struct http_server *start(struct http_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);

    for (size_t i = 0; i < MAX_HELD; i++)
        server->connections[i] = -1;
    for (size_t i = 0; i < MAX_REQUESTS; i++)
        server->requests[i] = memory_new(MAX_REQUEST_BYTES, 1);
    check(pipe(server->arrived) == 0, "pipe");
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    check(server->listener >= 0, "socket");
    check(bind(server->listener, (struct sockaddr *)&address, length) == 0, "bind");
    check(listen(server->listener, SOMAXCONN) == 0, "listen");
    check(getsockname(server->listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    check(pthread_create(&server->thread, NULL, server->choose ? serve_chosen : serve, server) == 0,
          "pthread_create");
    return server;
}

struct http_server *http_server_start(const struct http_reply *replies, size_t count, size_t together)
{
    struct http_server *server = memory_new(1, sizeof(*server));

    check(count <= MAX_REQUESTS, "too many replies");
    server->replies = replies;
    server->count = count;
    server->together = together;
    return start(server);
}

struct http_server *http_server_start_choosing(http_choose *choose, void *context)
{
    struct http_server *server = memory_new(1, sizeof(*server));

    server->choose = choose;
    server->context = context;
    return start(server);
}

void http_server_stop(struct http_server *server)
{
    shutdown(server->listener, SHUT_RDWR); /* ends accept() */
    pthread_join(server->thread, NULL);
    close(server->listener);
    close(server->arrived[0]);
    close(server->arrived[1]);
    for (size_t i = 0; i < MAX_HELD; i++)
        hang_up(server, i);
    for (size_t i = 0; i < MAX_REQUESTS; i++)
        free(server->requests[i]);
    free(server);
}

const char *http_server_url(const struct http_server *server)
{
    return server->url;
}

int http_server_arrived(const struct http_server *server)
{
    return server->arrived[0];
}

const char *http_server_request(const struct http_server *server, size_t number)
{
    return server->requests[number];
}

int init_library(void **state)
{
    (void)state;
    return fetch_library_init() ? 0 : -1;
}

int cleanup_library(void **state)
{
    (void)state;
    fetch_library_cleanup();
    return 0;
}
