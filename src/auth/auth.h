/* The one gate: from the Authorization header to an identity, or to a refusal. No handler looks at the
 * header. */
#ifndef OM_AUTH_AUTH_H
#define OM_AUTH_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "model/identity.h"
#include "util/timestamp.h"

struct arena;
struct fetcher;
struct oidc;
struct settings;

/* What the gate is given for one request. */
struct auth_context {
    const struct settings *settings;
    struct arena *arena;     /* the request's */
    struct fetcher *fetcher; /* the worker's */
    struct oidc *oidc;       /* what workers share of providers and tokens */
    int client;              /* the client's connection, watched for its going away; -1: there is none */
    bool may_wait;           /* for a provider; else AUTH_WOULD_WAIT */
    bool again;              /* the same request passed this gate before: it is not counted twice */
    struct instant now;      /* when the request came */
    int64_t deadline;        /* clock_ms() */
};

enum auth_result {
    AUTH_PASSED,     /* *identity is set */
    AUTH_REFUSED,    /* *refusal is set */
    AUTH_WOULD_WAIT, /* a provider has to be asked: ask again with may_wait */
    AUTH_GONE,       /* the client went away meanwhile */
};

/* How a request is refused. */
struct auth_refusal {
    int status;            /* HTTP: 401, 403, 503 */
    const char *text;      /* one line for the body */
    const char *challenge; /* WWW-Authenticate; NULL: none */
    const char *reason;    /* for the log, without any of the token; NULL: the text says it all */
    int retry_after;       /* seconds; 0: none */
};

/* `authorization` is the header's value, NULL when there is none. It is never logged and never repeated. */
enum auth_result auth_check(const struct auth_context *context, const char *authorization,
                            struct identity *identity, struct auth_refusal *refusal)
    __attribute__((warn_unused_result));

#endif
