/* epoll over the listening socket, an eventfd for the end, and the guests (edge-triggered: a guest is looked
 * at when something new came). */
#include "http/lobby.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "caps.h"
#include "http/record.h"
#include "log.h"
#include "util/memory.h"
#include "util/timestamp.h"

struct guest {
    struct guest *older, *newer; /* within its list */
    struct queue *queue;
    int fd;
    int64_t until; /* clock_ms() */
};

/* Guests with the same patience, the oldest first: its end comes first. */
struct queue {
    struct guest *oldest, *newest;
    size_t count;
    int64_t patience_ms;
};

struct lobby {
    pthread_mutex_t turn;  /* who accepts and looks */
    pthread_mutex_t lists; /* the queues and the count */
    int epoll, stop, listening;
    bool closing; /* the turn's */
    struct queue arriving, leaving;
    size_t guests;
    char look[LOBBY_LOOK_MAX_BYTES];
};

static void watch(struct lobby *lobby, int fd, uint32_t events, void *who)
{
    struct epoll_event event = {.events = events, .data.ptr = who};

    if (epoll_ctl(lobby->epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        log_event(LOG_ERROR, "a descriptor cannot be watched", NULL);
}

struct lobby *lobby_new(int listening)
{
    struct lobby *lobby = memory_new(1, sizeof(*lobby));
    int flags = fcntl(listening, F_GETFL);

    lobby->listening = listening;
    lobby->epoll = epoll_create1(EPOLL_CLOEXEC);
    lobby->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (flags < 0 || fcntl(listening, F_SETFL, flags | O_NONBLOCK) < 0 || lobby->epoll < 0 ||
        lobby->stop < 0) {
        if (lobby->epoll >= 0)
            close(lobby->epoll);
        if (lobby->stop >= 0)
            close(lobby->stop);
        free(lobby);
        return NULL;
    }
    pthread_mutex_init(&lobby->turn, NULL);
    pthread_mutex_init(&lobby->lists, NULL);
    lobby->arriving.patience_ms = LOBBY_PATIENCE_MS;
    lobby->leaving.patience_ms = LOBBY_LINGER_MS;
    watch(lobby, lobby->stop, EPOLLIN, &lobby->stop);
    watch(lobby, listening, EPOLLIN, &lobby->listening);
    return lobby;
}

/* The lists' lock is held. The descriptor stays open and leaves epoll. */
static int let_go(struct lobby *lobby, struct guest *guest)
{
    struct queue *queue = guest->queue;
    int fd = guest->fd;

    *(guest->older ? &guest->older->newer : &queue->oldest) = guest->newer;
    *(guest->newer ? &guest->newer->older : &queue->newest) = guest->older;
    epoll_ctl(lobby->epoll, EPOLL_CTL_DEL, fd, NULL);
    queue->count--;
    lobby->guests--;
    free(guest);
    return fd;
}

static void close_guest(struct lobby *lobby, struct guest *guest)
{
    close(let_go(lobby, guest));
}

/* The lists' lock is held. */
static void take_in(struct lobby *lobby, struct queue *queue, int fd)
{
    struct guest *guest = memory_new(1, sizeof(*guest));

    *guest = (struct guest){
        .older = queue->newest, .queue = queue, .fd = fd, .until = clock_ms() + queue->patience_ms};
    *(queue->newest ? &queue->newest->newer : &queue->oldest) = guest;
    queue->newest = guest;
    queue->count++;
    lobby->guests++;
    /* EPOLLOUT is there at once: whoever waits hears of a guest whose time it did not know of. */
    watch(lobby, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, guest);
}

static void take_leave(struct lobby *lobby, int fd)
{
    pthread_mutex_lock(&lobby->lists);
    if (lobby->guests < LOBBY_GUESTS_MAX)
        take_in(lobby, &lobby->leaving, fd);
    else
        close(fd);
    pthread_mutex_unlock(&lobby->lists);
}

/* What the bytes that wait on a connection say; RECORD_WRONG also when the peer is gone, or they are more
 * than anybody sends. */
static enum record_verdict look_at(struct lobby *lobby, int fd, struct record_seen *seen)
{
    ssize_t length = recv(fd, lobby->look, sizeof(lobby->look), MSG_PEEK | MSG_DONTWAIT);
    enum record_verdict verdict;

    if (length < 0)
        return errno == EAGAIN || errno == EINTR ? RECORD_MORE : RECORD_WRONG;
    if (length == 0)
        return RECORD_WRONG;
    verdict = record_look((struct text){lobby->look, (size_t)length}, seen);
    return verdict == RECORD_MORE && (size_t)length == sizeof(lobby->look) ? RECORD_WRONG : verdict;
}

static void set_timeout(int fd, int option, time_t seconds)
{
    struct timeval timeout = {.tv_sec = seconds};

    setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof(timeout));
}

/* In place of the oldest when there are too many. Only the thread whose turn it is closes guests: another
 * could close the one that it is about to look at. */
static void await_request(struct lobby *lobby, int fd)
{
    pthread_mutex_lock(&lobby->lists);
    if (lobby->guests >= LOBBY_GUESTS_MAX)
        close_guest(lobby, lobby->leaving.oldest ? lobby->leaving.oldest : lobby->arriving.oldest);
    take_in(lobby, &lobby->arriving, fd);
    pthread_mutex_unlock(&lobby->lists);
}

static const struct arrival nobody = {.connection = -1};

/* Accepts one connection; gives it when its request is already there. */
static struct arrival receive(struct lobby *lobby)
{
    int fd = accept4(lobby->listening, NULL, NULL, SOCK_CLOEXEC);
    struct arrival arrival = {.connection = fd};
    enum record_verdict verdict;

    if (fd < 0) {
        /* Without a free descriptor the socket stays readable: no spinning until one is given back. */
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            struct timespec pause = {.tv_nsec = LOBBY_OUT_OF_DESCRIPTORS_MS * 1000000L};

            log_event(LOG_ERROR, "no descriptor for a new connection", NULL);
            nanosleep(&pause, NULL);
        }
        return nobody;
    }
    set_timeout(fd, SO_RCVTIMEO, LOBBY_RECEIVE_SECONDS);
    set_timeout(fd, SO_SNDTIMEO, LOBBY_SEND_SECONDS);
    verdict = look_at(lobby, fd, &arrival.seen);
    if (verdict == RECORD_READY)
        return arrival;
    if (verdict == RECORD_WRONG) {
        close(fd);
        return nobody;
    }
    await_request(lobby, fd);
    return nobody;
}

/* Throws away what a leaving peer still sends; true when it has closed its side. One that sends without an
 * end gets no more than its share of this thread's time: what comes next is heard of as well. */
static bool drain(struct lobby *lobby, int fd)
{
    enum { DRAIN_PIECE = 16 };
    ssize_t length = 1;

    for (int reads = 0; length > 0 && reads < DRAIN_PIECE; reads++)
        length = recv(fd, lobby->look, sizeof(lobby->look), MSG_DONTWAIT);
    return length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR);
}

/* Something new from a guest: gives its connection when the request is now there. Of one who has gone within
 * it, or will send no more, the rest does not come. */
static struct arrival attend(struct lobby *lobby, struct guest *guest, uint32_t events)
{
    bool ended = events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    struct arrival arrival = nobody;

    pthread_mutex_lock(&lobby->lists);
    if (guest->queue == &lobby->leaving) {
        if (drain(lobby, guest->fd))
            close_guest(lobby, guest);
    } else {
        enum record_verdict verdict = look_at(lobby, guest->fd, &arrival.seen);

        if (verdict == RECORD_READY)
            arrival.connection = let_go(lobby, guest);
        else if (verdict == RECORD_WRONG || ended)
            close_guest(lobby, guest);
    }
    pthread_mutex_unlock(&lobby->lists);
    return arrival;
}

/* Closes those whose time is over; how long until the next one's is (-1: there is none). */
static int send_away(struct lobby *lobby)
{
    struct queue *queues[] = {&lobby->arriving, &lobby->leaving};
    int64_t now = clock_ms(), next = -1;

    pthread_mutex_lock(&lobby->lists);
    for (size_t i = 0; i < 2; i++) {
        /* Who is let go is the oldest no more, which the analyzer does not see. */
        while (queues[i]->oldest && queues[i]->oldest->until <= now) // NOLINT(clang-analyzer-unix.Malloc)
            close_guest(lobby, queues[i]->oldest);
        if (queues[i]->oldest && (next < 0 || queues[i]->oldest->until - now < next))
            next = queues[i]->oldest->until - now;
    }
    pthread_mutex_unlock(&lobby->lists);
    return (int)next;
}

/* A connection that was accepted is lost to whoever serves the socket next: its request may be on its way. */
static void begin_to_close(struct lobby *lobby)
{
    int64_t end = clock_ms() + LOBBY_CLOSING_MS;

    lobby->closing = true;
    epoll_ctl(lobby->epoll, EPOLL_CTL_DEL, lobby->stop, NULL);
    epoll_ctl(lobby->epoll, EPOLL_CTL_DEL, lobby->listening, NULL);
    pthread_mutex_lock(&lobby->lists);
    for (struct guest *guest = lobby->arriving.oldest; guest; guest = guest->newer)
        if (guest->until > end)
            guest->until = end;
    pthread_mutex_unlock(&lobby->lists);
}

/* Who sends others away may leave nobody to wait for. Who leaves is waited for, too: a connection that is
 * closed with bytes unread takes back what the peer has not got yet. */
static bool is_over(struct lobby *lobby)
{
    bool empty;

    pthread_mutex_lock(&lobby->lists);
    empty = lobby->guests == 0;
    pthread_mutex_unlock(&lobby->lists);
    return lobby->closing && empty;
}

struct arrival lobby_next(struct lobby *lobby)
{
    struct arrival arrival = nobody;

    pthread_mutex_lock(&lobby->turn);
    while (arrival.connection < 0) {
        struct epoll_event event;
        int patience = send_away(lobby);

        if (is_over(lobby))
            break;
        /* One event at a time: what is left over stays the kernel's, also for the thread that comes next. */
        if (epoll_wait(lobby->epoll, &event, 1, patience) <= 0)
            continue;
        if (event.data.ptr == &lobby->stop)
            begin_to_close(lobby);
        else if (event.data.ptr == &lobby->listening)
            arrival = receive(lobby);
        else
            arrival = attend(lobby, event.data.ptr, event.events);
    }
    pthread_mutex_unlock(&lobby->turn);
    return arrival;
}

size_t lobby_arriving(struct lobby *lobby)
{
    size_t count;

    pthread_mutex_lock(&lobby->lists);
    count = lobby->arriving.count;
    pthread_mutex_unlock(&lobby->lists);
    return count;
}

void lobby_leave(struct lobby *lobby, const struct arrival *served)
{
    int domain = AF_INET;
    socklen_t size = sizeof(domain);

    /* A Unix socket hands over what was written even when the writer is gone. */
    if (served->seen.whole && getsockopt(served->connection, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
        domain == AF_UNIX) {
        close(served->connection);
        return;
    }
    shutdown(served->connection, SHUT_WR);
    take_leave(lobby, served->connection);
}

void lobby_close(struct lobby *lobby)
{
    uint64_t one = 1;

    if (write(lobby->stop, &one, sizeof(one)) < 0)
        log_event(LOG_ERROR, "the workers cannot be told to stop", NULL);
}

void lobby_free(struct lobby *lobby)
{
    if (lobby == NULL)
        return;
    while (lobby->arriving.oldest)
        close_guest(lobby, lobby->arriving.oldest); // NOLINT(clang-analyzer-unix.Malloc): as in send_away()
    while (lobby->leaving.oldest)
        close_guest(lobby, lobby->leaving.oldest); // NOLINT(clang-analyzer-unix.Malloc)
    close(lobby->epoll);
    close(lobby->stop);
    pthread_mutex_destroy(&lobby->turn);
    pthread_mutex_destroy(&lobby->lists);
    free(lobby);
}
