/* Where the next window over a stretch of time ends: as much as fits under the entries limit, as far as the
 * index' hints and what came before can tell. Pure. Hints are never counts: a window that meets the limit is
 * read again in parts. */
#ifndef OM_SOURCES_LOKI_PLAN_H
#define OM_SOURCES_LOKI_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caps.h"

#define LOKI_SECOND ((int64_t)1000 * 1000 * 1000)
#define LOKI_HOUR   (3600 * LOKI_SECOND)

#define LOKI_LENGTH     (30 * 24 * LOKI_HOUR) /* the server's own default, but for an hour */
#define LOKI_WINDOW_MAX (LOKI_WINDOW_MAX_HOURS * LOKI_HOUR)

/* Times are nanoseconds since 1970, ends are not included. */
struct loki_plan {
    int64_t limit;  /* entries that the server gives at once */
    int64_t length; /* of its longest query */
    /* How long windows may be while it is in trouble, and how long they may grow again. */
    int64_t bearable, ceiling;
    int64_t growth; /* of the next window where there are no hints */
    double peak;    /* entries per nanosecond there, as of late */
    double scale;   /* entries that came for one that the hints spoke of */
    int64_t first_hour;
    size_t hours;
    float *hints; /* entries, of each hour; below 0: none are known */
};

/* What one report reads in one go. */
struct loki_stretch {
    int64_t from, to;
    int64_t longest; /* of its next window; INT64_MAX: no window of it failed yet */
};

/* `hints` has a place for each of the hours, and must live as long. */
void loki_plan_init(struct loki_plan *plan, int64_t limit, int64_t length, int64_t first_hour, size_t hours,
                    float *hints);

void loki_plan_hint(struct loki_plan *plan, int64_t hour, float entries);

/* Has the stretch so little in it that another piece may be read with it by `windows` windows? */
bool loki_plan_has_room(const struct loki_plan *plan, const struct loki_stretch *stretch, unsigned windows);

/* The end of the window that begins with the stretch: after its start, at most its end. */
int64_t loki_plan_end(const struct loki_plan *plan, const struct loki_stretch *stretch);

/* A window of the stretch brought `entries`, under the limit. */
void loki_plan_learn(struct loki_plan *plan, struct loki_stretch *stretch, int64_t from, int64_t to,
                     size_t entries);

/* A window of the stretch met the limit; the last of the entries that came was of `latest`. Gives what has to
 * be read again, by windows at most half as long. It is at least two nanoseconds long. */
struct loki_stretch loki_plan_overflow(struct loki_plan *plan, const struct loki_stretch *stretch,
                                       int64_t from, int64_t to, int64_t latest);

/* A window was too much for the server in some other way: all become shorter for a while. False: that one is
 * so short already that it is not for its length. */
bool loki_plan_spare(struct loki_plan *plan, int64_t from, int64_t to);

#endif
