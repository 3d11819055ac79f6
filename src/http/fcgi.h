/* FastCGI through libfcgi: the only file that knows it. */
#ifndef OM_HTTP_FCGI_H
#define OM_HTTP_FCGI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "http/exchange.h"

/* Once a process, before threads. */
bool fcgi_init(void);

/* Reads one request from a connection, which belongs to the exchange until its end. NULL: there was none, and
 * the connection is closed. `nul`: a parameter holds a NUL, of which libfcgi gives the beginning only. `end`,
 * which must outlive the exchange: the clock_ms() at which all writing ends; it may come nearer at any time,
 * and is heard of when a write's patience is over. NULL: there is none. The exchange may go from thread to
 * thread. */
struct exchange *fcgi_begin(int connection, bool nul, const atomic_int_least64_t *end)
    __attribute__((warn_unused_result));

/* Sends what is left of the answer and frees the exchange. True: the connection is still open and the
 * caller's; false: it is closed. */
bool fcgi_end(struct exchange *exchange) __attribute__((warn_unused_result));

#endif
