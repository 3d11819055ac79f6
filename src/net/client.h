/* Waiting on the network for somebody who may go away meanwhile. */
#ifndef OM_NET_CLIENT_H
#define OM_NET_CLIENT_H

#include <stdbool.h>

struct fetcher;

/* fetcher_wait(), and the client's connection (-1: there is none) is watched. False when the client is gone;
 * nothing was waited for then. */
bool client_wait(struct fetcher *fetcher, int client, int timeout_ms) __attribute__((warn_unused_result));

#endif
