/* Which backends reports and logins ask, by the settings. */
#ifndef OM_REPORT_BACKENDS_H
#define OM_REPORT_BACKENDS_H

#include <stdbool.h>

#include "net/backend.h"

struct settings;

/* False also for one that has an address but is never asked: Loki's beside log files. */
bool backend_is_configured(const struct settings *settings, enum backend backend);

#endif
