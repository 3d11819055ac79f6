/* Memory that cannot be had ends the process: nothing above has to ask. Sizes are in bytes. */
#ifndef OM_UTIL_MEMORY_H
#define OM_UTIL_MEMORY_H

#include <stddef.h>

void *memory_new(size_t count, size_t size);             /* zeroed; free() it */
void *memory_grow(void *old, size_t count, size_t size); /* realloc, checked for overflow; contents kept */
char *memory_copy(const char *data, size_t length);      /* a copy with a NUL behind it; free() it */

#endif
