/* A FastCGI request whose head is too large to be read. It has no parameters, and is answered all the same:
 * to a connection that just closes, a web server would say 502. */
#ifndef OM_HTTP_OVERSIZE_H
#define OM_HTTP_OVERSIZE_H

struct exchange;

/* An invalid exchange over that connection, which stays the caller's; `id` is the request's number. */
struct exchange *oversize_begin(int connection, unsigned id);

/* Ends the request. */
void oversize_end(struct exchange *exchange);

#endif
