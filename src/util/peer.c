/* poll(), which sees a closed side also behind bytes that nobody read. */
#include "util/peer.h"

#include <poll.h>

enum peer_state peer_look(int connection)
{
    struct pollfd p = {.fd = connection, .events = POLLIN | POLLRDHUP};

    if (connection < 0 || poll(&p, 1, 0) <= 0)
        return PEER_QUIET;
    return p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL) ? PEER_GONE : PEER_SENDS;
}
