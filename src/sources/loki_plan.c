/* With hints a stretch is shared out evenly among as many windows as its entries need at FILL of the limit.
 * `scale` follows what windows bring, so that a filter in the query or a rough index does not matter for
 * long. Without hints, and after a window that failed, windows grow by what the last one brought. */
#include "sources/loki_plan.h"

#include <math.h>

#define FILL            0.85
#define SCALE_MIN       (1.0 / 4096)
#define SCALE_MAX       65536.0
#define SCALE_STEP      1.5  /* at least, when a window that followed the hints met the limit; */
#define SCALE_LEAP      4.0  /* at most */
#define WEIGHT          0.5  /* of what the last window says */
#define GROWTH          4    /* an hour, four, sixteen, ... */
#define PEAK_FADES      0.85 /* with each window: nights are followed by days */
#define PEAK_LENGTH     (60 * LOKI_SECOND) /* a shorter window says nothing of longer ones */
#define CATCH_UP        16                 /* after a failure, where hints show the way or none are needed */
#define SPARE           4                  /* how much shorter a window is than one that was too much */
#define SHORTEST_SPARED (60 * LOKI_SECOND) /* a shorter window is no less work for the server */

void loki_plan_init(struct loki_plan *plan, int64_t limit, int64_t length, int64_t first_hour, size_t hours,
                    float *hints)
{
    *plan = (struct loki_plan){.limit = limit,
                               .length = length,
                               .bearable = LOKI_WINDOW_MAX,
                               .ceiling = LOKI_WINDOW_MAX,
                               .growth = LOKI_HOUR,
                               .scale = 1,
                               .first_hour = first_hour,
                               .hours = hours,
                               .hints = hints};
    for (size_t i = 0; i < hours; i++)
        hints[i] = -1;
}

void loki_plan_hint(struct loki_plan *plan, int64_t hour, float entries)
{
    if (hour >= plan->first_hour && (uint64_t)(hour - plan->first_hour) < plan->hours)
        plan->hints[hour - plan->first_hour] = entries;
}

static int64_t at_least(int64_t a, int64_t least)
{
    return a > least ? a : least;
}

static int64_t at_most(int64_t a, int64_t most)
{
    return a < most ? a : most;
}

static int64_t longest_window(const struct loki_plan *plan)
{
    return at_most(plan->length, plan->bearable);
}

static double target(const struct loki_plan *plan)
{
    return FILL * (double)plan->limit;
}

static double hint_at(const struct loki_plan *plan, int64_t time)
{
    int64_t hour = time / LOKI_HOUR - plan->first_hour;

    return hour >= 0 && (uint64_t)hour < plan->hours ? (double)plan->hints[hour] : -1;
}

static int64_t hour_end(int64_t time)
{
    return (time / LOKI_HOUR + 1) * LOKI_HOUR;
}

/* Where at most `entries` (as the hints count) are reached, at most `to`; *found is how many. Stops where no
 * hint is known. */
static int64_t walk(const struct loki_plan *plan, int64_t from, int64_t to, double entries, double *found)
{
    *found = 0;
    while (from < to) {
        int64_t next = hour_end(from) < to ? hour_end(from) : to;
        double hint = hint_at(plan, from), here;

        if (hint < 0)
            return from;
        here = hint * ((double)(next - from) / (double)LOKI_HOUR);
        if (*found + here > entries) {
            from += (int64_t)((double)(next - from) * ((entries - *found) / here));
            *found = entries;
            return from;
        }
        *found += here;
        from = next;
    }
    return to;
}

bool loki_plan_has_room(const struct loki_plan *plan, const struct loki_stretch *stretch, unsigned windows)
{
    int64_t each = (stretch->to - stretch->from) / windows;
    double found;

    if (each >= longest_window(plan))
        return false;
    if (hint_at(plan, stretch->from) < 0)
        return each < plan->growth;
    return walk(plan, stretch->from, stretch->to, windows * target(plan) / plan->scale, &found) ==
           stretch->to;
}

/* As the hints have it; the whole stretch is shared out evenly. */
static int64_t hinted_end(const struct loki_plan *plan, const struct loki_stretch *stretch)
{
    double all, part;
    int64_t known = walk(plan, stretch->from, stretch->to, HUGE_VAL, &all);
    double windows = ceil(all * plan->scale / target(plan));

    if (windows <= 1)
        return known;
    return walk(plan, stretch->from, known, all / windows, &part);
}

int64_t loki_plan_end(const struct loki_plan *plan, const struct loki_stretch *stretch)
{
    int64_t most = at_most(longest_window(plan), stretch->longest), end = stretch->to;

    if (hint_at(plan, stretch->from) >= 0)
        end = hinted_end(plan, stretch);
    else
        most = at_most(most, plan->growth);
    end = at_least(end, stretch->from + 1);
    return end - stretch->from > most ? stretch->from + most : end;
}

/* How long a window would have been right, if it is not much longer. */
static int64_t fitting(const struct loki_plan *plan, int64_t length, size_t entries)
{
    double ratio = entries > 0 ? target(plan) / (double)entries : CATCH_UP;

    if (ratio >= CATCH_UP)
        return length > INT64_MAX / CATCH_UP ? INT64_MAX : length * CATCH_UP;
    return (int64_t)((double)length * ratio) + 1;
}

static void set_scale(struct loki_plan *plan, double scale)
{
    if (scale < SCALE_MIN)
        scale = SCALE_MIN;
    plan->scale = scale > SCALE_MAX ? SCALE_MAX : scale;
}

/* The server has borne that much. */
static void recover(struct loki_plan *plan, int64_t length)
{
    if (length < plan->bearable / 2)
        return;
    plan->bearable = at_most(plan->bearable * 2, plan->ceiling);
    plan->ceiling = at_most(plan->ceiling + plan->ceiling / 16, LOKI_WINDOW_MAX);
}

static void grow(struct loki_plan *plan, int64_t length, size_t entries)
{
    double density = length < PEAK_LENGTH ? 0 : (double)entries / (double)length;

    plan->peak *= PEAK_FADES;
    if (density > plan->peak)
        plan->peak = density;
    plan->growth = at_least(plan->growth, at_most(length, LOKI_LENGTH) * GROWTH);
    if (plan->peak * (double)plan->growth > target(plan))
        plan->growth = at_least((int64_t)(target(plan) / plan->peak), 1);
}

/* They say so much more than comes that windows by them would never get anywhere. */
static void forget_hints(struct loki_plan *plan)
{
    for (size_t i = 0; i < plan->hours; i++)
        plan->hints[i] = -1;
    plan->scale = 1;
}

/* One window does not turn everything over: what it has may be of its place alone. */
static void follow(struct loki_plan *plan, double hinted, size_t entries)
{
    double scale = hinted > 0 ? (double)entries / hinted : SCALE_MAX;

    if (scale > plan->scale * SCALE_LEAP)
        scale = plan->scale * SCALE_LEAP;
    scale = plan->scale + WEIGHT * (scale - plan->scale);
    if (scale < SCALE_MIN)
        forget_hints(plan);
    else
        set_scale(plan, scale);
}

void loki_plan_learn(struct loki_plan *plan, struct loki_stretch *stretch, int64_t from, int64_t to,
                     size_t entries)
{
    int64_t length = to - from;
    double hinted;

    recover(plan, length);
    if (walk(plan, from, to, HUGE_VAL, &hinted) < to)
        grow(plan, length, entries);
    else if (hinted * plan->scale > target(plan) / 8 || (double)entries > target(plan) / 8)
        follow(plan, hinted, entries);
    if (stretch->longest != INT64_MAX)
        stretch->longest = fitting(plan, length, entries);
}

/* The hints were too low by so much, as far as the window has shown. */
static double step_of(const struct loki_plan *plan, int64_t from, int64_t latest)
{
    double hinted, step;

    walk(plan, from, latest, HUGE_VAL, &hinted);
    step = hinted * plan->scale > 0 ? (double)plan->limit / (hinted * plan->scale) : SCALE_LEAP;
    if (step < SCALE_STEP)
        return SCALE_STEP;
    return step < SCALE_LEAP ? step : SCALE_LEAP;
}

struct loki_stretch loki_plan_overflow(struct loki_plan *plan, const struct loki_stretch *stretch,
                                       int64_t from, int64_t to, int64_t latest)
{
    int64_t longest = (to - from) / 2;

    /* Forward, what came before the last one's time is whole, or nearly: it is only a guess. */
    if (latest - from < longest)
        longest = at_least(latest - from, 1);
    /* One such place makes the plan for all others only a little more careful, and only once. */
    if (stretch->longest == INT64_MAX) {
        set_scale(plan, plan->scale * step_of(plan, from, latest));
        plan->growth = at_most(plan->growth, at_least(longest, plan->growth / GROWTH));
    }
    return (struct loki_stretch){.from = from, .to = to, .longest = longest};
}

bool loki_plan_spare(struct loki_plan *plan, int64_t from, int64_t to)
{
    plan->ceiling = at_least((to - from) / 2, SHORTEST_SPARED);
    plan->bearable = at_least((to - from) / SPARE, SHORTEST_SPARED);
    return to - from > SHORTEST_SPARED;
}
