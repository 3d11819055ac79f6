/* One request and its answer, wherever they come from and go to: FastCGI, plain CGI, the command line. */
#ifndef OM_HTTP_EXCHANGE_H
#define OM_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/text.h"

struct exchange;
struct settings;

struct exchange_ops {
    /* A CGI variable (RFC 3875): "REQUEST_METHOD", "SCRIPT_NAME", "QUERY_STRING", "HTTP_AUTHORIZATION", ...
     * NULL when it was not sent. Valid until the exchange ends. */
    const char *(*parameter)(struct exchange *exchange, const char *name);
    /* Sends bytes of a CGI response. How many were taken: fewer than they are when nobody takes them any
     * more. */
    size_t (*write)(struct exchange *exchange, struct text bytes);
    /* The client's connection, to be watched for its going away; -1 when there is none. */
    int (*descriptor)(struct exchange *exchange);
};

/* Stands first in the struct of each backing. */
struct exchange {
    const struct exchange_ops *ops;
    int64_t began;    /* when it came: clock_ms() */
    int64_t began_us; /* the same moment: clock_us() */
    int64_t until;    /* clock_ms(): writing its answer ends then, done or not; 0: never */
    int64_t patience; /* ms, at most, for its peer to take more of the answer; 0: as the connection has it */
    bool hours;       /* once it was found that it has to wait: the report asks for hours */
    bool passed_gate; /* serve()'s: its credentials were judged, and the rest is to be served again */
    bool invalid;     /* what was sent cannot be served: a NUL in a parameter, a role that is not ours */
    struct settings
        *settings; /* serve()'s: in force when it came, while it waits to be served again; else NULL */
};

/* How long its peer may take, in ms, to take more of the answer, where all writing ends at `end`, too
 * (clock_ms(); INT64_MAX: it does not). 0 or less: the time is over; INT64_MAX: nobody minds. */
int64_t exchange_left(const struct exchange *exchange, int64_t end);

#endif
