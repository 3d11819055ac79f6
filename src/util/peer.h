/* Is the peer of a connection still there? */
#ifndef OM_UTIL_PEER_H
#define OM_UTIL_PEER_H

enum peer_state {
    PEER_QUIET, /* there, or there is no connection (-1) */
    PEER_SENDS, /* there, and more has come from it than was read */
    PEER_GONE,  /* closed, on one side at least: nobody waits for an answer */
};

/* Does not wait, and takes nothing from the connection. */
enum peer_state peer_look(int connection);

#endif
