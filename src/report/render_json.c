/* JSON through json-c, fields in the order of the contract. Its own spelling of doubles is not ours ("0.0",
 * "0.10000000000000001"): they are handed over as text. */
#include <json-c/json.h>

#include "report/render.h"

#include "report/owners.h"
#include "report/report.h"
#include "report/view.h"
#include "util/arena.h"
#include "util/decimal.h"

typedef struct json_object json;

static json *json_text(struct text text)
{
    return json_object_new_string_len(text.data ? text.data : "", (int)text.length);
}

static json *json_count(uint64_t count)
{
    return json_object_new_uint64(count);
}

static json *json_hours(double value)
{
    char text[DECIMAL_SIZE];

    decimal_shortest(value, text);
    return json_object_new_double_s(value, text);
}

static json *json_time(struct timestamp time)
{
    char text[TIMESTAMP_SIZE];

    timestamp_format(time, text); /* a question's times can be written: query.c */
    return json_object_new_string(text);
}

static json *json_source(const struct source_status *status)
{
    json *out = json_object_new_object();
    const char *notes = status_notes(status);
    char when[TIMESTAMP_SIZE];

    json_object_object_add(out, "name", json_object_new_string(status->name));
    json_object_object_add(out, "status", json_object_new_string(status_level_name(status->level)));
    if (status->has_time) {
        instant_format_seconds(status->last_updated, when);
        json_object_object_add(out, "last_updated", json_object_new_string(when));
    }
    if (notes)
        json_object_object_add(out, "notes", json_object_new_string(notes));
    return out;
}

/* The sources of the mask that fed the report. */
static json *json_sources(const struct report *report, unsigned mask)
{
    json *out = json_object_new_array();

    for (unsigned i = 0; i < SOURCE_COUNT; i++)
        if (report->sources[i] && (mask >> i & 1))
            json_object_array_add(out, json_source(report->sources[i]));
    return out;
}

static json *json_users(const struct view_item *item)
{
    json *out = json_object_new_array();

    for (size_t i = 0; i < item->user_count; i++)
        json_object_array_add(out, json_text(item->users[i]));
    return out;
}

static json *json_country(struct text country, uint64_t requests)
{
    json *out = json_object_new_object();

    json_object_object_add(out, "country", json_text(country));
    json_object_object_add(out, "request_count", json_count(requests));
    return out;
}

static json *json_countries(const struct view_item *item)
{
    json *out = json_object_new_array();

    for (size_t i = 0; i < item->country_count; i++)
        json_object_array_add(out, json_country(item->countries[i].country, item->countries[i].requests));
    return out;
}

static void add_times(json *out, const struct question *question)
{
    json_object_object_add(out, "start", json_time(question->start));
    json_object_object_add(out, "end", json_time(question->end));
}

static void add_request_counts(json *out, const struct view_item *item)
{
    json_object_object_add(out, "requests_count_total", json_count(view_executions(item)));
    json_object_object_add(out, "requests_count_sync", json_count(item->requests[USAGE_SYNC]));
    json_object_object_add(out, "requests_count_async", json_count(item->requests[USAGE_ASYNC]));
    json_object_object_add(out, "requests_count_exposed", json_count(item->requests[USAGE_EXPOSED]));
}

static json *summary(struct arena *arena, const struct report *report)
{
    json *out = json_object_new_object(), *totals = json_object_new_object();
    size_t services;
    struct view_item all = view_totals(arena, report->usage, &report->scope, &services);

    add_times(out, &report->question);
    json_object_object_add(totals, "services_count_active", json_count(report_active_services(report)));
    json_object_object_add(totals, "services_count_total", json_count(services));
    json_object_object_add(totals, "cpu_hours_total", json_hours(report->hours.value[HOURS_CPU]));
    json_object_object_add(totals, "gpu_hours_total", json_hours(report->hours.value[HOURS_GPU]));
    add_request_counts(totals, &all);
    json_object_object_add(totals, "countries_count", json_count(all.country_count));
    json_object_object_add(totals, "countries", json_countries(&all));
    json_object_object_add(totals, "users_count", json_count(all.user_count));
    json_object_object_add(totals, "users", json_users(&all));
    json_object_object_add(out, "totals", totals);
    json_object_object_add(out, "sources", json_sources(report, ~0u));
    return out;
}

static json *service_row(const struct view_item *item, bool include_users)
{
    json *out = json_object_new_object();

    json_object_object_add(out, "key", json_text(item->key));
    add_request_counts(out, item);
    json_object_object_add(out, "unique_users_count", json_count(item->user_count));
    if (include_users)
        json_object_object_add(out, "users", json_users(item));
    json_object_object_add(out, "countries", json_countries(item));
    return out;
}

static json *user_row(const struct view_item *item)
{
    json *out = json_object_new_object();

    json_object_object_add(out, "key", json_text(item->key));
    json_object_object_add(out, "membership", json_object_new_string(membership_of(item->key)));
    json_object_object_add(out, "executions_count", json_count(view_executions(item)));
    json_object_object_add(out, "countries", json_countries(item));
    return out;
}

static json *country_row(const struct view_item *item)
{
    json *out = json_object_new_object(), *countries = json_object_new_array();

    json_object_array_add(countries, json_country(item->key, view_executions(item)));
    json_object_object_add(out, "key", json_text(item->key));
    json_object_object_add(out, "executions_count", json_count(view_executions(item)));
    json_object_object_add(out, "unique_users_count", json_count(item->user_count));
    json_object_object_add(out, "countries", countries);
    return out;
}

static json *breakdown_row(const struct report *report, const struct view_item *item)
{
    switch (report->question.group_by) {
    case GROUP_BY_SERVICE:
        return service_row(item, report->question.include_users);
    case GROUP_BY_USER:
        return user_row(item);
    case GROUP_BY_COUNTRY:
        return country_row(item);
    }
    return NULL;
}

static json *breakdown(struct arena *arena, const struct report *report)
{
    json *out = json_object_new_object(), *items = json_object_new_array();
    enum group_by group_by = report->question.group_by;
    struct view view = view_breakdown(arena, report->usage, &report->scope, group_by);

    add_times(out, &report->question);
    json_object_object_add(out, "group_by", json_object_new_string(group_by_name(group_by)));
    for (size_t i = 0; i < view.count; i++)
        json_object_array_add(items, breakdown_row(report, &view.items[i]));
    json_object_object_add(out, "items", items);
    json_object_object_add(out, "sources", json_sources(report, ~0u));
    return out;
}

static json *metric_value(const struct report *report, const struct view_item *item, enum metric metric)
{
    switch (metric) {
    case METRIC_CPU_HOURS:
        return json_hours(report->hours.value[HOURS_CPU]);
    case METRIC_GPU_HOURS:
        return json_hours(report->hours.value[HOURS_GPU]);
    case METRIC_REQUESTS_SYNC:
        return json_count(item->requests[USAGE_SYNC]);
    case METRIC_REQUESTS_ASYNC:
        return json_count(item->requests[USAGE_ASYNC]);
    case METRIC_REQUESTS_EXPOSED:
        return json_count(item->requests[USAGE_EXPOSED]);
    case METRIC_USERS:
        return json_count(item->user_count);
    case METRIC_ALL:
        break;
    }
    return NULL;
}

/* Which lines are an owner's, the inventory tells; what a user may see, too. */
static unsigned sources_of(const struct report *report, enum metric metric)
{
    enum scope_kind kind = report->scope.kind;
    bool by_inventory = kind == SCOPE_USER || (kind == SCOPE_OWNER && !metric_is_hours(metric));

    return metric_sources(metric) | (by_inventory ? 1u << SOURCE_INVENTORY : 0);
}

static void add_value(json *out, const struct report *report, const struct view_item *item,
                      enum metric metric)
{
    json_object_object_add(out, "value", metric_value(report, item, metric));
    if (metric_is_hours(metric))
        json_object_object_add(out, "unit", json_object_new_string("hours"));
    json_object_object_add(out, "sources", json_sources(report, sources_of(report, metric)));
}

static json *service(struct arena *arena, const struct report *report)
{
    const struct question *question = &report->question;
    struct view_item item = view_service(arena, report->usage, &report->scope, question->service);
    json *out = json_object_new_object(), *metrics;

    if (question->metric != METRIC_ALL) {
        json_object_object_add(out, "service_id", json_text(question->service));
        json_object_object_add(out, "metric", json_object_new_string(metric_name(question->metric)));
        add_times(out, question);
        add_value(out, report, &item, question->metric);
        return out;
    }
    json_object_object_add(out, "service_name", json_text(question->service));
    add_times(out, question);
    metrics = json_object_new_array();
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        json *metric = json_object_new_object();

        json_object_object_add(metric, "metric", json_object_new_string(metric_name((enum metric)i)));
        add_value(metric, report, &item, (enum metric)i);
        json_object_array_add(metrics, metric);
    }
    json_object_object_add(out, "metrics", metrics);
    return out;
}

/* Writes down and gives back the tree. */
static bool write_out(json *tree, struct buf *out)
{
    size_t length = 0;
    const char *text = json_object_to_json_string_length(
        tree, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length);
    bool fits = text && buf_add(out, (struct text){text, length});

    json_object_put(tree);
    return fits;
}

bool render_json(struct arena *arena, const struct report *report, struct buf *out)
{
    switch (report->question.kind) {
    case REPORT_SUMMARY:
        return write_out(summary(arena, report), out);
    case REPORT_BREAKDOWN:
        return write_out(breakdown(arena, report), out);
    case REPORT_SERVICE:
        return write_out(service(arena, report), out);
    case REPORT_OWNERS:
        break;
    }
    return false;
}

bool render_owners(const struct owners *owners, struct buf *out)
{
    json *tree = json_object_new_object(), *list = json_object_new_array();

    for (size_t i = 0; i < owners->count; i++) {
        json *owner = json_object_new_object();

        json_object_object_add(owner, "id", json_text(owners->list[i].id));
        json_object_object_add(owner, "name", json_text(owners->list[i].name));
        json_object_object_add(owner, "namespace", json_text(owners->list[i].namespace));
        json_object_array_add(list, owner);
    }
    json_object_object_add(tree, "owners", list);
    return write_out(tree, out);
}

bool render_error(const char *message, struct buf *out)
{
    json *tree = json_object_new_object();

    json_object_object_add(tree, "error", json_object_new_string(message));
    return write_out(tree, out);
}
