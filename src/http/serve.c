/* The table of contents: one call a stage, in the order in which the contract wants them checked. */
#include "http/serve.h"

#include <stdio.h>

#include "auth/auth.h"
#include "http/respond.h"
#include "http/route.h"
#include "log.h"
#include "settings.h"
#include "util/arena.h"

struct text request_parameter(const struct request *request, const char *name)
{
    return text_of(request->exchange->ops->parameter(request->exchange, name));
}

/* What the web server matched, and what it split off as the rest (CGI's PATH_INFO; with our files for nginx
 * there is none). Both come decoded, and no header of a client can set them. */
static struct text read_path(const struct request *request)
{
    struct text script = request_parameter(request, "SCRIPT_NAME");
    struct text rest = request_parameter(request, "PATH_INFO");

    if (rest.length == 0)
        return script;
    return text_of(arena_format(request->arena, "%s%s", script.data ? script.data : "", rest.data));
}

/* No web server sends such a thing; what parameters hold otherwise is for those who read them. */
static enum stage check_exchange(struct request *request)
{
    return request->exchange->invalid ? respond_bad_request(request, "invalid request") : GO_ON;
}

static enum stage check_method(struct request *request)
{
    static const struct header allow[] = {{"Allow", "GET, HEAD"}, {NULL, NULL}};

    if (text_is(request->method, "GET") || text_is(request->method, "HEAD"))
        return GO_ON;
    return respond(request, 405, "text/plain; charset=utf-8", allow, TEXT_LITERAL("method not allowed"));
}

static enum stage find_route(struct request *request)
{
    request->route = route_find(request->path, &request->segment);
    return request->route ? GO_ON : respond_text(request, 404, "not found");
}

static enum stage authenticate(struct request *request)
{
    const char *authorization = request->exchange->ops->parameter(request->exchange, "HTTP_AUTHORIZATION");
    struct auth_refusal refusal = {0};

    if (!request->route->needs_credentials ||
        auth_check(request->settings, authorization, &request->identity, &refusal))
        return GO_ON;
    return respond(request, refusal.status, "text/plain; charset=utf-8",
                   (const struct header[]){{refusal.challenge ? "WWW-Authenticate" : NULL, refusal.challenge},
                                           {NULL, NULL}},
                   text_of(refusal.text));
}

static void write_log(const struct request *request)
{
    char status[16], ms[24];

    snprintf(status, sizeof(status), "%d", request->status);
    snprintf(ms, sizeof(ms), "%lld", (long long)(clock_ms() - request->began));
    log_event(LOG_INFO, request->status ? "request" : "client went away", "method",
              arena_string(request->arena, request->method), "path",
              arena_string(request->arena, request->path), "status", status, "ms", ms,
              request->complete ? "complete" : NULL, request->complete, NULL);
}

void serve(const struct server *server, const struct worker_memory *memory, struct exchange *exchange)
{
    struct settings *settings = settings_store_current(server->settings);
    struct request request = {
        .exchange = exchange,
        .arena = memory->arena,
        .fetcher = memory->fetcher,
        .settings = settings,
        .geoip = server->geoip,
        .now = instant_now(),
        .began = clock_ms(),
    };

    request.method = request_parameter(&request, "REQUEST_METHOD");
    request.path = read_path(&request);
    /* A twentieth of the time is kept for writing the answer down. */
    request.deadline = request.began + settings_number(settings, OSCAR_METRICS_DEADLINE) / 20 * 19;

    if (check_exchange(&request) == GO_ON && check_method(&request) == GO_ON &&
        find_route(&request) == GO_ON && authenticate(&request) == GO_ON)
        request.route->handler(&request);

    write_log(&request);
    settings_release(settings);
    arena_reset(memory->arena);
}
