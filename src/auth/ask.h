/* One question to a provider, on the worker's fetcher, while the client waits. */
#ifndef OM_AUTH_ASK_H
#define OM_AUTH_ASK_H

#include <stdbool.h>

#include "util/text.h"

struct auth_context;

struct ask_answer {
    long status;      /* HTTP */
    struct text body; /* in the arena */
    const char *why;  /* NULL: it was answered; else why not, in words for the log */
    bool late;        /* why not: it took too long */
};

/* GET, at most ASK_MS and at most until the request's deadline. `token` NULL: none is sent. `client`: whose
 * going away ends it, -1: it is asked to its end. False when the client went away. */
bool ask(const struct auth_context *context, const char *url, const char *token, int client,
         struct ask_answer *answer) __attribute__((warn_unused_result));

#endif
