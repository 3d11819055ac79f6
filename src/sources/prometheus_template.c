/* Templates of hours: what their placeholders stand for, and how many services fit into one query. */
#include "caps.h"
#include "sources/prometheus.h"

#include <inttypes.h>

#include "sources/template.h"
#include "util/arena.h"

#define NO_ALL     "the query template matches one service exactly (\"=\") and cannot ask for all"
#define NO_SEVERAL "the query template matches one service exactly (\"=\") and cannot ask for several"
#define NO_SERVICE "the query template does not select by {{service}} and cannot be limited to a service"
#define NO_OWNER   "the query template does not select by {{namespace}} and cannot be limited to an owner"

static struct template_value service_value(const struct hours_part *part)
{
    struct template_value value = {.name = "{{service}}"};

    if (part->service_count == 0) {
        value.tail = ".*";
        value.no_exact = NO_ALL;
    } else if (part->service_count == 1) {
        value.text = part->services[0];
    } else {
        value.texts = part->services;
        value.text_count = part->service_count;
        value.no_exact = NO_SEVERAL;
    }
    return value;
}

/* Whole seconds where it is some: what operators know from their own queries. */
static struct template_value range_value(struct arena *arena, int64_t range_ms)
{
    const char *range = range_ms % 1000 == 0 ? arena_format(arena, "%" PRId64 "s", range_ms / 1000)
                                             : arena_format(arena, "%" PRId64 "ms", range_ms);

    return (struct template_value){.name = "{{range}}", .text = text_of(range), .bare = true};
}

const char *prometheus_fill(struct arena *arena, const char *template, const struct hours_part *part,
                            const char *services_namespace, int64_t range_ms, const char **why)
{
    bool owner = part->namespace.length > 0;
    struct template_value values[] = {
        service_value(part),
        {.name = "{{namespace}}",
         .text = owner ? part->namespace : text_of(services_namespace),
         .tail = owner ? NULL : ".*"},
        {.name = "{{services_namespace}}", .text = text_of(services_namespace)},
        range_value(arena, range_ms),
    };
    const char *filled = template_fill(arena, template, values, sizeof(values) / sizeof(values[0]), why);

    if (filled && part->service_count > 0 && values[0].limits == 0)
        *why = NO_SERVICE;
    else if (filled && owner && values[1].limits == 0)
        *why = NO_OWNER;
    return *why ? NULL : filled;
}

size_t prometheus_group(const char *template, const struct text *services, size_t count)
{
    const struct hours_part one = {.services = services, .service_count = 1};
    struct template_value value = service_value(&one);
    size_t bytes = services[0].length, group = 1;
    struct arena *arena = arena_new();
    const char *why;

    /* Only how the template has its services is looked at; what is wrong with it is said when it is filled.
     */
    (void)template_fill(arena, template, &value, 1, &why);
    arena_free(arena);
    if (value.used == 0)
        return count;
    if (value.exact)
        return 1;
    while (group < count && bytes + 1 + services[group].length <= PROMETHEUS_NAMES_MAX_BYTES / value.used)
        bytes += 1 + services[group++].length;
    return group;
}
