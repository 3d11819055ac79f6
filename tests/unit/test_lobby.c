/* Whom the lobby gives out. */
#include "unit.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http/lobby.h"

/* A whole request: BEGIN_REQUEST of a responder, no parameters, no body. */
static const char request[] = "\1\1\0\1\0\10\0\0\0\1\0\0\0\0\0\0"
                              "\1\4\0\1\0\0\0\0"
                              "\1\5\0\1\0\0\0\0";

static int listen_anywhere(struct sockaddr_un *address, socklen_t *length)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    *length = sizeof(address->sun_family); /* the kernel chooses a name */
    assert_int_equal(bind(fd, (struct sockaddr *)address, *length), 0);
    *length = sizeof(*address);
    assert_int_equal(getsockname(fd, (struct sockaddr *)address, length), 0);
    assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static long seconds_of(int fd, int option)
{
    struct timeval timeout = {0};
    socklen_t size = sizeof(timeout);

    assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &timeout, &size), 0);
    assert_int_equal(timeout.tv_usec, 0);
    return timeout.tv_sec;
}

/* One whose request is there at once, and one that waited in the lobby. */
static void whoever_is_given_out_is_not_waited_for_long(void **state)
{
    struct sockaddr_un address;
    socklen_t length;
    int listening = listen_anywhere(&address, &length), peers[2];
    struct lobby *lobby = lobby_new(listening);

    (void)state;
    assert_non_null(lobby);
    for (size_t i = 0; i < 2; i++) {
        peers[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(peers[i], (struct sockaddr *)&address, length), 0);
    }
    assert_int_equal(write(peers[1], request, sizeof(request) - 1), sizeof(request) - 1);
    for (size_t i = 0; i < 2; i++) {
        struct arrival arrival = lobby_next(lobby);

        assert_true(arrival.connection >= 0);
        assert_int_equal(seconds_of(arrival.connection, SO_RCVTIMEO), 2);
        assert_int_equal(seconds_of(arrival.connection, SO_SNDTIMEO), 10);
        close(arrival.connection);
        if (i == 0)
            assert_int_equal(write(peers[0], request, sizeof(request) - 1), sizeof(request) - 1);
    }
    close(peers[0]);
    close(peers[1]);
    lobby_free(lobby);
    close(listening);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whoever_is_given_out_is_not_waited_for_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
