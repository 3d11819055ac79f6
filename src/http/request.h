/* A request on its way through the stages of serve(): what each stage found out for the next. */
#ifndef OM_HTTP_REQUEST_H
#define OM_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "http/exchange.h"
#include "model/identity.h"
#include "model/question.h"
#include "util/text.h"
#include "util/timestamp.h"

struct arena;
struct fetcher;
struct pool;
struct progress;
struct route;
struct server;
struct settings;

/* What a stage says: go on to the next; answered (or nobody waits any more); or not now: what comes next may
 * wait for a network, and the request has not been admitted to that. Nothing was answered then, and the
 * request is served again from its beginning. */
enum stage { GO_ON, ANSWERED, NOT_NOW };

struct request {
    struct exchange *exchange;
    struct arena *arena;             /* everything below lives in it */
    struct fetcher *fetcher;         /* the worker's */
    const struct settings *settings; /* one snapshot for the whole request */
    const struct server *server;     /* what all requests share */
    struct instant now;
    struct pool *pool; /* whose worker serves it; NULL: one process for one request */
    bool admitted;     /* it may wait for backends and providers */
    int64_t began;     /* clock_ms() */
    int64_t deadline;  /* clock_ms() */
    struct text method, path;
    const struct route *route;
    struct text segment; /* what stands in the route's place of a name, as it came */
    struct identity identity;
    struct question question;
    struct progress *progress; /* NULL: nobody watches */
    /* What was answered: for the log, and for the command line. */
    int status;           /* 0: nothing */
    size_t bytes;         /* of the body, as far as somebody took them */
    bool cut;             /* that was not all of it */
    const char *reason;   /* of a refusal, for the log alone; NULL: the answer says it all */
    const char *refusal;  /* why there is no report, in the words of the answer */
    const char *complete; /* of a report: "true", "false" */
};

/* A CGI variable as a text; empty when it was not sent. */
struct text request_parameter(const struct request *request, const char *name);

#endif
