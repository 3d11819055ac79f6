/* Lines that are of the right logger or controller, and do not count: a word to the operator. */
#ifndef OM_SOURCES_UNCOUNTED_H
#define OM_SOURCES_UNCOUNTED_H

#include <stdint.h>

#include "sources/logline.h"

/* One line in the log, unless there were none. Many of them are a new format, or somebody who does not want
 * to be counted. Lines of others and other paths are everyday and not told. */
void uncounted_log(const char *source, const uint64_t results[LOGLINE_RESULTS]);

#endif
