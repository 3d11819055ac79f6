/* How long a peer may keep an answer waiting: the same for all ways in. */
#include "http/exchange.h"

#include "util/timestamp.h"

int64_t exchange_left(const struct exchange *exchange, int64_t end)
{
    int64_t left = INT64_MAX;

    if (exchange->until > 0 && exchange->until < end)
        end = exchange->until;
    if (end < INT64_MAX)
        left = end - clock_ms();
    return exchange->patience > 0 && left > exchange->patience ? exchange->patience : left;
}
