/* The socket that the workers accept on. */
#ifndef OM_HTTP_LISTEN_H
#define OM_HTTP_LISTEN_H

#include <stdbool.h>

/* Descriptor 0 is a listening socket. */
bool listen_is_inherited(void);

/* `address` is a path (it holds a '/') or host:port ("[::1]:9000", ":9000" for all addresses); empty:
 * descriptor 0, which must be a listening socket (spawn-fcgi, systemd, multiwatch hand it over so). Gives the
 * descriptor, or -1 with *why for an operator. A path that a dead process left behind is taken over; one that
 * answers is not. */
int listen_open(const char *address, const char **why);

/* Removes the path of a socket that listen_open() made. */
void listen_remove(const char *address);

#endif
