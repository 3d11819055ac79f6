/* An HTTP server on loopback for fuzz targets, in the one thread that also fetches: it stands still until
 * server_turn(). */
#ifndef FUZZ_SERVER_H
#define FUZZ_SERVER_H

#include <stdbool.h>

#include "util/text.h"

struct server;

/* What is to be said to a request; the texts must live until the next call. */
struct server_reply {
    struct text head, body; /* one after the other, as they are */
    bool closes;            /* the connection ends behind it; else the next request may come */
};

typedef struct server_reply server_answer(void *context, struct text request);

/* Lives as long as the process. */
struct server *server_start(void);

/* "http://127.0.0.1:PORT"; as long as the server. */
const char *server_url(const struct server *server);

/* Readable when server_turn() has something to do; for fetcher_wait(). */
int server_watched(const struct server *server);

/* Accepts, reads, answers; never waits. */
void server_turn(struct server *server, server_answer *answer, void *context);

/* Connections that are still open are closed: the next input begins without any. */
void server_forget(struct server *server);

#endif
