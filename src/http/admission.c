/* Slots and the queue under one lock: a slot is free only while nobody queues. */
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
    size_t slots, free_slots, queued;
    struct visit *queue;
};

size_t admission_slots(size_t threads)
{
    size_t reserved = threads / ADMISSION_RESERVED_SHARE;

    if (threads <= 1)
        return threads;
    return threads - (reserved > 0 ? reserved : 1);
}

struct admission *admission_new(size_t slots)
{
    struct admission *admission = memory_new(1, sizeof(*admission));

    admission->slots = admission->free_slots = slots;
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

enum admission_verdict admission_enter(struct admission *admission, struct visit *visit)
{
    enum admission_verdict verdict = ADMISSION_FULL;

    pthread_mutex_lock(&admission->lock);
    if (admission->free_slots > 0) {
        admission->free_slots--;
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

struct visit *admission_leave(struct admission *admission)
{
    struct visit *first;

    pthread_mutex_lock(&admission->lock);
    first = admission->queue;
    if (first)
        take_out(admission, first);
    else
        admission->free_slots++;
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
