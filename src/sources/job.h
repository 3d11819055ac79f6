/* A source at work for one report. The report runs all jobs of a question side by side: it calls step() in
 * turns and waits on the network only when nobody has anything to do. */
#ifndef OM_SOURCES_JOB_H
#define OM_SOURCES_JOB_H

#include "util/timestamp.h"

struct arena;
struct cache;
struct claims;
struct fetcher;
struct geoip;
struct settings;

/* Somebody who wants to see how far the reading is. Stands first in the struct of whoever that is. */
struct progress {
    void (*tell)(struct progress *progress, uint64_t done, uint64_t total);
};

/* What every source is given for one report. All of it outlives the job. */
struct source_context {
    struct arena *arena;     /* the request's: what the job allocates and leaves behind lies there */
    struct fetcher *fetcher; /* the worker's */
    const struct settings *settings;
    struct geoip *geoip;       /* of clients' addresses; may be unreadable. NULL: none is configured */
    struct cache *remembered;  /* what workers share of what they read; NULL: nothing is remembered */
    struct claims *claims;     /* who reads what at the moment; NULL when nothing is remembered */
    int64_t fresh_after;       /* clock_ms(): only what was read after that is to be used; 0: anything */
    struct instant start, end; /* the range, both inclusive */
    struct instant now;        /* when the request came */
    int64_t deadline;          /* clock_ms() at which the report must have what it will answer with */
    struct progress *progress; /* NULL: nobody watches */
};

enum job_state {
    JOB_READY,   /* there is more to do at once: call step() again */
    JOB_WAITING, /* for a fetch, fetcher_wake(), or `wake_at`: call step() after fetcher_wait() */
    JOB_DONE,    /* result and status are final; step() and stop() are not called again */
};

enum job_stop {
    JOB_DEADLINE, /* settle with what there is: partial or missing, saying how far it got */
    JOB_GONE,     /* the client went away: nobody will read the result */
};

struct job;

struct job_ops {
    /* A slice of work, at most some 10 ms. */
    enum job_state (*step)(struct job *job);
    /* Ends a job that is not done: gives back descriptors and memory outside the arena; after JOB_DEADLINE
     * the result and the status must be final. Fetches still running are cancelled by the caller afterwards,
     * whose done() may therefore still be called. */
    void (*stop)(struct job *job, enum job_stop why);
};

/* Stands first in the struct of each kind of job, which lies in the request's arena. */
struct job {
    const struct job_ops *ops;
    /* Bytes read so far, of all that there are; 0 of 0 from those who cannot tell. */
    uint64_t done, total;
    /* While JOB_WAITING: step() is wanted at that clock_ms() at the latest; 0: only when something happens.
     */
    int64_t wake_at;
};

#endif
