/* The table of paths. */
#include "http/route.h"

#include "http/handlers.h"

static const struct route routes[] = {
    {"/system/metrics", true, false, REPORT_SUMMARY, handle_report},
    {"/system/metrics/", true, false, REPORT_SUMMARY, handle_report},
    {"/system/metrics/breakdown", true, false, REPORT_BREAKDOWN, handle_report},
    {"/system/metrics/owners", true, true, REPORT_OWNERS, handle_owners},
    {"/system/metrics/*", true, false, REPORT_SERVICE, handle_report},
    {"/-/healthy", false, false, REPORT_SUMMARY, handle_healthy},
    {"/-/ready", false, false, REPORT_SUMMARY, handle_ready},
};

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
