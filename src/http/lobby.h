/* Where connections wait until their request has arrived, so that silent peers and half requests cost no
 * worker.
 *
 * One thread at a time accepts and looks (the others wait for it on a lock); what it finds ready it serves
 * itself, and the next one takes its place. */
#ifndef OM_HTTP_LOBBY_H
#define OM_HTTP_LOBBY_H

#include <stdbool.h>

#include "http/record.h"

struct lobby;

/* `listening` stays the caller's, and becomes non-blocking. NULL when the kernel gives no descriptors. */
struct lobby *lobby_new(int listening);
void lobby_free(struct lobby *lobby); /* closes the guests; NULL is allowed */

/* A connection whose request has arrived. */
struct arrival {
    int connection; /* -1: lobby_close() was called, and nobody is there any more */
    struct record_seen seen;
};

/* The next one; the caller closes the connection or gives it to lobby_leave(). */
struct arrival lobby_next(struct lobby *lobby);

/* How many connections wait whose request has not arrived. Safe from any thread. */
size_t lobby_arriving(struct lobby *lobby);

/* Takes leave of a served connection without holding the worker up: closes it at once when nothing can be
 * lost by that, else when the peer is done or after a while. A peer that is still sending would not read its
 * answer, and over TCP closing at once can throw away what is on its way. */
void lobby_leave(struct lobby *lobby, const struct arrival *served);

/* No connection is accepted any more: others wait in the socket for whoever serves it next. Those who were
 * let in are still served, if their requests come soon; then every lobby_next() ends. Safe from any thread.
 */
void lobby_close(struct lobby *lobby);

#endif
