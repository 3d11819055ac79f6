/* The log lines of OSCAR's manager and of the two ingress controllers. Callers choose paths, queries and (at
 * the ingress) user names, so each thing is looked for only where it must stand, never searched for in the
 * whole line. */
#include "sources/logline.h"

#include <json-c/json.h>
#include <string.h>

#include "sources/upstream.h"
#include "util/json.h"

#define PREFIX  "[GIN-EXECUTIONS-LOGGER]"
#define EXPOSED "/system/services/"

enum { FIELDS = 8, TIME_SIZE = 64, BRACKET_SIZE = 64 }; /* fit every form of a time */

static const char *const result_names[LOGLINE_RESULTS] = {
    [LOGLINE_COUNTS] = "counts",       [LOGLINE_NO_PREFIX] = "no_prefix", [LOGLINE_FIELDS] = "fields",
    [LOGLINE_NAMESPACE] = "namespace", [LOGLINE_PATH] = "path",           [LOGLINE_SERVICE] = "service",
    [LOGLINE_TIME] = "time",
};

const char *logline_result_name(enum logline_result result)
{
    return result_names[result];
}

/* text_cut() for a blank, looking only where the first word of a line can end. */
static bool take_word(struct text *rest, struct text *word)
{
    size_t reach = rest->length < TIME_SIZE ? rest->length : TIME_SIZE;
    const char *blank = reach ? memchr(rest->data, ' ', reach) : NULL;

    if (blank == NULL)
        return false;
    *word = (struct text){rest->data, (size_t)(blank - rest->data)};
    *rest = text_skip(*rest, word->length + 1);
    return true;
}

static bool is_digit(struct text text)
{
    return text.length > 0 && text.data[0] >= '0' && text.data[0] <= '9';
}

/* Cuts "stdout F " and the like. */
static bool take_stream(struct text *rest, struct logline_piece *out)
{
    char tag;

    out->is_stderr = text_starts(*rest, "stderr ");
    if (!out->is_stderr && !text_starts(*rest, "stdout "))
        return false;
    tag = rest->length > 7 ? rest->data[7] : '\0';
    if ((tag != 'F' && tag != 'P') || (rest->length > 8 && rest->data[8] != ' '))
        return false;
    out->continues = tag == 'P';
    *rest = text_skip(*rest, rest->length > 8 ? 9 : 8);
    return true;
}

bool logline_piece(struct text line, struct logline_piece *out)
{
    struct timestamp time;
    struct text word;

    if (!is_digit(line) || !take_word(&line, &word) || !take_stream(&line, out))
        return false;
    out->content = line;
    return !out->continues || timestamp_parse(word, &time);
}

static bool parse_rfc3339(const struct logline_rules *rules, struct text text, struct instant *out)
{
    struct minute_cache none = {.filled = false};

    return timestamp_parse_cached(text, rules->times ? &rules->times->minute : &none, out);
}

/* Cuts a container runtime's prefix, CRI's or kubectl's. False, and nothing is cut, when there is none. */
static bool take_runtime_prefix(const struct logline_rules *rules, struct text *line, struct instant *time)
{
    struct text rest = *line, word;
    struct logline_piece piece;

    if (!is_digit(rest) || !take_word(&rest, &word) || !parse_rfc3339(rules, word, time))
        return false;
    take_stream(&rest, &piece);
    *line = rest;
    return true;
}

/* The time of the manager's lines, in either of its forms. */
static bool parse_own_time(const struct logline_rules *rules, struct text text, struct instant *out)
{
    if (text.length > 4 && text.data[4] == '/')
        return rules->times ? timestamp_parse_gin_cached(text, &rules->times->zone, out)
                            : timestamp_parse_gin(text, out);
    return parse_rfc3339(rules, text, out);
}

/* StartUTC comes in RFC 3339 or in the common log format. */
static bool parse_traefik_time(struct text text, struct instant *out)
{
    struct timestamp stamp;

    if (timestamp_parse_clf(text, out))
        return true;
    if (!timestamp_parse(text, &stamp))
        return false;
    *out = stamp.instant;
    return true;
}

/* ---- OSCAR's manager ---- */

/* A line of the manager that is not of the executions' logger may still say its time: "[GIN] 2026/05/04 -
 * ...". */
static bool find_other_time(const struct logline_rules *rules, struct text line, struct instant *out)
{
    size_t reach = line.length < BRACKET_SIZE ? line.length : BRACKET_SIZE;
    const char *end = reach && line.data[0] == '[' ? memchr(line.data, ']', reach) : NULL;

    if (end)
        line = text_skip(line, (size_t)(end - line.data) + 1);
    line = text_trim(text_cut(&line, '|'));
    return is_digit(line) && parse_own_time(rules, line, out);
}

/* Splits by '|'; gives FIELDS + 1 when there are more. */
static size_t split(struct text rest, struct text fields[FIELDS])
{
    size_t count = 0;

    while (count < FIELDS) {
        fields[count++] = text_cut(&rest, '|');
        if (rest.data == NULL)
            return count;
    }
    return FIELDS + 1;
}

/* "POST    /run/name?query" -> type and name. */
static bool parse_call(struct text field, enum usage_type *type, struct text *name)
{
    size_t method = 0;

    while (method < field.length && field.data[method] != ' ' && field.data[method] != '\t')
        method++;
    field = text_trim(text_skip(field, method));
    if (text_starts(field, "/run/"))
        *type = USAGE_SYNC;
    else if (text_starts(field, "/job/"))
        *type = USAGE_ASYNC;
    else
        return false;
    field = text_skip(field, 5);
    *name = text_cut(&field, '?');
    return name->length > 0;
}

static enum logline_result parse_request(const struct logline_rules *rules, struct text line,
                                         struct logline_event *event)
{
    struct text fields[FIELDS];
    size_t count;

    if (!text_starts(line, PREFIX)) {
        if (!event->timed)
            event->timed = find_other_time(rules, line, &event->time);
        return LOGLINE_NO_PREFIX;
    }
    count = split(text_skip(line, sizeof(PREFIX) - 1), fields);
    if (!event->timed)
        event->timed = parse_own_time(rules, text_trim(fields[0]), &event->time);
    if (count != 6 && count != 8)
        return LOGLINE_FIELDS;
    event->namespace = (struct text){NULL, 0};
    if (count == 8) {
        event->namespace = text_trim(fields[7]);
        /* An eighth field that is empty does not count: it is what a path with two '|' makes of a line whose
         * caller was not known. */
        if (!upstream_is_services_namespace(rules->services_namespace, event->namespace))
            return LOGLINE_NAMESPACE;
    }
    if (!parse_call(text_trim(fields[4]), &event->type, &event->service))
        return LOGLINE_PATH;
    if (count == 8 && text_trim(fields[6]).length > 0)
        event->service = text_trim(fields[6]);
    if (!text_is_dns_name(event->service))
        return LOGLINE_SERVICE;
    event->user = text_trim(fields[5]);
    event->client = text_trim(fields[3]);
    return event->timed ? LOGLINE_COUNTS : LOGLINE_TIME;
}

/* ---- the ingress controllers ---- */

/* "/system/services/<name>/exposed", then the end, '/' or '?'. */
static enum logline_result parse_exposed_path(struct text path, struct text *name)
{
    if (!text_starts(path, EXPOSED))
        return LOGLINE_PATH;
    path = text_skip(path, sizeof(EXPOSED) - 1);
    *name = text_cut(&path, '/');
    if (path.data == NULL || !text_starts(path, "exposed"))
        return LOGLINE_PATH;
    path = text_skip(path, 7);
    if (path.length > 0 && path.data[0] != '/' && path.data[0] != '?')
        return LOGLINE_PATH;
    return text_is_dns_name(*name) ? LOGLINE_COUNTS : LOGLINE_SERVICE;
}

/* The field behind the request's time: [<namespace>-<service>-svc-<port>]. nginx escapes quotes, so that two
 * quoted fields, the referrer and the agent, stand before it, whatever their senders wrote. */
static struct text find_upstream(struct text rest)
{
    struct text upstream;

    for (size_t quotes = 0; quotes < 4; quotes++)
        text_cut(&rest, '"');
    if (rest.length == 0 || rest.data[0] != ' ')
        return (struct text){NULL, 0};
    rest = text_skip(rest, 1);
    text_cut(&rest, ' '); /* the request's length and time */
    text_cut(&rest, ' ');
    if (rest.length == 0 || rest.data[0] != '[')
        return (struct text){NULL, 0};
    rest = text_skip(rest, 1);
    upstream = text_cut(&rest, ']');
    return rest.data ? upstream_both(upstream) : (struct text){NULL, 0};
}

/* Of a request to a host name only the upstream tells the service; where it can be read in several ways the
 * likeliest counts (who reports on it says so). A path is a service's own business there, even one that looks
 * like a route. */
static enum logline_result find_nginx_service(const struct logline_rules *rules, struct text path,
                                              struct text both, struct logline_event *event)
{
    struct upstream_reading readings[UPSTREAM_READINGS];
    enum logline_result result = parse_exposed_path(path, &event->service);

    if (result == LOGLINE_COUNTS) {
        event->namespace = upstream_namespace(rules->services_namespace, both, event->service);
        if (event->namespace.length > 0)
            return result;
    }
    if (!rules->subdomain_routes || upstream_read(rules->services_namespace, both, readings) == 0)
        return result;
    event->namespace = readings[0].namespace;
    event->service = readings[0].service;
    return LOGLINE_COUNTS;
}

/* addr - user [time] "METHOD path PROTO" ...: nginx escapes quotes, so the first one opens the request; the
 * user is the caller's choice, so the time is what stands right before that quote. */
static enum logline_result parse_nginx(const struct logline_rules *rules, struct text line,
                                       struct logline_event *event)
{
    struct text rest = line, request, before, path;
    size_t open;

    before = text_cut(&rest, '"');
    if (rest.data == NULL || before.length < 2 || memcmp(before.data + before.length - 2, "] ", 2) != 0)
        return LOGLINE_NO_PREFIX;
    before.length -= 2;
    for (open = before.length; open > 0 && before.data[open - 1] != '[';)
        open--;
    if (open == 0)
        return LOGLINE_NO_PREFIX;
    if (!event->timed)
        event->timed = timestamp_parse_clf(text_skip(before, open), &event->time);
    event->client = text_cut(&before, ' ');
    if (event->client.length == 0 || !text_starts(before, "- "))
        return LOGLINE_NO_PREFIX;
    request = text_cut(&rest, '"');
    if (rest.data == NULL)
        return LOGLINE_FIELDS;
    path = request;
    text_cut(&path, ' ');
    if (path.data == NULL)
        return LOGLINE_FIELDS;
    return find_nginx_service(rules, text_cut(&path, ' '), find_upstream(rest), event);
}

/* The string behind `key`; data == NULL when there is none. It lives as long as the object. */
static struct text json_text(struct json_object *object, const char *key)
{
    struct text text;

    return json_string(json_member(object, key), &text) ? text : (struct text){NULL, 0};
}

/* Moves a text into room that lives as long as the event; what does not fit is dropped whole. */
static struct text keep(struct text text, char *room, size_t size)
{
    if (text.length == 0 || text.length > size)
        return (struct text){NULL, 0};
    memcpy(room, text.data, text.length);
    return (struct text){room, text.length};
}

/* The first label of the host, in lower case, as it is in the names of services; empty when it does not fit.
 */
static struct text keep_host(struct json_object *object, struct logline_event *event)
{
    struct text host = json_text(object, "RequestHost");

    if (host.length == 0)
        host = json_text(object, "RequestAddr");
    host = text_cut(&host, ':');
    host = keep(text_cut(&host, '.'), event->name, sizeof(event->name));
    for (size_t i = 0; i < host.length; i++)
        if (event->name[i] >= 'A' && event->name[i] <= 'Z')
            event->name[i] = (char)(event->name[i] | 0x20);
    return host;
}

/* A host counts when the request was passed to the service of that name: others have host names, too, and who
 * asks for a host that nobody has is passed to nobody. */
static enum logline_result find_traefik_service(const struct logline_rules *rules, struct json_object *object,
                                                struct logline_event *event)
{
    struct text path = json_text(object, "RequestPath"), name = json_text(object, "ServiceName");
    struct text both = upstream_both(text_cut(&name, '@')), namespace = {NULL, 0}, service;
    enum logline_result result;

    if (rules->subdomain_routes) {
        event->service = keep_host(object, event);
        namespace = upstream_namespace(rules->services_namespace, both, event->service);
    }
    if (namespace.length == 0) {
        result = path.data ? parse_exposed_path(path, &service) : LOGLINE_PATH;
        if (result != LOGLINE_COUNTS)
            return result;
        namespace = upstream_namespace(rules->services_namespace, both, service);
        event->service = keep(service, event->name, sizeof(event->name));
    }
    event->namespace = keep(namespace, event->place, sizeof(event->place));
    return text_is_dns_name(event->service) ? LOGLINE_COUNTS : LOGLINE_SERVICE;
}

static enum logline_result parse_traefik(const struct logline_rules *rules, struct text line,
                                         struct logline_event *event)
{
    struct json_object *object = json_read(line);
    enum logline_result result;

    if (!json_object_is_type(object, json_type_object)) {
        json_object_put(object);
        return LOGLINE_FIELDS;
    }
    if (!event->timed)
        event->timed = parse_traefik_time(json_text(object, "StartUTC"), &event->time) ||
                       parse_traefik_time(json_text(object, "time"), &event->time);
    result = find_traefik_service(rules, object, event);
    if (result == LOGLINE_COUNTS)
        event->client = keep(json_text(object, "ClientHost"), event->address, sizeof(event->address));
    json_object_put(object);
    return result;
}

static enum logline_result parse_exposed(const struct logline_rules *rules, struct text line,
                                         struct logline_event *event)
{
    enum logline_result result;

    line = text_trim(line);
    event->type = USAGE_EXPOSED;
    event->namespace = event->user = (struct text){NULL, 0};
    result = line.length > 0 && line.data[0] == '{' ? parse_traefik(rules, line, event)
                                                    : parse_nginx(rules, line, event);
    return result == LOGLINE_COUNTS && !event->timed ? LOGLINE_TIME : result;
}

/* ---- both ---- */

enum logline_result logline_parse(const struct logline_rules *rules, struct text line,
                                  const struct instant *written, struct logline_event *event)
{
    event->timed = take_runtime_prefix(rules, &line, &event->time);
    if (written) {
        event->timed = true;
        event->time = *written;
    }
    return rules->kind == LOGLINE_EXPOSED ? parse_exposed(rules, line, event)
                                          : parse_request(rules, line, event);
}

bool logline_time(const struct logline_rules *rules, struct text line, struct instant *out)
{
    struct logline_event event;

    logline_parse(rules, line, NULL, &event);
    if (event.timed)
        *out = event.time;
    return event.timed;
}

bool logline_might_count(const struct logline_rules *rules, struct text beginning)
{
    struct instant time;

    take_runtime_prefix(rules, &beginning, &time);
    if (rules->kind == LOGLINE_EXPOSED)
        return beginning.length > 0 &&
               (rules->subdomain_routes ||
                memmem(beginning.data, beginning.length, EXPOSED, sizeof(EXPOSED) - 1) != NULL);
    return text_starts(beginning, PREFIX);
}
