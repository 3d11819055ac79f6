/* Admission: how many requests may wait for a network at once, and the queue of those that wait for that.
 *
 * A request that was admitted has a slot until it is answered. Then the slot goes to the one that queued
 * first: nobody who comes overtakes those who wait. Who queues holds no thread. All threads share one
 * admission.
 *
 * Reports that ask for hours do not get all slots: a Prometheus that does not answer holds each of them until
 * its deadline, and what comes from logs alone is not to wait behind them. So those who need no hours
 * overtake the others when these have all the slots that they may have. */
#ifndef OM_HTTP_ADMISSION_H
#define OM_HTTP_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>

#include "http/lobby.h"

struct admission;
struct exchange;

/* A request between its arrival and its answer. */
struct visit {
    struct exchange *exchange;
    struct arrival arrival;
    bool hours;                /* it is a report that asks for hours */
    struct visit *next, *prev; /* the queue's */
};

/* The slots that so many threads can serve: all but a quarter of them, and but one at least, which stay free
 * for answers that wait for nobody. A single thread has its slot: it serves one after the other. */
size_t admission_slots(size_t threads);

/* How many of these slots reports that ask for hours may have: the same part of them. */
size_t admission_slots_for_hours(size_t slots);

struct admission *admission_new(size_t slots);
void admission_free(struct admission *admission); /* nobody queues any more; NULL is allowed */

enum admission_verdict {
    ADMISSION_SLOT,   /* the caller has one: admission_leave() */
    ADMISSION_QUEUED, /* the visit is not the caller's any more: it comes out below */
    ADMISSION_FULL,   /* neither */
};

enum admission_verdict admission_enter(struct admission *admission, struct visit *visit)
    __attribute__((warn_unused_result));

/* Gives the slot back of one that asked for hours, or did not. It is then the slot of the one that came first
 * among those in the queue who may have it, whom the caller serves now; NULL: there is none. */
struct visit *admission_leave(struct admission *admission, bool hours) __attribute__((warn_unused_result));

/* The first in the queue whose client went away, taken out of it; NULL: they are all there. */
struct visit *admission_take_gone(struct admission *admission) __attribute__((warn_unused_result));

/* Of one moment. */
struct admission_view {
    size_t slots, used, queued;
};

void admission_look(struct admission *admission, struct admission_view *out);

#endif
