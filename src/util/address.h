/* An IP address as logs spell it. */
#ifndef OM_UTIL_ADDRESS_H
#define OM_UTIL_ADDRESS_H

#include <stdbool.h>

#include "util/text.h"

struct address {
    bool v6;
    unsigned char bytes[16]; /* as on the wire: 16 of IPv6; 4 of IPv4, then zeros */
};

/* Takes IPv4, IPv6, IPv6 in brackets, and a port behind the first and the last (1.2.3.4:5678,
 * [2001:db8::1]:443), with white space around. ::ffff:a.b.c.d is the IPv4 address within. False: *out is not
 * set. */
bool address_parse(struct text text, struct address *out);

/* Nobody's in particular, so that no country is true of it: RFC 1918, loopback, link-local, unspecified,
 * unique local (fc00::/7), and ::/96, which once spelled IPv4. */
bool address_is_private(const struct address *address);

#endif
