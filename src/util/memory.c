/* Allocation that does not fail. */
#include "util/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p)
{
    if (p == NULL) {
        fputs("level=error msg=\"out of memory\"\n", stderr);
        abort();
    }
    return p;
}

void *memory_new(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *memory_grow(void *old, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return checked(NULL);
    return checked(realloc(old, bytes > 0 ? bytes : 1));
}

char *memory_copy(const char *data, size_t length)
{
    char *copy = memory_new(length + 1, 1);

    if (length)
        memcpy(copy, data, length);
    return copy;
}
