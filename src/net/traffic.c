/* One lock: it is taken twice a request over a network, and what is seen under it is of one moment. */
#include "net/traffic.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/memory.h"

static const char *const outcome_names[TRAFFIC_OUTCOMES] = {
    [TRAFFIC_OK] = "ok",
    [TRAFFIC_4XX] = "status_4xx",
    [TRAFFIC_5XX] = "status_5xx",
    [TRAFFIC_OTHER] = "status_other",
    [TRAFFIC_REFUSED] = "refused",
    [TRAFFIC_TLS] = "tls",
    [TRAFFIC_TIMEOUT] = "timeout",
    [TRAFFIC_BROKEN] = "broken",
    [TRAFFIC_TOO_LARGE] = "too_large",
    [TRAFFIC_INVALID] = "invalid",
    [TRAFFIC_CANCELLED] = "cancelled",
    [TRAFFIC_ENOUGH] = "enough",
};

struct traffic {
    pthread_mutex_t lock;
    struct traffic_view of[BACKEND_COUNT];
};

const char *traffic_outcome_name(enum traffic_outcome outcome)
{
    return outcome_names[outcome];
}

struct traffic *traffic_new(void)
{
    struct traffic *traffic = memory_new(1, sizeof(*traffic));

    pthread_mutex_init(&traffic->lock, NULL);
    return traffic;
}

void traffic_free(struct traffic *traffic)
{
    if (traffic == NULL)
        return;
    pthread_mutex_destroy(&traffic->lock);
    free(traffic);
}

static enum traffic_outcome outcome_of(const struct traffic_end *end)
{
    switch (end->outcome) {
    case FETCH_ANSWERED:
        break;
    case FETCH_REFUSED:
        return TRAFFIC_REFUSED;
    case FETCH_TLS:
        return TRAFFIC_TLS;
    case FETCH_TIMEOUT:
        return TRAFFIC_TIMEOUT;
    case FETCH_BROKEN:
        return TRAFFIC_BROKEN;
    case FETCH_TOO_LARGE:
        return TRAFFIC_TOO_LARGE;
    case FETCH_ENOUGH:
        return TRAFFIC_ENOUGH;
    case FETCH_INVALID:
        return TRAFFIC_INVALID;
    case FETCH_CANCELLED:
        return TRAFFIC_CANCELLED;
    }
    switch (end->status / 100) {
    case 2:
        return TRAFFIC_OK;
    case 4:
        return TRAFFIC_4XX;
    case 5:
        return TRAFFIC_5XX;
    default:
        return TRAFFIC_OTHER;
    }
}

static enum traffic_health health_of(const struct traffic_end *end)
{
    switch (outcome_of(end)) {
    case TRAFFIC_OK:
    case TRAFFIC_ENOUGH:
        return TRAFFIC_UP;
    case TRAFFIC_4XX:
        return (end->status == 401 || end->status == 403) && end->backend != BACKEND_OIDC ? TRAFFIC_FAILED
                                                                                          : TRAFFIC_UP;
    case TRAFFIC_CANCELLED:
        return TRAFFIC_UNKNOWN;
    default:
        return TRAFFIC_FAILED;
    }
}

bool traffic_is_failure(const struct traffic_end *end)
{
    return health_of(end) == TRAFFIC_FAILED;
}

void traffic_begin(struct traffic *traffic, enum backend backend)
{
    pthread_mutex_lock(&traffic->lock);
    traffic->of[backend].running++;
    pthread_mutex_unlock(&traffic->lock);
}

/* The lock is held. */
static void take_news(struct traffic_view *view, const struct traffic_end *end)
{
    enum traffic_health health = health_of(end);

    if (health == TRAFFIC_UNKNOWN)
        return;
    view->health = health;
    if (health == TRAFFIC_UP) {
        view->last_answer = instant_now();
        return;
    }
    view->last_failure = instant_now();
    if (end->outcome == FETCH_ANSWERED)
        snprintf(view->reason, sizeof(view->reason), "HTTP status %ld", end->status);
    else
        snprintf(view->reason, sizeof(view->reason), "%s", end->why);
}

void traffic_end(struct traffic *traffic, const struct traffic_end *end)
{
    struct traffic_view *view = &traffic->of[end->backend];

    pthread_mutex_lock(&traffic->lock);
    view->running--;
    view->ended[outcome_of(end)]++;
    histogram_add(&view->times, end->took);
    if (end->tried)
        take_news(view, end);
    pthread_mutex_unlock(&traffic->lock);
}

void traffic_look(struct traffic *traffic, enum backend backend, struct traffic_view *out)
{
    pthread_mutex_lock(&traffic->lock);
    *out = traffic->of[backend];
    pthread_mutex_unlock(&traffic->lock);
}
