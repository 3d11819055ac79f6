/* A server on a loopback socket that gives scripted answers, one after the other, from a thread of its own.
 */
#ifndef OM_TESTS_HTTP_SERVER_H
#define OM_TESTS_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct http_server;

/* What happens to the next request: these bytes, then the connection is closed. */
struct http_reply {
    const char *bytes;  /* NULL: never any answer, the connection stays open until the end */
    bool keep;          /* the connection stays open and the next request comes over it */
    bool close_at_once; /* before a byte of the request is read */
};

/* Of the replies the first `together` requests are all read before any is answered; then one by one. */
struct http_server *http_server_start(const struct http_reply *replies, size_t count, size_t together);

/* The bytes that answer a request, head and body; NULL: never any answer. Called by the server's thread, one
 * request after the other. */
typedef const char *http_choose(void *context, const char *request);

/* Each request gets what `choose` gives, on a connection of its own; there is no end to them. */
struct http_server *http_server_start_choosing(http_choose *choose, void *context);

void http_server_stop(struct http_server *server); /* frees it, too */

const char *http_server_url(const struct http_server *server); /* "http://127.0.0.1:PORT" */

/* A descriptor that becomes readable when that many requests have arrived. */
int http_server_arrived(const struct http_server *server);

/* The bytes of a request, head and body; only of one that has been answered, or after http_server_arrived().
 */
const char *http_server_request(const struct http_server *server, size_t number);

/* Around a group of tests that fetch: libcurl's own beginning and end. */
int init_library(void **state);
int cleanup_library(void **state);

#endif
