/* One block of memory a token. */
#include "auth/remembered.h"

#include <stdlib.h>
#include <string.h>

#include "util/memory.h"

/* What a cache spends on an entry besides its value, about; it bounds their number, too. */
enum { ENTRY_SIZE = 256 };

static void destroy(struct cache_value *value)
{
    free((struct remembered *)value);
}

static struct text put(char **free_bytes, struct text text)
{
    struct text copy = {*free_bytes, text.length};

    if (text.length > 0)
        memcpy(*free_bytes, text.data, text.length);
    *free_bytes += text.length;
    return copy;
}

struct remembered *remembered_new(const struct remembered *from, const struct text *groups, size_t count)
{
    size_t fixed = sizeof(*from) + count * sizeof(*groups);
    size_t bytes = fixed + from->issuer.length + from->subject.length;
    struct remembered *copy;
    char *free_bytes;

    for (size_t i = 0; i < count; i++)
        bytes += groups[i].length;
    copy = memory_new(1, bytes);
    *copy = *from;
    cache_value_init(&copy->value, bytes + ENTRY_SIZE, destroy);
    free_bytes = (char *)copy + fixed;
    copy->issuer = put(&free_bytes, from->issuer);
    copy->subject = put(&free_bytes, from->subject);
    copy->group_count = count;
    for (size_t i = 0; i < count; i++)
        copy->groups[i] = put(&free_bytes, groups[i]);
    return copy;
}

bool remembered_is_in(const struct remembered *remembered, struct text list)
{
    struct text wanted;

    while (text_next(&list, &wanted))
        for (size_t i = 0; i < remembered->group_count; i++)
            if (remembered->any_case ? text_compare_nocase(remembered->groups[i], wanted) == 0
                                     : text_equal(remembered->groups[i], wanted))
                return true;
    return false;
}
