/* One connection after the other. */
#include "provider.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/memory.h"

enum { MAX_HEAD_BYTES = 64 * 1024 };

struct stand_in {
    int listener, arrived[2];
    char url[64];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t released;
    bool held, stopped;
    struct {
        char *status, *body;
    } answers[ROUTES];
    struct {
        char *token, *body;
    } users[STAND_IN_USERS];
    size_t user_count;
    atomic_uint asked[ROUTES];
    char head[MAX_HEAD_BYTES];
};

static void check(bool fine, const char *what)
{
    if (fine)
        return;
    perror(what);
    abort();
}

static bool read_head(struct stand_in *provider, int connection)
{
    size_t length = 0;

    while (length < MAX_HEAD_BYTES - 1) {
        ssize_t got = recv(connection, provider->head + length, MAX_HEAD_BYTES - 1 - length, 0);

        if (got <= 0)
            return false;
        length += (size_t)got;
        provider->head[length] = '\0';
        if (strstr(provider->head, "\r\n\r\n"))
            return true;
    }
    return false;
}

static enum route find_route(const char *head)
{
    static const char *const lines[] = {"GET /.well-known/openid-configuration ", "GET /keys ",
                                        "GET /userinfo "};

    for (size_t i = 0; i < ROUTE_OTHER; i++)
        if (strncmp(head, lines[i], strlen(lines[i])) == 0)
            return (enum route)i;
    return ROUTE_OTHER;
}

/* The lock is held. */
static void send_answer(struct stand_in *provider, int connection, enum route route)
{
    const char *status = provider->answers[route].status, *body = provider->answers[route].body;
    char *bytes;
    int length;

    if (route == ROUTE_USERINFO && provider->user_count > 0) {
        status = "401 Unauthorized";
        body = "";
        for (size_t i = 0; i < provider->user_count; i++)
            if (strstr(provider->head, provider->users[i].token)) {
                status = "200 OK";
                body = provider->users[i].body;
            }
    }
    if (status == NULL)
        return;
    length = asprintf(&bytes, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", status,
                      strlen(body), body);
    check(length > 0, "asprintf");
    for (char *at = bytes; length > 0;) {
        ssize_t sent = send(connection, at, (size_t)length, MSG_NOSIGNAL);

        if (sent <= 0)
            break;
        at += sent;
        length -= (int)sent;
    }
    free(bytes);
}

static void *serve(void *context)
{
    struct stand_in *provider = context;
    int connection;

    while ((connection = accept(provider->listener, NULL, NULL)) >= 0) {
        if (read_head(provider, connection)) {
            enum route route = find_route(provider->head);

            atomic_fetch_add(&provider->asked[route], 1);
            check(write(provider->arrived[1], "x", 1) == 1, "write");
            pthread_mutex_lock(&provider->lock);
            while (provider->held && !provider->stopped)
                pthread_cond_wait(&provider->released, &provider->lock);
            send_answer(provider, connection, route);
            pthread_mutex_unlock(&provider->lock);
        }
        close(connection);
    }
    return NULL;
}

struct stand_in *stand_in_start(void)
{
    struct stand_in *provider = memory_new(1, sizeof(*provider));
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof(address);

    pthread_mutex_init(&provider->lock, NULL);
    pthread_cond_init(&provider->released, NULL);
    check(pipe(provider->arrived) == 0, "pipe");
    provider->listener = socket(AF_INET, SOCK_STREAM, 0);
    check(provider->listener >= 0, "socket");
    check(bind(provider->listener, (struct sockaddr *)&address, length) == 0, "bind");
    check(listen(provider->listener, SOMAXCONN) == 0, "listen");
    check(getsockname(provider->listener, (struct sockaddr *)&address, &length) == 0, "getsockname");
    snprintf(provider->url, sizeof(provider->url), "http://127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    for (size_t i = 0; i < ROUTES; i++)
        stand_in_answer(provider, (enum route)i, "404 Not Found", "");
    check(pthread_create(&provider->thread, NULL, serve, provider) == 0, "pthread_create");
    return provider;
}

void stand_in_stop(struct stand_in *provider)
{
    pthread_mutex_lock(&provider->lock);
    provider->stopped = true;
    pthread_cond_broadcast(&provider->released);
    pthread_mutex_unlock(&provider->lock);
    shutdown(provider->listener, SHUT_RDWR); /* ends accept() */
    pthread_join(provider->thread, NULL);
    close(provider->listener);
    close(provider->arrived[0]);
    close(provider->arrived[1]);
    for (size_t i = 0; i < ROUTES; i++) {
        free(provider->answers[i].status);
        free(provider->answers[i].body);
    }
    for (size_t i = 0; i < provider->user_count; i++) {
        free(provider->users[i].token);
        free(provider->users[i].body);
    }
    pthread_cond_destroy(&provider->released);
    pthread_mutex_destroy(&provider->lock);
    free(provider);
}

const char *stand_in_url(const struct stand_in *provider)
{
    return provider->url;
}

static char *copy(const char *string)
{
    return string ? memory_copy(string, strlen(string)) : NULL;
}

void stand_in_answer(struct stand_in *provider, enum route route, const char *status, const char *body)
{
    pthread_mutex_lock(&provider->lock);
    free(provider->answers[route].status);
    free(provider->answers[route].body);
    provider->answers[route].status = copy(status);
    provider->answers[route].body = copy(body);
    pthread_mutex_unlock(&provider->lock);
}

void stand_in_add_user(struct stand_in *provider, const char *token, const char *body)
{
    pthread_mutex_lock(&provider->lock);
    check(provider->user_count < STAND_IN_USERS, "too many users");
    provider->users[provider->user_count].token = copy(token);
    provider->users[provider->user_count++].body = copy(body);
    pthread_mutex_unlock(&provider->lock);
}

unsigned stand_in_asked(const struct stand_in *provider, enum route route)
{
    return atomic_load(&provider->asked[route]);
}

void stand_in_hold(struct stand_in *provider)
{
    pthread_mutex_lock(&provider->lock);
    provider->held = true;
    pthread_mutex_unlock(&provider->lock);
}

void stand_in_release(struct stand_in *provider)
{
    pthread_mutex_lock(&provider->lock);
    provider->held = false;
    pthread_cond_broadcast(&provider->released);
    pthread_mutex_unlock(&provider->lock);
}

int stand_in_arrived(const struct stand_in *provider)
{
    return provider->arrived[0];
}
