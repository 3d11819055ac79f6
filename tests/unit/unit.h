/* What cmocka.h wants before it, and every cap, once for all unit tests. */
#ifndef OM_TESTS_UNIT_H
#define OM_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "caps.h"

#define COUNT_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

/* From one place to the next, in tests that go through all of them: each, or (under valgrind, where that
 * would take minutes) every 61st. */
static inline size_t unit_stride(void)
{
    return getenv("UNIT_COARSE") ? 61 : 1;
}

/* A test that takes minutes there, or takes slowness for a fault: it is skipped, and counted as that. */
static inline void unit_skipped(void **state)
{
    (void)state;
    skip();
}

#define SLOW(test) (getenv("UNIT_COARSE") ? unit_skipped : (test))

/* A program's environment, as a table. */
struct variable {
    const char *name, *value; /* NULL: it is not set */
};

static inline const char *variable_of(const struct variable *variables, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(variables[i].name, name) == 0)
            return variables[i].value;
    return NULL;
}

#endif
