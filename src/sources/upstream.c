/* Names are taken apart at "-svc-" from behind, and at the lengths that OSCAR gives to namespaces. */
#include "sources/upstream.h"

#include <string.h>

#define MARK "-svc-"

static const size_t owner_lengths[] = {18, 63};

bool upstream_is_services_namespace(const char *services_namespace, struct text namespace)
{
    size_t length = strlen(services_namespace);

    return namespace.length > 0 && text_starts(namespace, services_namespace) &&
           (namespace.length == length || namespace.data[length] == '-');
}

struct text upstream_both(struct text upstream)
{
    const size_t mark = sizeof(MARK) - 1;

    /* A service may have the mark in its name: the last one is it. Behind it stands a port. */
    for (size_t end = upstream.length; end > mark; end--)
        if (end < upstream.length && memcmp(upstream.data + end - mark, MARK, mark) == 0)
            return (struct text){upstream.data, end - mark};
    return (struct text){NULL, 0};
}

struct text upstream_namespace(const char *services_namespace, struct text both, struct text service)
{
    struct text namespace = both;

    if (service.length == 0 || both.length < service.length + 2)
        return (struct text){NULL, 0};
    namespace.length -= service.length + 1;
    if (both.data[namespace.length] != '-' || !text_equal(text_skip(both, namespace.length + 1), service) ||
        !text_is_dns_name(namespace) || !upstream_is_services_namespace(services_namespace, namespace))
        return (struct text){NULL, 0};
    return namespace;
}

/* False when no namespace of that length stands there. */
static bool read_at(const char *services_namespace, struct text both, size_t length,
                    struct upstream_reading *out)
{
    if (both.length < length + 2 || both.data[length] != '-')
        return false;
    out->namespace = (struct text){both.data, length};
    out->service = text_skip(both, length + 1);
    return text_is_dns_name(out->namespace) && text_is_dns_name(out->service) &&
           upstream_is_services_namespace(services_namespace, out->namespace);
}

static bool is_hexadecimal(struct text text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!((text.data[i] >= '0' && text.data[i] <= '9') || (text.data[i] >= 'a' && text.data[i] <= 'f')))
            return false;
    return true;
}

size_t upstream_read(const char *services_namespace, struct text both,
                     struct upstream_reading out[UPSTREAM_READINGS])
{
    const size_t shared = strlen(services_namespace);
    struct upstream_reading first;
    size_t count = 0;

    if (read_at(services_namespace, both, shared, &out[count]))
        count++;
    for (size_t i = 0; i < sizeof(owner_lengths) / sizeof(owner_lengths[0]); i++) {
        if (owner_lengths[i] <= shared || !read_at(services_namespace, both, owner_lengths[i], &out[count]))
            continue;
        if (count++ == 0 || !is_hexadecimal(text_skip(out[count - 1].namespace, shared + 1)))
            continue;
        first = out[0];
        out[0] = out[count - 1];
        out[count - 1] = first;
    }
    return count;
}
