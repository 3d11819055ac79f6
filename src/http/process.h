/* What the kernel and the allocator say of this process. */
#ifndef OM_HTTP_PROCESS_H
#define OM_HTTP_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct process_view {
    int64_t cpu;                /* microseconds, of all threads, in user and kernel */
    bool has_memory, has_files; /* false: /proc does not say */
    uint64_t resident_bytes, open_files;
    bool has_allocated;       /* false: the C library does not say, or is not the allocator */
    uint64_t allocated_bytes; /* given out and not given back, by malloc() and its like */
    uint64_t max_files;       /* the soft limit; no limit is UINT64_MAX */
};

struct process_view process_look(void);

#endif
