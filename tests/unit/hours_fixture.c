/* Set-up of tests that want hours. */
#include "hours_fixture.h"

#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "net/fetch.h"
#include "settings.h"
#include "util/arena.h"

static const char *look_up(void *context, const char *name)
{
    const struct variables *variables = context;

    if (strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0)
        return "oscar";
    if (strcmp(name, "PROMETHEUS_URL") == 0)
        return variables->url;
    if (strcmp(name, "PROMETHEUS_CPU_QUERY") == 0)
        return variables->cpu;
    if (strcmp(name, "PROMETHEUS_TOKEN") == 0)
        return variables->token;
    return NULL;
}

void set_up(struct fixture *f, const struct variables *variables)
{
    struct variables copy = *variables;

    *f = (struct fixture){.arena = arena_new(), .settings = settings_read(look_up, &copy, stderr)};
    assert_non_null(f->settings);
    f->context = (struct source_context){.arena = f->arena,
                                         .fetcher = fetcher_new(NULL),
                                         .settings = f->settings,
                                         .start = {1767222000, 0},
                                         .end = {1767225600, 999999999},
                                         .now = {1767312000, 0},
                                         .deadline = clock_ms() + 30000};
}

void tear_down(struct fixture *f)
{
    fetcher_free(f->context.fetcher);
    settings_release(f->settings);
    arena_free(f->arena);
}

void start_parts(struct fixture *f, bool cpu, bool gpu, const struct hours_part *parts, size_t count)
{
    f->query = (struct hours_query){.wanted = {cpu, gpu}, .parts = parts, .part_count = count};
    f->job = prometheus_start(&f->context, &f->query, &f->hours);
}

void start(struct fixture *f, bool cpu, bool gpu)
{
    static const struct text yolo = {"yolo", 4};
    static const struct hours_part part = {.services = &yolo, .service_count = 1};

    start_parts(f, cpu, gpu, &part, 1);
}

/* As the report does it: up to the deadline. */
void run_to_the_end(struct fixture *f)
{
    enum job_state state;

    while ((state = f->job->ops->step(f->job)) != JOB_DONE) {
        int64_t now = clock_ms(), until = f->context.deadline;

        if (now >= until) {
            f->job->ops->stop(f->job, JOB_DEADLINE);
            fetcher_cancel(f->context.fetcher);
            return;
        }
        if (f->job->wake_at > 0 && f->job->wake_at < until)
            until = f->job->wake_at;
        if (state == JOB_WAITING)
            fetcher_wait(f->context.fetcher, -1, until > now ? (int)(until - now) : 0);
    }
}

/* "level value value notes", what a test looks at. */
const char *outcome(struct fixture *f)
{
    const char *notes = status_notes(&f->hours.status);

    return arena_format(f->arena, "%s %g %g %s%s", status_level_name(f->hours.status.level),
                        f->hours.value[HOURS_CPU], f->hours.value[HOURS_GPU],
                        f->hours.status.has_time ? "read " : "", notes ? notes : "");
}
