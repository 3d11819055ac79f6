/* The one gate: from the Authorization header to an identity, or to a refusal. No handler looks at the
 * header. */
#ifndef OM_AUTH_AUTH_H
#define OM_AUTH_AUTH_H

#include <stdbool.h>

#include "model/identity.h"

struct settings;

/* How a request is refused. All NULL and 0 when it is not. */
struct auth_refusal {
    int status;            /* HTTP */
    const char *text;      /* one line for the body */
    const char *challenge; /* WWW-Authenticate; NULL: none */
};

/* `authorization` is the header's value, NULL when there is none. True, and *identity is set, when the
 * request may go on. The header is never logged and never repeated. */
bool auth_check(const struct settings *settings, const char *authorization, struct identity *identity,
                struct auth_refusal *refusal) __attribute__((warn_unused_result));

#endif
