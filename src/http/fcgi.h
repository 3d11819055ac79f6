/* FastCGI through libfcgi: the only file that knows it. */
#ifndef OM_HTTP_FCGI_H
#define OM_HTTP_FCGI_H

#include <stdbool.h>

#include "http/exchange.h"

/* Once a process, before threads. */
bool fcgi_init(void);

typedef void fcgi_handler(void *context, struct exchange *exchange);

/* Reads one request from a connection, has it handled, and sends the answer. True: the connection is still
 * open and the caller's; false: it is closed. `nul`: a parameter holds a NUL, of which libfcgi gives the
 * beginning only. */
bool fcgi_serve(int connection, bool nul, fcgi_handler *handler, void *context);

#endif
