/* Preloaded: both clocks stand still at the moment of the start, plus the milliseconds that the file
 * CLOCK_AHEAD holds; who writes there moves them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const int64_t *ahead_ms;
static struct timespec began[2]; /* CLOCK_REALTIME, CLOCK_MONOTONIC */

static int read_clock(clockid_t clock, struct timespec *now)
{
    return (int)syscall(SYS_clock_gettime, clock, now);
}

__attribute__((constructor)) static void stop_the_clocks(void)
{
    const char *path = getenv("CLOCK_AHEAD");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *data = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*ahead_ms), PROT_READ, MAP_SHARED, fd, 0);

    if (data == MAP_FAILED)
        abort();
    close(fd);
    read_clock(CLOCK_REALTIME, &began[0]);
    read_clock(CLOCK_MONOTONIC, &began[1]);
    ahead_ms = data;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int64_t ms;

    if (ahead_ms == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC))
        return read_clock(clock, now);
    *now = began[clock == CLOCK_MONOTONIC];
    ms = __atomic_load_n(ahead_ms, __ATOMIC_SEQ_CST) + now->tv_nsec / 1000000;
    now->tv_sec += ms / 1000;
    now->tv_nsec = ms % 1000 * 1000000 + now->tv_nsec % 1000000;
    return 0;
}
