/* One epoll instance watches the listener and all connections. */
#include "server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CONNECTIONS = 32, REQUEST_SIZE = 4096, REPLY_SIZE = 1024 * 1024 };

struct connection {
    int fd; /* -1: free */
    size_t asked, to_send, sent;
    bool closes;
    char request[REQUEST_SIZE];
    char *reply;
};

struct server {
    int listener, epoll;
    char url[64];
    struct connection connections[CONNECTIONS];
};

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* Edges would be missed by somebody who looks at the readiness of the instance alone. */
static void watch(struct server *server, int fd, struct connection *connection, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = connection};

    must(epoll_ctl(server->epoll, how, fd, &event) == 0);
}

struct server *server_start(void)
{
    struct server *server = calloc(1, sizeof(*server));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);

    must(server != NULL);
    for (size_t i = 0; i < CONNECTIONS; i++)
        server->connections[i].fd = -1;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    must(server->listener >= 0 && server->epoll >= 0);
    must(bind(server->listener, (struct sockaddr *)&address, sizeof(address)) == 0);
    must(listen(server->listener, CONNECTIONS) == 0);
    must(getsockname(server->listener, (struct sockaddr *)&address, &length) == 0);
    snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%d", ntohs(address.sin_port));
    watch(server, server->listener, NULL, EPOLL_CTL_ADD, EPOLLIN);
    return server;
}

const char *server_url(const struct server *server)
{
    return server->url;
}

int server_watched(const struct server *server)
{
    return server->epoll;
}

static void end(struct connection *connection)
{
    close(connection->fd);
    free(connection->reply);
    *connection = (struct connection){.fd = -1};
}

static void accept_one(struct server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct connection *connection = server->connections;

    if (fd < 0)
        return;
    while (connection < server->connections + CONNECTIONS && connection->fd >= 0)
        connection++;
    must(connection < server->connections + CONNECTIONS);
    connection->fd = fd;
    watch(server, fd, connection, EPOLL_CTL_ADD, EPOLLIN);
}

static void send_some(struct server *server, struct connection *connection)
{
    ssize_t sent = send(connection->fd, connection->reply + connection->sent,
                        connection->to_send - connection->sent, MSG_NOSIGNAL);

    if (sent < 0 && errno != EAGAIN) { /* the other side has heard enough */
        end(connection);
        return;
    }
    connection->sent += sent > 0 ? (size_t)sent : 0;
    if (connection->sent < connection->to_send) {
        watch(server, connection->fd, connection, EPOLL_CTL_MOD, EPOLLOUT);
        return;
    }
    if (connection->closes) {
        end(connection);
        return;
    }
    free(connection->reply);
    connection->reply = NULL;
    connection->asked = 0;
    watch(server, connection->fd, connection, EPOLL_CTL_MOD, EPOLLIN);
}

static void read_some(struct server *server, struct connection *connection, server_answer *answer,
                      void *context)
{
    ssize_t got =
        recv(connection->fd, connection->request + connection->asked, REQUEST_SIZE - connection->asked, 0);
    struct server_reply reply;

    if (got <= 0) {
        end(connection);
        return;
    }
    connection->asked += (size_t)got;
    if (memmem(connection->request, connection->asked, "\r\n\r\n", 4) == NULL)
        return;
    reply = answer(context, (struct text){connection->request, connection->asked});
    connection->to_send = reply.head.length + reply.body.length;
    connection->sent = 0;
    connection->closes = reply.closes;
    connection->reply = malloc(connection->to_send + 1);
    must(connection->reply != NULL && connection->to_send <= REPLY_SIZE);
    if (reply.head.length > 0)
        memcpy(connection->reply, reply.head.data, reply.head.length);
    if (reply.body.length > 0)
        memcpy(connection->reply + reply.head.length, reply.body.data, reply.body.length);
    send_some(server, connection);
}

void server_turn(struct server *server, server_answer *answer, void *context)
{
    struct epoll_event event;

    while (epoll_wait(server->epoll, &event, 1, 0) == 1) {
        struct connection *connection = event.data.ptr;

        if (connection == NULL)
            accept_one(server);
        else if (connection->reply)
            send_some(server, connection);
        else
            read_some(server, connection, answer, context);
    }
}

void server_forget(struct server *server)
{
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (server->connections[i].fd >= 0)
            end(&server->connections[i]);
    for (int fd; (fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
        close(fd);
}
