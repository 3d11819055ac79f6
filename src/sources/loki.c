/* The job: what is remembered is taken, hints are asked for, windows read what is left, and in the end it is
 * asked whether the range begins before the data. What is missing is said. */
#include "sources/loki.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "caps.h"
#include "net/form.h"
#include "settings.h"
#include "sources/loki_job.h"
#include "sources/template.h"
#include "sources/uncounted.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/cache.h"
#include "util/memory.h"

enum { NAME_SIZE = 1024 * 1024 }; /* fits what an environment can hold of it */

/* Loki counts nanoseconds in 64 bits. */
#define LATEST ((int64_t)9200000000 * LOKI_SECOND)

/* What is asked where the service stands in the host's name. */
#define SUBDOMAIN_QUERY "{namespace=\"{{namespace}}\", app=\"{{app}}\"}"

/* ---- asking ---- */

void loki_form(struct buf *form, const char *query)
{
    enum { FORM_SIZE = 4 * TEMPLATE_MAX_BYTES }; /* fits the longest query, each byte escaped */

    buf_init(form, FORM_SIZE);
    form_add(form, "query", text_of(query));
}

void loki_ask(struct loki *loki, const char *url, struct buf *form, int64_t from, int64_t to,
              int64_t patience_ms, fetch_done *done, void *context)
{
    int64_t deadline = clock_ms() + patience_ms;
    char number[24];

    snprintf(number, sizeof(number), "%" PRId64, from);
    form_add(form, "start", text_of(number));
    snprintf(number, sizeof(number), "%" PRId64, to);
    form_add(form, "end", text_of(number));
    fetch_start(loki->context->fetcher,
                &(struct fetch_request){
                    .backend = BACKEND_LOKI,
                    .url = url,
                    .access = &loki->access,
                    .body = buf_text(form),
                    .max_bytes = LOKI_ANSWER_MAX_BYTES,
                    .deadline = deadline < loki->context->deadline ? deadline : loki->context->deadline},
                done, context);
}

void loki_give_up(struct loki *loki, const char *format, ...)
{
    char note[STATUS_NOTE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(note, sizeof(note), format, args);
    va_end(args);
    status_note(loki->status, STATUS_PARTIAL, "%s", note);
    loki->given_up = true;
}

/* ---- what the server taught ---- */

struct lessons {
    struct cache_value value;
    int64_t born, limit, length;
};

static void destroy_lessons(struct cache_value *value)
{
    free(value);
}

/* Held for the caller; NULL: nothing is known, or it was too long ago. */
static struct lessons *recall_lessons(const struct loki *loki)
{
    struct cache *cache = loki->context->remembered;
    struct lessons *lessons = cache ? (struct lessons *)cache_get(cache, loki->server) : NULL;

    if (lessons == NULL || clock_ms() - lessons->born <= LOKI_LESSONS_MS)
        return lessons;
    cache_value_release(&lessons->value);
    return NULL;
}

void loki_keep_lesson(struct loki *loki, enum loki_lesson lesson)
{
    struct cache *cache = loki->context->remembered;
    struct lessons *before = recall_lessons(loki), *lessons;

    if (cache == NULL)
        return;
    lessons = memory_new(1, sizeof(*lessons));
    cache_value_init(&lessons->value, sizeof(*lessons), destroy_lessons);
    lessons->born = clock_ms();
    /* The other one may have been taught to somebody else. */
    lessons->limit = lesson == LOKI_FEWER || before == NULL ? loki->plan.limit : before->limit;
    lessons->length = lesson == LOKI_SHORTER || before == NULL ? loki->plan.length : before->length;
    cache_put(cache, loki->server, &lessons->value, lessons->born);
    cache_value_release(&lessons->value);
    cache_value_release((struct cache_value *)before);
}

static void init_plan(struct loki *loki)
{
    struct lessons *known = recall_lessons(loki);
    int64_t first = loki->from / LOKI_HOUR, last = (loki->to - 1) / LOKI_HOUR,
            now = instant_hour(loki->context->now);
    size_t hours;

    /* The future has no hints. */
    if (last > now)
        last = now > first ? now : first;
    hours = (size_t)(last - first + 1);
    loki_plan_init(&loki->plan, known ? known->limit : LOKI_LIMIT, known ? known->length : LOKI_LENGTH, first,
                   hours, ARENA_ARRAY(loki->context->arena, hours, float));
    cache_value_release((struct cache_value *)known);
}

/* ---- what is said at the end ---- */

const char *loki_time_text(const struct loki *loki, int64_t time)
{
    char text[TIMESTAMP_SIZE];

    instant_format_seconds((struct instant){time / LOKI_SECOND, 0}, text);
    return arena_format(loki->context->arena, "%s", text);
}

static void note_how_far(struct loki *loki, bool deadline)
{
    size_t count = ledger_count(loki->ledger), complete = ledger_complete(loki->ledger);
    const char *before = deadline ? "deadline passed: " : "";

    if (deadline && loki->trouble)
        status_note(loki->status, STATUS_PARTIAL, "Loki: %s", loki->trouble);
    if (ledger_is_full(loki->ledger))
        status_note(loki->status, STATUS_PARTIAL, "memory limit reached (OSCAR_METRICS_MEMORY)");
    else if (complete == count || (complete == 0 && loki->given_up))
        return;
    else if (ledger_reach(loki->ledger) > loki->from)
        status_note(loki->status, STATUS_PARTIAL, "%scomplete up to %s, %zu of %zu hours read", before,
                    loki_time_text(loki, ledger_reach(loki->ledger)), complete, count);
    else
        status_note(loki->status, STATUS_PARTIAL, "%s%zu of %zu hours read", before, complete, count);
}

/* Everything is settled: what still comes is not looked at. */
static void settle(struct loki *loki, bool deadline)
{
    struct instant read_at;

    loki->settled = true;
    loki->phase = LOKI_DONE;
    loki_hints_drop(loki);
    ledger_close(loki->ledger, true);
    if (loki->context->claims)
        claims_unlisten(loki->context->claims, &loki->listener);
    note_how_far(loki, deadline);
    loki_date_note(loki);
    if (ledger_read_at(loki->ledger, &read_at))
        status_read_at(loki->status, read_at);
    else if (loki->status->level != STATUS_OK)
        loki->status->level = STATUS_MISSING;
    if (loki->context->remembered) /* a report on a terminal has no log */
        uncounted_log(loki->status->name, loki->results);
}

/* ---- the job ---- */

static void look(struct loki *loki)
{
    if (!ledger_look(loki->ledger, clock_ms() + LOKI_STEP_MS))
        loki->phase = LOKI_HINTING;
}

/* True when there is nothing left to read, or no use in it. */
static bool read_on(struct loki *loki)
{
    if (!loki->given_up && !ledger_is_full(loki->ledger))
        loki_windows_start(loki);
    if (loki->running > 0)
        return false;
    return loki->given_up || ledger_is_full(loki->ledger) ||
           ledger_complete(loki->ledger) == ledger_count(loki->ledger);
}

static enum job_state step(struct job *job)
{
    struct loki *loki = (struct loki *)job;

    job->wake_at = 0;
    switch (loki->phase) {
    case LOKI_LOOKING:
        look(loki);
        return JOB_READY;
    case LOKI_HINTING:
        if (!loki_hints(loki))
            return JOB_WAITING;
        loki->phase = LOKI_READING;
        return JOB_READY;
    case LOKI_READING:
        if (!read_on(loki))
            return JOB_WAITING;
        loki->phase = LOKI_DATING;
        return JOB_READY;
    case LOKI_DATING:
        if (!loki->given_up && !ledger_is_full(loki->ledger) && !loki_date(loki))
            return JOB_WAITING;
        settle(loki, false);
        return JOB_DONE;
    case LOKI_DONE:
        break;
    }
    return JOB_DONE;
}

static void stop(struct job *job, enum job_stop why)
{
    settle((struct loki *)job, why == JOB_DEADLINE);
}

static void wake(void *context)
{
    struct loki *loki = context;

    atomic_store(&loki->woken, true);
    fetcher_wake(loki->context->fetcher);
}

/* ---- the beginning ---- */

static const char *fill_query(struct loki *loki, struct text service, const char **why)
{
    const struct settings *settings = loki->context->settings;
    bool exposed = loki->rules.kind == LOGLINE_EXPOSED;
    const char *template = settings_text(settings, exposed ? LOKI_EXPOSED_QUERY : LOKI_QUERY);
    struct template_value values[] = {
        {.name = "{{namespace}}",
         .text = text_of(settings_text(settings, exposed ? LOKI_EXPOSED_NAMESPACE : OSCAR_NAMESPACE))},
        {.name = "{{app}}",
         .text = exposed ? text_of(settings_text(settings, LOKI_EXPOSED_APP)) : TEXT_LITERAL("oscar")},
        {.name = "{{service}}", .text = service}};

    if (service.length == 0) {
        values[2].tail = ".*";
        values[2].no_exact = "the query template matches one service exactly (\"=\") and cannot ask for all";
    }
    if (exposed && settings_flag(settings, EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE) &&
        strcmp(settings_origin(settings, LOKI_EXPOSED_QUERY), "default") == 0)
        template = SUBDOMAIN_QUERY;
    return template_fill(loki->context->arena, template, values, sizeof(values) / sizeof(values[0]), why);
}

static const char *url_of(const struct loki *loki, const char *path)
{
    struct text url = text_of(settings_text(loki->context->settings, LOKI_URL));

    while (url.length > 0 && url.data[url.length - 1] == '/')
        url.length--;
    return arena_format(loki->context->arena, "%.*s/loki/api/v1/%s", (int)url.length, url.data, path);
}

/* Several strings as one, each with its end. */
static struct text join(struct arena *arena, const char *const *strings)
{
    struct buf all;
    struct text out;

    buf_init(&all, NAME_SIZE);
    for (; *strings; strings++)
        buf_add(&all, (struct text){*strings, strlen(*strings) + 1});
    out = arena_text(arena, buf_text(&all));
    buf_free(&all);
    return out;
}

static void prepare(struct loki *loki)
{
    const struct settings *settings = loki->context->settings;
    const char *tenant = settings_text(settings, LOKI_TENANT);
    const char *user = settings_text(settings, LOKI_USERNAME); /* a gateway may tell tenants by it */
    const char *const server[] = {"loki", url_of(loki, ""), tenant, user, NULL};
    const char *const name[] = {"loki",
                                loki->rules.kind == LOGLINE_EXPOSED ? "exposed" : "requests",
                                url_of(loki, ""),
                                tenant,
                                user,
                                loki->query,
                                loki->rules.services_namespace,
                                settings_text(settings, OSCAR_METRICS_LOG_TIMEZONE),
                                NULL};

    loki->server = join(loki->context->arena, server);
    loki->name = join(loki->context->arena, name);
    loki->range_url = url_of(loki, "query_range");
    loki->stats_url = url_of(loki, "index/stats");
    loki->volume_url = url_of(loki, "index/volume_range");
    loki->selector = loki_selector(loki->context->arena, loki->query);
    loki->access = (struct fetch_access){.token = settings_text(settings, LOKI_TOKEN),
                                         .username = user,
                                         .password = settings_text(settings, LOKI_PASSWORD),
                                         .ca_file = settings_text(settings, LOKI_CA_FILE),
                                         .tenant = tenant};
    loki->patience_ms = (loki->context->deadline - clock_ms()) / LOKI_PATIENCE_SHARE;
    if (loki->patience_ms > LOKI_PATIENCE_MS)
        loki->patience_ms = LOKI_PATIENCE_MS;
}

static int64_t nanoseconds(struct instant time)
{
    if (time.seconds < LOKI_EARLIEST / LOKI_SECOND)
        return LOKI_EARLIEST;
    if (time.seconds >= LATEST / LOKI_SECOND)
        return LATEST;
    return time.seconds * LOKI_SECOND + time.nanoseconds;
}

static void open_ledger(struct loki *loki, struct usage *usage)
{
    const struct source_context *context = loki->context;
    const struct ledger_memory memory = {
        .cache = context->remembered,
        .claims = context->claims,
        .name = loki->name,
        .max_bytes = (size_t)settings_number(context->settings, OSCAR_METRICS_MEMORY),
        .settle_ms = settings_number(context->settings, OSCAR_METRICS_SETTLE),
        .fresh_after = context->fresh_after,
        .now = context->now};

    loki->ledger = ledger_open(context->arena, &memory, loki->from, loki->to, usage);
    loki->listener = (struct claims_listener){.wake = wake, .context = loki};
    if (context->claims)
        claims_listen(context->claims, &loki->listener);
}

struct job *loki_start(const struct source_context *context, enum logline_kind kind, struct text service,
                       struct usage *usage, struct source_status *status)
{
    static const struct job_ops ops = {step, stop};
    struct loki *loki = ARENA_NEW(context->arena, struct loki);
    const char *why;

    loki->job.ops = &ops;
    loki->context = context;
    loki->status = status;
    loki->from = nanoseconds(context->start);
    loki->to = nanoseconds(context->end) + 1;
    loki->rules = (struct logline_rules){
        .kind = kind,
        .services_namespace = settings_text(context->settings, OSCAR_SERVICES_NAMESPACE),
        .times = &loki->times,
        .subdomain_routes = settings_flag(context->settings, EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE)};
    loki->query = fill_query(loki, service, &why);
    if (loki->query == NULL) {
        status_note(status, STATUS_MISSING, "%s", why);
        return NULL;
    }
    prepare(loki);
    open_ledger(loki, usage);
    init_plan(loki);
    loki_windows_init(loki, (size_t)settings_number(context->settings, LOKI_PARALLEL));
    return &loki->job;
}
