/* The set of files that some globs name, all open at once. */
#ifndef OM_SOURCES_LOGSET_H
#define OM_SOURCES_LOGSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "model/status.h"
#include "util/timestamp.h"

struct arena;
struct logreader;

struct logfile {
    const char *path; /* as the globs spell it, fit for a note */
    int fd;
    bool gzip;
    int64_t size, modified_ns; /* when it was opened; nanoseconds since 1970 */
    dev_t device;
    ino_t inode;
};

struct logset;

/* Comma-separated globs; `now` is when the report was asked for. */
struct logset *logset_new(struct arena *arena, const char *globs, struct instant now);

/* Gives back all that is not in the arena. To be called once. */
void logset_close(struct logset *set);

/* A slice of looking and opening. True: there is more to do. False: the set is complete, and what is wrong
 * with it stands in *status. The reader is used to look into gzip files. */
bool logset_step(struct logset *set, struct logreader *reader, struct source_status *status);

size_t logset_count(const struct logset *set);
const struct logfile *logset_file(const struct logset *set, size_t index);

#endif
