/* The table of contents: one call a stage, in the order in which the contract wants them checked. */
#include "http/serve.h"

#include "auth/auth.h"
#include "caps.h"
#include "http/access_log.h"
#include "http/counters.h"
#include "http/handlers.h"
#include "http/respond.h"
#include "http/route.h"
#include "http/server.h"
#include "http/status.h"
#include "net/fetch.h"
#include "settings.h"
#include "util/arena.h"
#include "util/peer.h"

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

static enum stage refuse(struct request *request, const struct auth_refusal *refusal)
{
    struct header headers[3] = {{NULL, NULL}};
    size_t count = 0;

    request->reason = refusal->reason;
    if (refusal->challenge)
        headers[count++] = (struct header){"WWW-Authenticate", refusal->challenge};
    if (refusal->retry_after > 0)
        headers[count++] =
            (struct header){"Retry-After", arena_format(request->arena, "%d", refusal->retry_after)};
    return respond(request, refusal->status, "text/plain; charset=utf-8", headers, text_of(refusal->text));
}

static enum stage authenticate(struct request *request)
{
    const struct auth_context context = {
        .settings = request->settings,
        .arena = request->arena,
        .fetcher = request->fetcher,
        .oidc = request->server->oidc,
        .client = request->exchange->ops->descriptor(request->exchange),
        .may_wait = request->admitted,
        .again = request->exchange->passed_gate,
        .now = request->now,
        .deadline = request->deadline,
    };
    const char *authorization = request->exchange->ops->parameter(request->exchange, "HTTP_AUTHORIZATION");
    struct auth_refusal refusal = {0};
    enum auth_result result;

    if (!request->route->needs_credentials)
        return GO_ON;
    result = auth_check(&context, authorization, &request->identity, &refusal);
    request->exchange->passed_gate = result != AUTH_WOULD_WAIT;
    switch (result) {
    case AUTH_PASSED:
        return GO_ON;
    case AUTH_REFUSED:
        return refuse(request, &refusal);
    case AUTH_WOULD_WAIT:
        return NOT_NOW;
    case AUTH_GONE:
        break;
    }
    return ANSWERED;
}

static enum stage check_admin(struct request *request)
{
    if (!request->route->needs_admin || request->identity.kind == IDENTITY_ADMIN)
        return GO_ON;
    request->reason = "for the administrator alone";
    return respond_text(request, 403, "access denied");
}

/* In the order in which the contract wants things checked. */
static enum stage run_stages(struct request *request)
{
    static enum stage (*const stages[])(struct request * request) = {check_exchange, check_method, find_route,
                                                                     authenticate, check_admin};

    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        enum stage stage = stages[i](request);

        if (stage != GO_ON)
            return stage;
    }
    return request->route->handler(request);
}

static enum stage turn_away(struct request *request)
{
    counters_refuse(request->server->counters);
    return refuse(request, &(struct auth_refusal){
                               .status = 503, .text = "too busy", .retry_after = SERVE_RETRY_AFTER_SECONDS});
}

/* From a first look, or from a queue. */
static enum stage answer(struct request *request, enum serve_as as)
{
    int64_t deadline = settings_number(request->settings, OSCAR_METRICS_DEADLINE);
    enum stage stage;

    request->exchange->until = request->began + SERVE_ANSWER_DEADLINES * deadline;
    request->exchange->patience = deadline; /* or the connection's own, which is mostly less */
    /* A twentieth of the time is kept for writing the answer down. */
    request->deadline = request->began + deadline / 20 * 19;
    /* What waited so long that a tenth is left would be a report of what could not be read. */
    request->admitted = as == SERVE_ADMITTED && request->deadline - clock_ms() >= deadline / 10;
    if (as != SERVE_UNADMITTED &&
        peer_look(request->exchange->ops->descriptor(request->exchange)) == PEER_GONE)
        return ANSWERED;
    stage = run_stages(request);
    return stage == NOT_NOW && as != SERVE_UNADMITTED ? turn_away(request) : stage;
}

/* The request has ended: it is counted, and has its line in the log. */
static void settle(const struct request *request)
{
    int64_t took = clock_us() - request->exchange->began_us;
    int status = request->status ? request->status : STATUS_CLIENT_GONE;
    const struct route *route = request->route;
    enum route_label label;
    struct text segment;

    /* Some requests are refused before anybody looks at their path. */
    if (route == NULL)
        route = route_find(request->path, &segment);
    label = route ? route->label : ROUTE_OTHER;
    counters_answer(request->server->counters, label, status, took, request->bytes);
    access_log(request, label, status, took);
}

bool serve(const struct server *server, const struct worker_memory *memory, struct exchange *exchange,
           enum serve_as as)
{
    /* Who waited for a slot goes on with what was in force before. */
    struct settings *settings =
        exchange->settings ? exchange->settings : settings_store_current(server->settings);
    struct request request = {
        .exchange = exchange,
        .arena = memory->arena,
        .fetcher = memory->fetcher,
        .settings = settings,
        .server = server,
        .pool = memory->pool,
        .now = instant_now(),
        .began = exchange->began,
    };
    enum stage stage;

    fetcher_tally_reset(memory->fetcher);
    request.method = request_parameter(&request, "REQUEST_METHOD");
    request.path = read_path(&request);
    stage = answer(&request, as);
    exchange->settings = stage == NOT_NOW ? settings : NULL;
    if (stage == NOT_NOW) {
        exchange->hours = report_asks_hours(&request);
    } else {
        settle(&request);
        settings_release(settings);
    }
    arena_reset(memory->arena);
    return stage != NOT_NOW;
}
