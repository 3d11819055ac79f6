/* One line per event on standard error, in logfmt: key=value pairs, values escaped. Never a secret, a
 * credential or a header that may hold one: not even a malformed one. Threads may log at once. */
#ifndef OM_LOG_H
#define OM_LOG_H

#include <stddef.h>

#include "util/text.h"

enum log_level { LOG_INFO, LOG_WARNING, LOG_ERROR };

/* log_event(LOG_INFO, "request", "path", path, "status", "200", NULL): pairs of C strings, ended by NULL. */
void log_event(enum log_level level, const char *message, ...) __attribute__((sentinel));

struct log_pair {
    const char *key, *value; /* a NULL value is an empty one */
};

/* The same with pairs that were put together before. */
void log_pairs(enum log_level level, const char *message, const struct log_pair *pairs, size_t count);

#endif
