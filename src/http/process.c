/* getrusage(2), getrlimit(2), and proc(5): the second number of statm is resident pages. mallinfo2(3), of all
 * arenas: what was given out of their heaps, and what was mapped for one allocation alone. */
#include "http/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include "config.h"
#include "util/text.h"

static int64_t microseconds(struct timeval time)
{
    return (int64_t)time.tv_sec * 1000000 + time.tv_usec;
}

static bool read_resident(uint64_t *bytes)
{
    char data[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, data, sizeof(data));
    struct text rest = {data, length > 0 ? (size_t)length : 0}, pages;

    if (fd >= 0)
        close(fd);
    text_cut(&rest, ' ');
    if (rest.data == NULL)
        return false;
    pages = text_cut(&rest, ' ');
    *bytes = 0;
    for (size_t i = 0; i < pages.length; i++)
        *bytes = *bytes * 10 + (uint64_t)(pages.data[i] - '0');
    *bytes *= (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}

static bool count_files(uint64_t *count)
{
    DIR *folder = opendir("/proc/self/fd");
    const struct dirent *entry;

    if (folder == NULL)
        return false;
    *count = 0;
    while ((entry = readdir(folder)))
        *count += entry->d_name[0] != '.';
    (*count)--; /* the folder's own */
    closedir(folder);
    return true;
}

#ifdef HAVE_MALLINFO2
static bool read_allocated(uint64_t *bytes)
{
    const struct mallinfo2 info = mallinfo2();

    *bytes = info.uordblks + info.hblkhd;
    return true;
}
#else
static bool read_allocated(uint64_t *bytes)
{
    *bytes = 0;
    return false;
}
#endif

struct process_view process_look(void)
{
    struct process_view view = {.max_files = UINT64_MAX};
    struct rusage usage;
    struct rlimit limit;

    if (getrusage(RUSAGE_SELF, &usage) == 0)
        view.cpu = microseconds(usage.ru_utime) + microseconds(usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        view.max_files = limit.rlim_cur;
    view.has_memory = read_resident(&view.resident_bytes);
    view.has_files = count_files(&view.open_files);
    view.has_allocated = read_allocated(&view.allocated_bytes);
    return view;
}
