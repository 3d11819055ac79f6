/* Query strings: the first of a name counts, an empty value is an omitted one, a broken escape is that
 * parameter's error and nobody else's. */
#include "http/query.h"

#include <string.h>

#include "util/arena.h"

enum parameter { P_START, P_END, P_METRIC, P_GROUP_BY, P_FORMAT, P_INCLUDE_USERS, P_OWNER, PARAMETER_COUNT };

static const char *const parameter_names[PARAMETER_COUNT] = {
    [P_START] = "start",       [P_END] = "end",       [P_METRIC] = "metric",
    [P_GROUP_BY] = "group_by", [P_FORMAT] = "format", [P_INCLUDE_USERS] = "include_users",
    [P_OWNER] = "owner",
};

struct value {
    bool seen, broken;
    struct text text; /* decoded and trimmed */
};

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decodes; false for a broken escape or a NUL. */
static bool decode(struct arena *arena, struct text raw, struct text *out)
{
    char *decoded = arena_alloc(arena, raw.length + 1, 1);
    size_t length = 0;

    for (size_t i = 0; i < raw.length; i++) {
        char c = raw.data[i] == '+' ? ' ' : raw.data[i];

        if (c == '%') {
            int high = raw.length - i < 3 ? -1 : hex(raw.data[i + 1]);
            int low = high < 0 ? -1 : hex(raw.data[i + 2]);

            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0')
            return false;
        decoded[length++] = c;
    }
    *out = text_trim((struct text){decoded, length});
    return true;
}

static void read_pair(struct arena *arena, struct text pair, struct value values[PARAMETER_COUNT])
{
    struct text raw = pair, name = text_cut(&raw, '=');

    if (!decode(arena, name, &name))
        return;
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        if (values[i].seen || !text_is(name, parameter_names[i]))
            continue;
        values[i].seen = true;
        values[i].broken = raw.data && !decode(arena, raw, &values[i].text);
    }
}

/* Neither given with a value nor broken. */
static bool is_omitted(const struct value *value)
{
    return !value->broken && value->text.length == 0;
}

static const char *read_end(const struct value *value, const struct query_rules *rules,
                            struct question *question)
{
    if (is_omitted(value)) {
        question->end = (struct timestamp){{rules->now.seconds, 0}, 0};
        return NULL;
    }
    return !value->broken && timestamp_parse(value->text, &question->end) ? NULL : "invalid end timestamp";
}

static const char *read_start(const struct value *value, struct question *question)
{
    char text[TIMESTAMP_SIZE];

    if (is_omitted(value)) {
        question->start = question->end;
        question->start.instant.seconds -= 24 * 3600;
        /* A day before the first one that can be written. */
        return timestamp_format(question->start, text) ? NULL : "invalid start timestamp";
    }
    return !value->broken && timestamp_parse(value->text, &question->start) ? NULL
                                                                            : "invalid start timestamp";
}

static const char *check_range(const struct question *question, int64_t max_range_ms)
{
    struct instant start = question->start.instant, end = question->end.instant;
    struct instant last = {start.seconds + max_range_ms / 1000, start.nanoseconds};

    if (instant_compare(end, start) < 0)
        return "end must be after start";
    return instant_compare(end, last) > 0 ? "time range too long" : NULL;
}

static const char *read_group_by(const struct value *value, struct question *question)
{
    static const char *const names[] = {
        [GROUP_BY_SERVICE] = "service", [GROUP_BY_USER] = "user", [GROUP_BY_COUNTRY] = "country"};

    if (is_omitted(value))
        return "group_by is required";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (value->broken || !text_is_nocase(value->text, names[i]))
            continue;
        question->group_by = (enum group_by)i;
        return NULL;
    }
    return "unsupported group_by";
}

static const char *read_format(const struct value *value, struct question *question)
{
    question->format = FORMAT_JSON;
    if (is_omitted(value) || (!value->broken && text_is_nocase(value->text, "json")))
        return NULL;
    question->format = FORMAT_CSV;
    return !value->broken && text_is_nocase(value->text, "csv") ? NULL : "invalid format";
}

static const char *read_metric(const struct value *value, struct question *question)
{
    static const char *const values[METRIC_COUNT] = {
        [METRIC_CPU_HOURS] = "cpu-hours",
        [METRIC_GPU_HOURS] = "gpu-hours",
        [METRIC_REQUESTS_SYNC] = "requests-sync-per-service",
        [METRIC_REQUESTS_ASYNC] = "requests-async-per-service",
        [METRIC_REQUESTS_EXPOSED] = "requests-exposed-per-service",
        [METRIC_USERS] = "users-per-service",
    };
    static const char *const others[] = {"services-count", "requests-per-user", "countries-count",
                                         "countries-list"};

    question->metric = METRIC_ALL;
    if (is_omitted(value))
        return NULL;
    for (size_t i = 0; !value->broken && i < METRIC_COUNT; i++)
        if (text_is(value->text, values[i]))
            question->metric = (enum metric)i;
    if (question->metric != METRIC_ALL)
        return NULL;
    for (size_t i = 0; !value->broken && i < sizeof(others) / sizeof(others[0]); i++)
        if (text_is(value->text, others[i]))
            return "unsupported metric for value query";
    return "invalid metric key";
}

static const char *read_breakdown(const struct value values[PARAMETER_COUNT], struct question *question)
{
    const char *wrong = read_group_by(&values[P_GROUP_BY], question);

    if (wrong == NULL)
        wrong = read_format(&values[P_FORMAT], question);
    if (wrong)
        return wrong;
    question->include_users =
        !values[P_INCLUDE_USERS].broken && text_is_nocase(values[P_INCLUDE_USERS].text, "true");
    if (question->include_users && question->format == FORMAT_CSV && question->group_by == GROUP_BY_SERVICE)
        return "include_users is not supported for csv";
    return NULL;
}

const char *query_parse(struct arena *arena, struct text query, const struct query_rules *rules,
                        struct question *question)
{
    struct value values[PARAMETER_COUNT] = {0};
    struct text rest = query;
    const char *wrong;

    while (rest.data)
        read_pair(arena, text_cut(&rest, '&'), values);
    wrong = read_end(&values[P_END], rules, question);
    if (wrong == NULL)
        wrong = read_start(&values[P_START], question);
    if (wrong == NULL)
        wrong = check_range(question, rules->max_range_ms);
    if (wrong == NULL && question->kind == REPORT_BREAKDOWN)
        wrong = read_breakdown(values, question);
    if (wrong == NULL && question->kind == REPORT_SERVICE)
        wrong = read_metric(&values[P_METRIC], question);
    /* A broken owner is one that nobody has: the raw text is kept, which no owner is called. */
    question->owner = values[P_OWNER].broken ? TEXT_LITERAL("%") : values[P_OWNER].text;
    return wrong;
}
