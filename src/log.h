/* One line per event on standard error, in logfmt: key=value pairs, values escaped. Never a secret, a
 * credential or a header that may hold one: not even a malformed one. Threads may log at once. */
#ifndef OM_LOG_H
#define OM_LOG_H

#include "util/text.h"

enum log_level { LOG_INFO, LOG_WARNING, LOG_ERROR };

/* log_event(LOG_INFO, "request", "path", path, "status", "200", NULL): pairs of C strings, ended by NULL. */
void log_event(enum log_level level, const char *message, ...) __attribute__((sentinel));

#endif
