/* What cmocka.h wants before it, once for all unit tests. */
#ifndef OM_TESTS_UNIT_H
#define OM_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT_OF(rows) (sizeof(rows) / sizeof((rows)[0]))

#endif
