/* Lines of the log: whatever is in them, they have an end. */
#include "unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "log.h"

static char line[4 * LOG_LINE_MAX_BYTES];

/* Standard error goes to a file until end_log(), which leaves what came in `line`. */
static FILE *kept;
static int before;

static void begin_log(void)
{
    fflush(stderr);
    kept = tmpfile();
    before = dup(STDERR_FILENO);
    assert_non_null(kept);
    assert_int_equal(dup2(fileno(kept), STDERR_FILENO), STDERR_FILENO);
}

static size_t end_log(void)
{
    ssize_t length = pread(fileno(kept), line, sizeof(line) - 1, 0);

    dup2(before, STDERR_FILENO);
    close(before);
    fclose(kept);
    assert_true(length > 0);
    line[length] = '\0';
    return (size_t)length;
}

static void a_value_is_cut_and_says_so(void **state)
{
    static char value[LOG_VALUE_MAX_BYTES + 2];

    (void)state;
    memset(value, 'v', LOG_VALUE_MAX_BYTES);
    begin_log();
    log_event(LOG_INFO, "m", "a", value, "b", "behind", NULL);
    end_log();
    assert_int_equal(strspn(strstr(line, " a=") + 3, "v"), LOG_VALUE_MAX_BYTES);
    assert_non_null(strstr(line, "v b=behind\n"));
    value[LOG_VALUE_MAX_BYTES] = 'v';
    begin_log();
    log_event(LOG_INFO, "m", "a", value, "b", "behind", NULL);
    end_log();
    assert_int_equal(strspn(strstr(line, " a=\"") + 4, "v"), LOG_VALUE_MAX_BYTES);
    assert_non_null(strstr(line, "v...\" b=behind\n"));
}

/* Each byte of a value becomes four. */
static void a_line_has_an_end(void **state)
{
    static char value[LOG_VALUE_MAX_BYTES + 1];
    size_t length;

    (void)state;
    memset(value, 1, LOG_VALUE_MAX_BYTES);
    begin_log();
    log_event(LOG_INFO, "m", "a", value, "b", value, "c", value, NULL);
    length = end_log();
    assert_true(length < LOG_LINE_MAX_BYTES);
    assert_non_null(strstr(line, " c=\"\\x01"));
    begin_log();
    log_event(LOG_INFO, "m", "a", value, "b", value, "c", value, "d", value, "e", value, NULL);
    length = end_log();
    assert_in_range(length, LOG_LINE_MAX_BYTES - 8, LOG_LINE_MAX_BYTES + 1);
    assert_ptr_equal(strchr(line, '\n'), line + length - 1);
}

/* ---- a pipe that takes little at a time ---- */

enum { TALKERS = 4, LINES = 50 };

static void *talk(void *context)
{
    for (int i = 0; i < LINES; i++)
        log_event(LOG_INFO, "m", "a", context, NULL);
    return NULL;
}

static void *hold_log(void *context)
{
    FILE *from = context;
    static char held[2 * LOG_LINE_MAX_BYTES];
    size_t good = 0;

    while (fgets(held, sizeof(held), from))
        good += strncmp(held, "time=", 5) == 0 && strlen(held) > 4 * LOG_VALUE_MAX_BYTES;
    fclose(from);
    return (void *)(uintptr_t)good;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    static char value[LOG_VALUE_MAX_BYTES + 1];
    pthread_t talkers[TALKERS], holder;
    int ends[2];
    void *good;

    (void)state;
    memset(value, '\x01', LOG_VALUE_MAX_BYTES); /* four bytes each: longer than what a pipe takes whole */
    fflush(stderr);
    before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    close(ends[1]);
    assert_int_equal(pthread_create(&holder, NULL, hold_log, fdopen(ends[0], "r")), 0);
    for (size_t i = 0; i < TALKERS; i++)
        assert_int_equal(pthread_create(&talkers[i], NULL, talk, value), 0);
    for (size_t i = 0; i < TALKERS; i++)
        pthread_join(talkers[i], NULL);
    dup2(before, STDERR_FILENO);
    close(before);
    pthread_join(holder, &good);
    assert_int_equal((uintptr_t)good, TALKERS * LINES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_cut_and_says_so),
        cmocka_unit_test(a_line_has_an_end),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
