/* Descriptor 0, a Unix socket, or TCP. */
#include "http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "caps.h"

bool listen_is_inherited(void)
{
    int listening = 0;
    socklen_t size = sizeof(listening);

    return getsockopt(STDIN_FILENO, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) == 0 && listening;
}

static int inherited(const char **why)
{
    if (listen_is_inherited())
        return STDIN_FILENO;
    *why = "descriptor 0 is no listening socket: start with spawn-fcgi, or set OSCAR_METRICS_LISTEN";
    return -1;
}

/* A socket file that nobody listens on any more refuses connections. */
static bool is_left_behind(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool refused;

    if (fd < 0)
        return false;
    refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static bool bind_path(int fd, const struct sockaddr_un *address)
{
    const struct sockaddr *any = (const struct sockaddr *)address;

    if (bind(fd, any, sizeof(*address)) == 0)
        return true;
    if (errno != EADDRINUSE || !is_left_behind(address))
        return false;
    unlink(address->sun_path);
    return bind(fd, any, sizeof(*address)) == 0;
}

static int open_path(const char *path, const char **why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        *why = "the socket's path is too long";
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind_path(fd, &address) && listen(fd, LISTEN_BACKLOG_MAX) == 0)
        return fd;
    *why = errno == EADDRINUSE ? "another program listens on it" : strerror(errno);
    if (fd >= 0)
        close(fd);
    return -1;
}

static int open_one(const struct addrinfo *info)
{
    int fd = socket(info->ai_family, info->ai_socktype | SOCK_CLOEXEC, info->ai_protocol), on = 1;

    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, info->ai_addr, info->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG_MAX) == 0)
        return fd;
    close(fd);
    return -1;
}

/* "host", "[v6]" or nothing before the last colon. NULL, or why not. */
static const char *split(const char *address, char host[LISTEN_HOST_MAX_BYTES + 1], const char **port)
{
    const char *colon = strrchr(address, ':');
    size_t length;

    if (colon == NULL || colon[1] == '\0')
        return "it is neither a path nor host:port";
    *port = colon + 1;
    length = (size_t)(colon - address);
    if (length >= 2 && address[0] == '[' && colon[-1] == ']') {
        address++;
        length -= 2;
    }
    if (length > LISTEN_HOST_MAX_BYTES)
        return "its host is longer than 256 bytes";
    memcpy(host, address, length);
    host[length] = '\0';
    return NULL;
}

static int open_port(const char *address, const char **why)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM}, *all;
    char host[LISTEN_HOST_MAX_BYTES + 1];
    const char *port;
    int fd = -1, failed;

    *why = split(address, host, &port);
    if (*why)
        return -1;
    failed = getaddrinfo(host[0] ? host : NULL, port, &hints, &all);
    if (failed) {
        *why = gai_strerror(failed);
        return -1;
    }
    for (const struct addrinfo *info = all; info && fd < 0; info = info->ai_next)
        fd = open_one(info);
    if (fd < 0)
        *why = strerror(errno);
    freeaddrinfo(all);
    return fd;
}

int listen_open(const char *address, const char **why)
{
    if (address[0] == '\0')
        return inherited(why);
    return strchr(address, '/') ? open_path(address, why) : open_port(address, why);
}

void listen_remove(const char *address)
{
    if (strchr(address, '/'))
        unlink(address);
}
