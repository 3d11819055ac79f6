/* The table of paths. */
#include "http/route.h"

#include "http/handlers.h"

static const char *const label_names[ROUTE_LABELS] = {
    [ROUTE_SUMMARY] = "/system/metrics",
    [ROUTE_BREAKDOWN] = "/system/metrics/breakdown",
    [ROUTE_OWNERS] = "/system/metrics/owners",
    [ROUTE_SERVICE] = "/system/metrics/{serviceName}",
    [ROUTE_HEALTHY] = "/-/healthy",
    [ROUTE_READY] = "/-/ready",
    [ROUTE_METRICS] = "/-/metrics",
    [ROUTE_OTHER] = "other",
};

static const struct route routes[] = {
    {ROUTE_SUMMARY, "/system/metrics", true, false, REPORT_SUMMARY, handle_report},
    {ROUTE_SUMMARY, "/system/metrics/", true, false, REPORT_SUMMARY, handle_report},
    {ROUTE_BREAKDOWN, "/system/metrics/breakdown", true, false, REPORT_BREAKDOWN, handle_report},
    {ROUTE_OWNERS, "/system/metrics/owners", true, true, REPORT_OWNERS, handle_owners},
    {ROUTE_SERVICE, "/system/metrics/*", true, false, REPORT_SERVICE, handle_report},
    {ROUTE_HEALTHY, "/-/healthy", false, false, REPORT_SUMMARY, handle_healthy},
    {ROUTE_READY, "/-/ready", false, false, REPORT_SUMMARY, handle_ready},
    {ROUTE_METRICS, "/-/metrics", false, false, REPORT_SUMMARY, handle_metrics},
};

const char *route_label_name(enum route_label label)
{
    return label_names[label];
}

static bool fits(const char *pattern, struct text path, struct text *segment)
{
    struct text rest = text_of(pattern), before = text_cut(&rest, '*');

    if (rest.data == NULL)
        return text_is(path, pattern);
    if (path.length <= before.length || !text_equal((struct text){path.data, before.length}, before))
        return false;
    rest = text_skip(path, before.length);
    *segment = text_cut(&rest, '/');
    return rest.data == NULL;
}

const struct route *route_find(struct text path, struct text *segment)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (fits(routes[i].path, path, segment))
            return &routes[i];
    return NULL;
}
