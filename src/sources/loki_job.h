/* What the parts of the Loki source share: loki.c (the job and what it says), loki_window.c (windows: asking,
 * counting, trying again), loki_hints.c (what the index tells), loki_date.c (where the data begins). Only
 * they look at it. */
#ifndef OM_SOURCES_LOKI_JOB_H
#define OM_SOURCES_LOKI_JOB_H

#include <stdatomic.h>

#include "model/status.h"
#include "net/fetch.h"
#include "sources/job.h"
#include "sources/ledger.h"
#include "sources/logline.h"
#include "sources/loki_answer.h"
#include "sources/loki_plan.h"
#include "util/claims.h"

struct arena;
struct buf;
struct loki;
struct loki_window;

/* Loki takes a time of up to ten digits for seconds, so that none before can be asked for. */
#define LOKI_EARLIEST (10 * LOKI_SECOND)

/* A stretch with windows under way: it stays until they have ended, to learn from them. */
struct loki_reading {
    struct loki_stretch stretch; /* what nobody asks for yet */
    size_t windows;              /* under way */
    struct loki_reading *next;
};

/* A run of hours for which the index was asked at once. */
struct loki_segment {
    struct loki *loki;
    int64_t hour; /* the first */
    size_t count;
    bool settled;        /* its hints are in the plan, or there are none */
    struct claim *claim; /* of asking for it */
    size_t fetching;
    bool has_volume, has_stats;
    uint64_t *bytes; /* by hour */
    uint64_t stats_bytes, stats_entries;
};

enum loki_phase { LOKI_LOOKING, LOKI_HINTING, LOKI_READING, LOKI_DATING, LOKI_DONE };

struct loki {
    struct job job;
    const struct source_context *context;
    struct source_status *status;
    enum loki_phase phase;
    int64_t from, to; /* ns, the end not included */

    /* How to ask. */
    const char *range_url, *stats_url, *volume_url;
    const char *query, *selector; /* selector NULL: the index cannot be asked */
    struct fetch_access access;
    struct text server, name; /* keys: of what the server taught; of what is read */
    int64_t patience_ms;      /* with one answer */

    /* How to count. */
    struct logline_rules rules;
    struct logline_times times;
    uint64_t results[LOGLINE_RESULTS];

    /* What is done. */
    struct ledger *ledger;
    struct claims_listener listener;
    atomic_bool woken;  /* somebody let go of what we may wait for */
    int64_t look_after; /* clock_ms() */

    struct loki_plan plan;
    struct loki_segment *segments;
    size_t segment_count, segments_fetching;
    struct loki_reading *readings, *spare;
    struct loki_window *windows;
    size_t parallel, running;

    /* What went wrong. */
    bool settled;        /* what still comes is not looked at */
    bool given_up;       /* the status says why: nothing new is asked */
    unsigned troubles;   /* in a row: the server is there, but cannot */
    unsigned failures;   /* in a row: it is not, or what comes is no answer */
    unsigned refused;    /* seconds that were too much */
    size_t large;        /* in a row: answers that are too large for us */
    bool heard;          /* at least one that could be read */
    const char *trouble; /* the last one of both */
    int64_t pause_until; /* clock_ms() */

    bool unlearned; /* the entries limit that was learned has been doubted once */

    /* Where the data begins, whatever the query finds in it. */
    bool dating, dated; /* it is being asked; it is known, or will not be */
    bool begins;        /* nothing is before the range */
    bool first_known;
    int64_t empty_to; /* nothing is before that; first_known: something is at it, or nothing before `to` */
    int64_t dated_from, dated_to;
    unsigned dates_asked;
};

/* ---- loki.c ---- */

/* For a note; in the arena. */
const char *loki_time_text(const struct loki *loki, int64_t time);

/* Begins the form of a question; buf_free() it. */
void loki_form(struct buf *form, const char *query);

/* Starts a POST of a form to the server; start and end are added to it. */
void loki_ask(struct loki *loki, const char *url, struct buf *form, int64_t from, int64_t to,
              int64_t patience_ms, fetch_done *done, void *context);

/* Gives up: what runs is waited for, nothing new is asked. */
__attribute__((format(printf, 2, 3))) void loki_give_up(struct loki *loki, const char *format, ...);

/* What the server taught about one of its limits is in the plan: for the reports that come, too. */
void loki_keep_lesson(struct loki *loki, enum loki_lesson lesson);

/* ---- loki_window.c ---- */

void loki_windows_init(struct loki *loki, size_t parallel);

/* Starts what can be started; sets the job's wake_at where something can be in a while. */
void loki_windows_start(struct loki *loki);

/* ---- loki_hints.c ---- */

/* The stream selector of a query, {...}; in the arena; NULL: it has none. */
const char *loki_selector(struct arena *arena, const char *query);

/* Hints into the plan. False: they are still being fetched, by us or others. */
bool loki_hints(struct loki *loki);

/* Lets go of what is claimed for hints. */
void loki_hints_drop(struct loki *loki);

/* The key of what is remembered of the place under a name of ours; in the arena. */
struct text loki_key(const struct loki *loki, const char *what, int64_t a, int64_t b);

/* Asks the index about the selector alone; `steps`: hour by hour. */
void loki_ask_index(struct loki *loki, const char *url, int64_t from, int64_t to, bool steps,
                    fetch_done *done, void *data);

/* ---- loki_date.c ---- */

/* Does the range begin before the data (loki->begins), and where do they begin? False: that is still being
 * asked. */
bool loki_date(struct loki *loki);

/* Says it, when it does. */
void loki_date_note(struct loki *loki);

#endif
