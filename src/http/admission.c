/* Slots and the queue under one lock. While somebody queues who may have a slot, none is free. */
#include "http/admission.h"

#include <pthread.h>
#include <stdlib.h>

#include <utlist.h>

#include "caps.h"
#include "http/exchange.h"
#include "util/memory.h"
#include "util/peer.h"

struct admission {
    pthread_mutex_t lock;
    size_t slots, free_slots, free_for_hours, queued;
    struct visit *queue;
};

/* All but a part, and but one at least; of one, that one. */
static size_t all_but_a_part(size_t all)
{
    size_t reserved = all / ADMISSION_RESERVED_SHARE;

    if (all <= 1)
        return all;
    return all - (reserved > 0 ? reserved : 1);
}

size_t admission_slots(size_t threads)
{
    return all_but_a_part(threads);
}

size_t admission_slots_for_hours(size_t slots)
{
    return all_but_a_part(slots);
}

struct admission *admission_new(size_t slots)
{
    struct admission *admission = memory_new(1, sizeof(*admission));

    admission->slots = admission->free_slots = slots;
    admission->free_for_hours = admission_slots_for_hours(slots);
    pthread_mutex_init(&admission->lock, NULL);
    return admission;
}

void admission_free(struct admission *admission)
{
    if (admission == NULL)
        return;
    pthread_mutex_destroy(&admission->lock);
    free(admission);
}

/* The lock is held. */
static bool take_slot(struct admission *admission, const struct visit *visit)
{
    if (admission->free_slots == 0 || (visit->hours && admission->free_for_hours == 0))
        return false;
    admission->free_slots--;
    admission->free_for_hours -= visit->hours;
    return true;
}

enum admission_verdict admission_enter(struct admission *admission, struct visit *visit)
{
    enum admission_verdict verdict = ADMISSION_FULL;

    pthread_mutex_lock(&admission->lock);
    if (take_slot(admission, visit)) {
        verdict = ADMISSION_SLOT;
    } else if (admission->queued < ADMISSION_QUEUE_MAX) {
        DL_APPEND(admission->queue, visit);
        admission->queued++;
        verdict = ADMISSION_QUEUED;
    }
    pthread_mutex_unlock(&admission->lock);
    return verdict;
}

/* The lock is held. */
static void take_out(struct admission *admission, struct visit *visit)
{
    DL_DELETE(admission->queue, visit);
    admission->queued--;
}

struct visit *admission_leave(struct admission *admission, bool hours)
{
    struct visit *first;

    pthread_mutex_lock(&admission->lock);
    admission->free_slots++;
    admission->free_for_hours += hours;
    /* One slot was given back: after the first who may have it there is no other. */
    for (first = admission->queue; first && !take_slot(admission, first); first = first->next)
        continue;
    if (first)
        take_out(admission, first);
    pthread_mutex_unlock(&admission->lock);
    return first;
}

struct visit *admission_take_gone(struct admission *admission)
{
    struct visit *visit;

    pthread_mutex_lock(&admission->lock);
    for (visit = admission->queue; visit; visit = visit->next)
        if (peer_look(visit->exchange->ops->descriptor(visit->exchange)) == PEER_GONE)
            break;
    if (visit)
        take_out(admission, visit);
    pthread_mutex_unlock(&admission->lock);
    return visit;
}

void admission_look(struct admission *admission, struct admission_view *out)
{
    pthread_mutex_lock(&admission->lock);
    *out = (struct admission_view){admission->slots, admission->slots - admission->free_slots,
                                   admission->queued};
    pthread_mutex_unlock(&admission->lock);
}
