/* From a question to an answer. */
#include "http/handlers.h"

#include "caps.h"
#include "http/cache_control.h"
#include "http/counters.h"
#include "http/query.h"
#include "http/respond.h"
#include "http/route.h"
#include "http/server.h"
#include "model/identity.h"
#include "report/gather.h"
#include "report/owners.h"
#include "report/render.h"
#include "report/report.h"
#include "settings.h"
#include "sources/geoip.h"
#include "util/arena.h"

static const char json_type[] = "application/json; charset=utf-8";
static const char csv_type[] = "text/csv; charset=utf-8";

enum stage handle_healthy(struct request *request)
{
    return respond_text(request, 200, "healthy");
}

/* The admin may have everything read anew; others could only make work by that. */
static bool wants_fresh(const struct request *request)
{
    return request->identity.kind == IDENTITY_ADMIN &&
           cache_control_has(request_parameter(request, "HTTP_CACHE_CONTROL"), "no-cache");
}

static struct source_context context_of(const struct request *request, struct geoip *geoip)
{
    return (struct source_context){
        .arena = request->arena,
        .fetcher = request->fetcher,
        .settings = request->settings,
        .geoip = geoip,
        .remembered = request->server->remembered,
        .claims = request->server->claims,
        .fresh_after = wants_fresh(request) ? request->began : 0,
        .start = request->question.start.instant,
        .end = request->question.end.instant,
        .now = request->now,
        .deadline = request->deadline,
        .progress = request->progress,
    };
}

/* Reads the sources of the mask: the only place where a handler waits. Nobody is left to be answered when the
 * client went away. */
static enum stage gather_sources(struct request *request, unsigned mask, int64_t deadline,
                                 struct report *report)
{
    struct geoip *geoip;
    struct source_context context;
    bool waited;

    if (!request->admitted)
        return NOT_NOW;
    geoip = geoip_store_current(request->server->geoip);
    context = context_of(request, geoip);
    context.deadline = deadline;
    waited = gather(&context, mask, request->exchange->ops->descriptor(request->exchange), report);
    geoip_release(geoip);
    return waited ? GO_ON : ANSWERED;
}

static enum stage check_service_name(struct request *request, struct report *report)
{
    (void)report;
    request->question.service = text_trim(request->segment);
    if (request->question.kind != REPORT_SERVICE)
        return GO_ON;
    if (request->question.service.length == 0)
        return respond_bad_request(request, "serviceName is required");
    if (!text_is_dns_name(request->question.service))
        return respond_bad_request(request, "invalid service name");
    return GO_ON;
}

static enum stage check_query(struct request *request)
{
    const struct query_rules rules = {request->now,
                                      settings_number(request->settings, OSCAR_METRICS_MAX_RANGE)};
    const char *wrong =
        query_parse(request->arena, request_parameter(request, "QUERY_STRING"), &rules, &request->question);

    if (wrong == NULL && request->question.owner.length > 0 && request->identity.kind != IDENTITY_ADMIN)
        wrong = "owner filter is only available with admin authentication";
    return wrong ? respond_bad_request(request, wrong) : GO_ON;
}

static enum stage check_question(struct request *request, struct report *report)
{
    enum stage stage = check_query(request);

    report->question = request->question;
    return stage;
}

/* The inventory may be missing: the shared owner is there all the same. */
static enum stage read_owners(struct request *request, int64_t deadline, struct report *report,
                              struct owners *owners)
{
    enum stage stage;

    report->wants_owners = true;
    stage = gather_sources(request, 1u << SOURCE_INVENTORY, deadline, report);
    if (stage != GO_ON)
        return stage;
    *owners = owners_of(request->arena, &report->inventory,
                        settings_text(request->settings, OSCAR_SERVICES_NAMESPACE));
    return GO_ON;
}

static enum stage limit_to_owner(struct request *request, struct report *report)
{
    const struct owner *owner;
    struct owners owners;
    int64_t now = clock_ms();
    enum stage stage;

    report->scope = scope_everything();
    if (request->question.owner.length == 0)
        return GO_ON;
    /* The shared owner's namespace nobody has to be asked for: an inventory that is slow holds nothing up. */
    if (text_is(request->question.owner, IDENTITY_CLUSTER_ADMIN)) {
        report->scope = scope_of_owner(&report->inventory,
                                       text_of(settings_text(request->settings, OSCAR_SERVICES_NAMESPACE)));
        return GO_ON;
    }
    stage = read_owners(request, now + (request->deadline - now) / HANDLERS_OWNERS_SHARE, report, &owners);
    if (stage != GO_ON)
        return stage;
    owner = owners_find(&owners, request->question.owner);
    /* Only a whole inventory can say that there is no such owner. */
    if (owner == NULL)
        return report->inventory.status.level == STATUS_OK
                   ? respond_text(request, 404, "metrics owner not found")
                   : respond_text(request, 503, "service inventory unavailable");
    report->scope = scope_of_owner(&report->inventory, owner->namespace);
    return GO_ON;
}

/* Empty: users see each other's ids. */
static struct text pseudonym_key(const struct settings *settings)
{
    bool wanted = settings_flag(settings, OSCAR_METRICS_PSEUDONYMS);

    return text_of(wanted ? settings_text(settings, OSCAR_METRICS_PSEUDONYM_KEY) : NULL);
}

static enum stage limit_to_user(struct request *request, struct report *report)
{
    const struct scope_rules rules = {
        .inventory = &report->inventory,
        .user = request->identity.user,
        .owned_only = text_is(text_of(settings_text(request->settings, OSCAR_METRICS_SCOPE)), "owned"),
        .pseudonym_key = pseudonym_key(request->settings),
        .services_namespace = text_of(settings_text(request->settings, OSCAR_SERVICES_NAMESPACE)),
    };
    enum stage stage;

    report->wants_owners = rules.owned_only;
    stage = gather_sources(request, 1u << SOURCE_INVENTORY, request->deadline, report);
    if (stage != GO_ON)
        return stage;
    if (!report->inventory.whole)
        return respond_text(request, 503, "service inventory unavailable");
    report->scope = scope_of_user(request->arena, &rules);
    return GO_ON;
}

/* A user hears nothing of a service that is not theirs to see, not even what is wrong with the question. */
static enum stage check_access(struct request *request, struct report *report)
{
    enum stage stage;

    if (request->question.kind != REPORT_SERVICE || request->identity.kind != IDENTITY_USER)
        return GO_ON;
    stage = limit_to_user(request, report);
    if (stage != GO_ON)
        return stage;
    switch (scope_access(&report->scope, request->question.service)) {
    case SCOPE_SHOWN:
        break;
    case SCOPE_HIDDEN:
        request->reason = "the service is not visible to this user";
        return respond_text(request, 403, "access denied");
    case SCOPE_UNKNOWN:
        return respond_text(request, 404, "service not found");
    }
    /* Definitions that could not be read take nothing from a service that is shown, unless they leave open
     * whose a namespace is. */
    if (!report->scope.owned_only)
        report->sources[SOURCE_INVENTORY] = NULL;
    return GO_ON;
}

static enum stage limit(struct request *request, struct report *report)
{
    switch (request->identity.kind) {
    case IDENTITY_ADMIN:
        return limit_to_owner(request, report);
    case IDENTITY_USER:
        return report->scope.kind == SCOPE_USER ? GO_ON : limit_to_user(request, report);
    case IDENTITY_NOBODY:
        break;
    }
    return respond_text(request, 403, "access denied");
}

static enum stage read_sources(struct request *request, struct report *report)
{
    /* Whose lines without a namespace are, the services of now tell. */
    unsigned whose = report->scope.kind == SCOPE_OWNER ? 1u << SOURCE_INVENTORY : 0;
    unsigned read = report->sources[SOURCE_INVENTORY] ? 1u << SOURCE_INVENTORY : 0;
    enum stage stage =
        gather_sources(request, (gather_needs(report) | whose) & ~read, request->deadline, report);

    if (request->identity.kind != IDENTITY_ADMIN)
        report_hide_words(report);
    return stage;
}

static struct header complete_header(struct request *request, const struct report *report)
{
    request->complete = report_is_complete(report) ? "true" : "false";
    return (struct header){"OSCAR-Metrics-Complete", request->complete};
}

/* Only a report that was taken to its end counts. */
static void count_report(const struct request *request, const struct report *report)
{
    if (request->status == 200 && !request->cut)
        counters_report(request->server->counters, report);
}

static enum stage respond_report(struct request *request, const struct report *report)
{
    bool csv = request->question.kind == REPORT_BREAKDOWN && request->question.format == FORMAT_CSV;
    struct header headers[3] = {complete_header(request, report)};
    struct buf body;
    bool fits;

    if (csv)
        headers[1] =
            (struct header){"Content-Disposition", arena_format(request->arena, "attachment; filename=\"%s\"",
                                                                render_csv_name(request->arena, report))};
    buf_init(&body, RENDER_ANSWER_MAX_BYTES);
    fits = csv ? render_csv(request->arena, report, &body) : render_json(request->arena, report, &body);
    if (fits)
        respond(request, 200, csv ? csv_type : json_type, headers, buf_text(&body));
    else
        respond_text(request, 500, "answer too large");
    count_report(request, report);
    buf_free(&body);
    return ANSWERED;
}

bool report_asks_hours(const struct request *request)
{
    const struct query_rules rules = {request->now,
                                      settings_number(request->settings, OSCAR_METRICS_MAX_RANGE)};
    struct report report = {.question.kind = request->route->kind};

    return query_parse(request->arena, request_parameter(request, "QUERY_STRING"), &rules,
                       &report.question) == NULL &&
           gather_needs(&report) >> SOURCE_HOURS & 1 &&
           !text_is(text_of(settings_text(request->settings, PROMETHEUS_URL)), "none");
}

enum stage gather_report(struct request *request, struct report *report)
{
    /* In the order in which the contract wants things checked. */
    static enum stage (*const stages[])(struct request * request, struct report * report) = {
        check_service_name, check_access, check_question, limit, read_sources};
    enum stage stage = GO_ON;

    for (size_t i = 0; stage == GO_ON && i < sizeof(stages) / sizeof(stages[0]); i++)
        stage = stages[i](request, report);
    return stage;
}

enum stage handle_report(struct request *request)
{
    struct report report = {0};
    enum stage stage;

    request->question.kind = request->route->kind;
    stage = gather_report(request, &report);
    if (stage == GO_ON)
        stage = respond_report(request, &report);
    report_free(&report);
    return stage;
}

enum stage handle_owners(struct request *request)
{
    struct report report = {0};
    struct owners owners;
    struct buf body;
    enum stage stage;

    request->question.kind = REPORT_OWNERS;
    if (check_query(request) == ANSWERED)
        return ANSWERED;
    stage = read_owners(request, request->deadline, &report, &owners);
    if (stage == GO_ON) {
        const struct header headers[] = {complete_header(request, &report), {NULL, NULL}};

        buf_init(&body, RENDER_ANSWER_MAX_BYTES);
        if (render_owners(&owners, &body)) {
            stage = respond(request, 200, json_type, headers, buf_text(&body));
            count_report(request, &report);
        } else {
            stage = respond_text(request, 500, "answer too large");
        }
        buf_free(&body);
    }
    report_free(&report);
    return stage;
}
