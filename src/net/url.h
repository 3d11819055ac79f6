/* Where a URL of a provider leads to, before it is followed. */
#ifndef OM_NET_URL_H
#define OM_NET_URL_H

#include <stdbool.h>

#include "util/text.h"

struct url {
    bool is_https;    /* else http */
    struct text host; /* a name, or an address (IPv6 in its brackets) */
    struct text path; /* from its '/' on, without query and fragment; may be empty */
};

/* Only what two readers cannot take for different things: http or https, a host of letters, digits, '-', '_'
 * and '.' or an IPv6 address in brackets, perhaps a port; behind them printable ASCII without '\'. No user
 * name. False when it is anything else. What *out points to lies in `text`. */
bool url_read(struct text text, struct url *out) __attribute__((warn_unused_result));

#endif
