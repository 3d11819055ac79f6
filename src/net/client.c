/* A client that sends more than we read keeps its descriptor readable: that one is looked after now and then.
 */
#include "net/client.h"

#include "caps.h"
#include "net/fetch.h"
#include "util/peer.h"

bool client_wait(struct fetcher *fetcher, int client, int timeout_ms)
{
    enum peer_state seen = peer_look(client);

    if (seen == PEER_GONE)
        return false;
    if (seen == PEER_SENDS && timeout_ms > CLIENT_LOOK_MS)
        timeout_ms = CLIENT_LOOK_MS;
    fetcher_wait(fetcher, seen == PEER_QUIET ? client : -1, timeout_ms);
    return true;
}
