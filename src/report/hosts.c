/* A row's names are put together again and read as the line was. */
#include "report/hosts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report/report.h"
#include "settings.h"
#include "sources/upstream.h"

enum { UPSTREAM_SIZE = 320 }; /* fits a namespace, a service's name, and what joins them */

bool hosts_are_ambiguous(const struct settings *settings)
{
    return settings_flag(settings, EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE) &&
           strcmp(settings_text(settings, EXPOSED_SERVICES_ROUTE_KIND), "ingress") == 0;
}

static bool is_deployed(const struct inventory *inventory, struct text namespace, struct text service)
{
    size_t at = inventory_place(inventory, service, namespace);

    return at < inventory->count && text_equal(inventory->services[at].name, service) &&
           text_equal(inventory->services[at].namespace, namespace);
}

/* Certain: there is but one way to read it, or but one of the services is deployed, and it is this one. */
static bool is_certain(const struct settings *settings, const struct inventory *inventory,
                       struct text namespace, struct text service)
{
    struct upstream_reading readings[UPSTREAM_READINGS];
    char both[UPSTREAM_SIZE];
    int length = snprintf(both, sizeof(both), "%.*s-%.*s", (int)namespace.length, namespace.data,
                          (int)service.length, service.data);
    size_t count, deployed = 0;

    if (namespace.length == 0 || length < 0 || length >= UPSTREAM_SIZE)
        return true; /* no such line */
    count = upstream_read(settings_text(settings, OSCAR_SERVICES_NAMESPACE),
                          (struct text){both, (size_t)length}, readings);
    if (count < 2)
        return true;
    for (size_t i = 0; i < count; i++)
        deployed += is_deployed(inventory, readings[i].namespace, readings[i].service);
    return inventory->whole && deployed == 1 && is_deployed(inventory, namespace, service);
}

void hosts_note_doubts(const struct settings *settings, struct report *report)
{
    uint64_t doubtful = 0;

    for (size_t i = 0; i < usage_row_count(report->usage); i++) {
        const struct usage_row row = usage_row(report->usage, i);
        struct text namespace = usage_string(report->usage, row.namespace);
        struct text service = usage_string(report->usage, row.service);

        if (row.type == USAGE_EXPOSED && scope_sees(&report->scope, namespace, service) &&
            (report->question.kind != REPORT_SERVICE || text_equal(service, report->question.service)) &&
            !is_certain(settings, &report->inventory, namespace, service))
            doubtful += row.count;
    }
    if (doubtful > 0)
        status_note_open(report->sources[SOURCE_EXPOSED], STATUS_PARTIAL,
                         "requests of which the ingress controller's line does not say for certain whose "
                         "service they were for: %" PRIu64,
                         doubtful);
}
