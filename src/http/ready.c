/* GET /-/ready: a worker is free, or this would not be answered; the settings in force are good, or the
 * program would not run. What is said beside that makes nothing unready: reports come with what there is. */
#include <json-c/json.h>

#include "http/handlers.h"
#include "http/respond.h"
#include "http/server.h"
#include "net/fetch.h"
#include "net/traffic.h"
#include "report/backends.h"
#include "settings.h"
#include "util/buf.h"

enum { REASON_SIZE = 4096 }; /* fits every reason, each byte of it replaced */

static struct json_object *json_instant(struct instant instant)
{
    char text[TIMESTAMP_SIZE];

    if (instant.seconds == 0)
        return NULL;
    instant_format_seconds(instant, text);
    return json_object_new_string(text);
}

static struct json_object *json_words(const char *words)
{
    struct json_object *out;
    struct buf buf;

    buf_init(&buf, REASON_SIZE);
    buf_add_utf8(&buf, text_of(words));
    out = json_object_new_string_len(buf.data ? buf.data : "", (int)buf.length);
    buf_free(&buf);
    return out;
}

static struct json_object *json_backend(const struct request *request, enum backend backend)
{
    static const char *const health[] = {
        [TRAFFIC_UNKNOWN] = "unknown", [TRAFFIC_UP] = "ok", [TRAFFIC_FAILED] = "failed"};
    struct json_object *out = json_object_new_object();
    struct traffic_view view;

    traffic_look(fetch_shared_traffic(request->server->fetch), backend, &view);
    json_object_object_add(out, "name", json_object_new_string(backend_name(backend)));
    json_object_object_add(out, "configured",
                           json_object_new_boolean(backend_is_configured(request->settings, backend)));
    json_object_object_add(out, "status", json_object_new_string(health[view.health]));
    json_object_object_add(out, "last_answer", json_instant(view.last_answer));
    json_object_object_add(out, "last_failure", json_instant(view.last_failure));
    if (view.health == TRAFFIC_FAILED)
        json_object_object_add(out, "reason", json_words(view.reason));
    return out;
}

static struct json_object *json_settings(const struct request *request)
{
    struct json_object *out = json_object_new_object();
    struct settings_history history;

    settings_store_history(request->server->settings, &history);
    json_object_object_add(out, "status", json_object_new_string(history.good ? "ok" : "stale"));
    json_object_object_add(out, "read", json_instant(history.read));
    if (!history.good)
        json_object_object_add(out, "reason", json_words(history.reason));
    return out;
}

enum stage handle_ready(struct request *request)
{
    struct json_object *out = json_object_new_object(), *backends = json_object_new_array();

    json_object_object_add(out, "status", json_object_new_string("ready"));
    json_object_object_add(out, "settings", json_settings(request));
    for (unsigned i = 0; i < BACKEND_COUNT; i++)
        json_object_array_add(backends, json_backend(request, (enum backend)i));
    json_object_object_add(out, "backends", backends);
    respond(request, 200, "application/json; charset=utf-8", NULL,
            text_of(json_object_to_json_string_ext(out,
                                                   JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)));
    json_object_put(out);
    return ANSWERED;
}
