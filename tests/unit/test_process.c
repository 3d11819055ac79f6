/* What a process says of itself. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "http/process.h"

enum { LARGE = 8 * 1024 * 1024, SMALL = 64, SMALL_COUNT = LARGE / SMALL };

/* A sanitizer and valgrind have allocators of their own, of which the C library knows nothing. */
static bool is_known(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(HAVE_MALLINFO2)
    return false;
#else
    return getenv("UNIT_COARSE") == NULL;
#endif
}

static void assert_grown(uint64_t before, uint64_t by)
{
    if (is_known())
        assert_in_range(process_look().allocated_bytes, before + by, before + by + LARGE);
}

static void memory_in_use_is_what_was_not_given_back(void **state)
{
    static char *small[SMALL_COUNT];
    struct process_view before = process_look();
    char *large = malloc(LARGE);

    (void)state;
    assert_true(before.has_allocated || !is_known());
    assert_non_null(large);
    memset(large, 1, LARGE);
    assert_grown(before.allocated_bytes, LARGE);
    for (size_t i = 0; i < SMALL_COUNT; i++)
        assert_non_null(small[i] = malloc(SMALL));
    assert_grown(before.allocated_bytes, 2 * (uint64_t)LARGE);
    free(large);
    for (size_t i = 0; i < SMALL_COUNT; i++)
        free(small[i]);
    if (is_known())
        assert_in_range(process_look().allocated_bytes, 0, before.allocated_bytes + SMALL * 1024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_in_use_is_what_was_not_given_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
