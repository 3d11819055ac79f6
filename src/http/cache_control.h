/* Cache-Control of a request (RFC 9111, section 5.2). */
#ifndef OM_HTTP_CACHE_CONTROL_H
#define OM_HTTP_CACHE_CONTROL_H

#include <stdbool.h>

#include "util/text.h"

/* Does the header name the directive, in any case, with an argument or without? What stands in another one's
 * quoted argument does not count. */
bool cache_control_has(struct text header, const char *directive);

#endif
