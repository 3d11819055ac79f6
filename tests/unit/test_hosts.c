/* Whose a request to a host name is, where the line alone does not say. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "report/hosts.h"
#include "report/report.h"
#include "settings.h"
#include "util/arena.h"

struct deployed {
    const char *name, *namespace;
};

static const struct {
    struct deployed services[3];
    bool whole;
    enum usage_type type;
    const char *namespace, *service;
    bool doubtful;
    int line;
} rows[] = {
    /* There is but one way to read it. */
    {{{NULL, NULL}}, false, USAGE_EXPOSED, "oscar-svc", "nb", false, __LINE__},
    {{{NULL, NULL}}, false, USAGE_EXPOSED, "oscar-svc-b2", "nb", false, __LINE__},
    {{{NULL, NULL}}, false, USAGE_EXPOSED, "", "62bb11b4-nb", false, __LINE__},
    {{{NULL, NULL}}, false, USAGE_SYNC, "oscar-svc-62bb11b4", "nb", false, __LINE__},
    /* What is deployed decides. */
    {{{"nb", "oscar-svc-62bb11b4"}}, true, USAGE_EXPOSED, "oscar-svc-62bb11b4", "nb", false, __LINE__},
    {{{"my-first-one", "oscar-svc"}}, true, USAGE_EXPOSED, "oscar-svc", "my-first-one", false, __LINE__},
    /* Nothing, the other one, or both are; or nobody knows. */
    {{{"nb", "oscar-svc"}}, true, USAGE_EXPOSED, "oscar-svc-62bb11b4", "nb", true, __LINE__},
    {{{"62bb11b4-nb", "oscar-svc"}}, true, USAGE_EXPOSED, "oscar-svc-62bb11b4", "nb", true, __LINE__},
    {{{"62bb11b4-nb", "oscar-svc"}, {"nb", "oscar-svc-62bb11b4"}},
     true,
     USAGE_EXPOSED,
     "oscar-svc-62bb11b4",
     "nb",
     true,
     __LINE__},
    {{{"nb", "oscar-svc-62bb11b4"}}, false, USAGE_EXPOSED, "oscar-svc-62bb11b4", "nb", true, __LINE__},
};

static const char *look_up(void *context, const char *name)
{
    if (strcmp(name, "EXPOSED_SERVICES_ROUTE_KIND") == 0)
        return context;
    if (strcmp(name, "EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE") == 0)
        return "true";
    return strcmp(name, "OSCAR_USERNAME") == 0 || strcmp(name, "OSCAR_PASSWORD") == 0 ? "oscar" : NULL;
}

static void fill(struct inventory *inventory, struct service *services, const struct deployed *deployed)
{
    inventory->services = services;
    for (; deployed[inventory->count].name; inventory->count++)
        services[inventory->count] =
            (struct service){.name = text_of(deployed[inventory->count].name),
                             .namespace = text_of(deployed[inventory->count].namespace)};
}

static void what_is_deployed_decides_or_it_is_said(void **state)
{
    struct settings *settings = settings_read(look_up, (void *)(uintptr_t) "ingress", stderr);
    struct arena *arena = arena_new();

    (void)state;
    assert_non_null(settings);
    assert_true(hosts_are_ambiguous(settings));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct source_status status;
        struct service services[COUNT_OF(rows[0].services)];
        struct report report = {.question = {.kind = REPORT_SUMMARY},
                                .scope = scope_everything(),
                                .usage = usage_new(100000),
                                .inventory = {.whole = rows[i].whole}};

        fill(&report.inventory, services, rows[i].services);
        status_init(&status, arena, "exposed-request-logs");
        report.sources[SOURCE_EXPOSED] = &status;
        assert_true(usage_add(report.usage,
                              &(struct usage_event){.type = rows[i].type,
                                                    .namespace = text_of(rows[i].namespace),
                                                    .service = text_of(rows[i].service)},
                              7));
        hosts_note_doubts(settings, &report);
        if ((status.level == STATUS_PARTIAL) != rows[i].doubtful ||
            (rows[i].doubtful && strstr(status_notes(&status), ": 7") == NULL))
            fail_msg("row of line %d", rows[i].line);
        usage_free(report.usage);
    }
    settings_release(settings);
    arena_free(arena);
}

static void only_ingress_nginx_leaves_doubts(void **state)
{
    struct settings *settings = settings_read(look_up, (void *)(uintptr_t) "httproute", stderr);

    (void)state;
    assert_non_null(settings);
    assert_false(hosts_are_ambiguous(settings));
    settings_release(settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_deployed_decides_or_it_is_said),
        cmocka_unit_test(only_ingress_nginx_leaves_doubts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
