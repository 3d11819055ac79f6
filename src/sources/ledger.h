/* Hours, the unit of memory of a backend that is asked for times: what is remembered of each, shared by all
 * reports; and the ledger of one report, which says of each piece of its range whether it is remembered, read
 * by this report, read by another one, or still to be read.
 *
 * A piece is a whole UTC hour, the part of one that the range or the present cuts off, or all that lies
 * behind the present hour. A whole hour that had settled when it was read is remembered until the cache
 * forgets it; any other piece for some seconds, under its exact ends, so that requests sent together read it
 * once.
 *
 * Times are nanoseconds since 1970, ends are not included. */
#ifndef OM_SOURCES_LEDGER_H
#define OM_SOURCES_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/text.h"
#include "util/timestamp.h"

struct arena;
struct cache;
struct claims;
struct usage;

#define LEDGER_HOUR ((int64_t)3600 * 1000 * 1000 * 1000)

/* What a report may use of what is remembered. */
struct ledger_memory {
    struct cache *cache;   /* NULL: nothing is remembered */
    struct claims *claims; /* NULL when cache is */
    struct text name;      /* everything that decides what the rows of an hour are; must outlive the ledger */
    size_t max_bytes;      /* of the rows of one piece */
    int64_t settle_ms;     /* how long after its end an hour may get more */
    int64_t fresh_after;   /* clock_ms(): what was read before that is not used; 0: any will do */
    struct instant now;
};

struct ledger;

/* The ledger of a range (from < to). Rows of what is complete are added to *usage under hour 0. In the arena.
 */
struct ledger *ledger_open(struct arena *arena, const struct ledger_memory *memory, int64_t from, int64_t to,
                           struct usage *usage);

/* Lets go of what is held. `add_rest`: what pieces that are not complete have counted so far is added, too.
 */
void ledger_close(struct ledger *ledger, bool add_rest);

size_t ledger_count(const struct ledger *ledger);    /* of pieces */
size_t ledger_complete(const struct ledger *ledger); /* of them, with all rows added */
bool ledger_is_full(const struct ledger *ledger);    /* the usage was: rows are missing in it */
int64_t ledger_start(const struct ledger *ledger, size_t piece);
int64_t ledger_end(const struct ledger *ledger, size_t piece);

/* Looks for remembered pieces until that clock_ms(). True: there are more to look for. */
bool ledger_look(struct ledger *ledger, int64_t until);

/* Of those between two times, how many nobody has completed yet, as far as this report knows. */
size_t ledger_wanted(const struct ledger *ledger, int64_t from, int64_t to);

enum ledger_turn {
    LEDGER_OURS,   /* *piece is to be read by this report */
    LEDGER_THEIRS, /* all that is left is being read by others: look again when woken, ledger_again() */
    LEDGER_NONE,   /* nothing is left to be begun */
};

/* The next piece that nobody reads, in the order of time. */
enum ledger_turn ledger_next(struct ledger *ledger, size_t *piece);

/* That piece too, if nobody reads it and it is not remembered by now. */
bool ledger_take(struct ledger *ledger, size_t piece);

/* ledger_next() begins anew with those that others were reading. */
void ledger_again(struct ledger *ledger);

/* When something was read: both clocks at the same moment. */
struct ledger_moment {
    int64_t clock; /* clock_ms() */
    struct instant time;
};

/* A part of the range, of pieces that are this report's, was read whole: `rows` has what lies in it (with
 * hours). Pieces that are whole by that are remembered, unless `spoiled`: there may be more than came. */
void ledger_add(struct ledger *ledger, int64_t from, int64_t to, const struct usage *rows,
                struct ledger_moment asked, bool spoiled);

/* An entry of that time was read (of pieces that are this report's), whether it counts or not. */
void ledger_see(struct ledger *ledger, int64_t time);

/* Time of the first entry in all complete pieces; false: they have none. */
bool ledger_first_entry(const struct ledger *ledger, int64_t *out);

/* When the oldest of what was used was read; false: nothing was. */
bool ledger_read_at(const struct ledger *ledger, struct instant *out);

/* Up to where the range is complete without a gap. */
int64_t ledger_reach(const struct ledger *ledger);

#endif
