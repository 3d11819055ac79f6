/* Any bytes as a definition: what is accepted has a name and no NUL, what is not has a reason. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sources/inventory.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct text text)
{
    if (!text_is_utf8(text) || (text.length > 0 && memchr(text.data, '\0', text.length)))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct service service = {.namespace = TEXT_LITERAL("kept")};
    const char *why = NULL;

    if (definition_parse(arena, (struct text){(const char *)data, size}, &service, &why)) {
        if (why != NULL || !text_is_dns_name(service.name))
            abort();
        check_text(service.owner);
        check_text(service.image);
        for (size_t i = 0; i < service.allowed_user_count; i++)
            check_text(service.allowed_users[i]);
    } else if (why == NULL || !text_is_utf8(text_of(why))) {
        abort();
    }
    if (!text_is(service.namespace, "kept"))
        abort();
    arena_free(arena);
    return 0;
}
