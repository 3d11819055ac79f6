/* HTTP Basic (RFC 7617): OSCAR's admin, and nobody else. */
#ifndef OM_AUTH_BASIC_H
#define OM_AUTH_BASIC_H

#include <stdbool.h>

#include "util/text.h"

struct identity;
struct settings;

/* `credentials` is what stands behind "Basic". The comparison takes as long for a wrong name as for a wrong
 * password. */
bool basic_check(const struct settings *settings, struct text credentials, struct identity *identity);

#endif
