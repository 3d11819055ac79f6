/* The inside of the job over pods' logs: what its parts (podlogs.c, podlogs_read.c, podlogs_reach.c) share.
 */
#ifndef OM_SOURCES_PODLOGS_JOB_H
#define OM_SOURCES_PODLOGS_JOB_H

#include "caps.h"
#include "sources/linebuf.h"
#include "sources/podlogs.h"
#include "sources/pods.h"

struct geoip_reader;
struct kube;
struct kube_list;

enum {
    PODLOGS_SKEW_SECONDS = 60,
};

/* What was found out about one run's log. */
struct podlogs_log {
    bool wanted;    /* it may hold lines of the range */
    bool known;     /* read to its end, or to the end of the range; and so is where it begins */
    bool has_first; /* the time of the first line that there still is */
    struct instant first;
    bool speaks; /* a line of the right logger or controller was among those in the range */
};

struct podlogs_pod;

/* A container whose runs are read one after the other, the previous one first: so no run can be read twice,
 * whenever the next restart comes. */
struct podlogs_reading {
    struct podlogs_reading *in_order; /* of all pods */
    struct podlogs_reading *next;     /* of this pod */
    struct podlogs_pod *pod;
    struct pod_container *container;
    struct podlogs_log logs[POD_RUNS];
};

struct podlogs_pod {
    struct podlogs_pod *next;
    struct pod *pod;
    struct podlogs_reading *readings;
};

struct podlogs;

/* A place where one container at a time is read. */
struct podlogs_stream {
    struct podlogs *logs;
    struct podlogs_reading *reading; /* NULL: free */
    size_t run;                      /* POD_RUNS: all are read */
    bool asking, probing;            /* a request is under way; it is for the first line alone */
    struct linebuf *lines;           /* NULL: nothing was read here yet */
    struct logline_times times;
    uint64_t bytes, long_lines, odd_lines; /* of the request */
};

enum podlogs_phase { PODLOGS_LISTING, PODLOGS_READING, PODLOGS_LOOKING_AGAIN };

struct podlogs {
    struct job job;
    const struct source_context *context;
    struct logline_rules rules;
    struct usage *usage;
    struct source_status *status;
    struct kube *kube;
    struct geoip_reader *countries;
    const char *namespace, *selector;
    enum podlogs_phase phase;
    struct kube_list *list; /* NULL while none is read */
    struct podlogs_pod *pods, **last_pod;
    struct podlogs_pod **sorted; /* by uid */
    struct podlogs_reading *readings, **last_reading, *next_reading;
    size_t pod_count;
    uint64_t odd_pods;
    struct podlogs_stream streams[PODLOGS_STREAMS_MAX];
    uint64_t read, failed; /* logs */
    bool full, stopped;
    uint64_t results[LOGLINE_RESULTS];
};

/* Starts what can be started. False: nothing is under way, all is read. */
bool podlogs_read_on(struct podlogs *logs);

/* Logs that were not begun, or not read to their end. */
uint64_t podlogs_left(const struct podlogs *logs);

/* Says since when there are logs, when that is after the beginning of the range. */
void podlogs_note_reach(struct podlogs *logs);

#endif
