/* Any bytes as a provider's description and as what it says of a user: an address that is followed is https,
 * and a group is never empty. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "auth/discovery.h"
#include "auth/remembered.h"
#include "auth/userinfo.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_discovery(struct arena *arena, struct text body)
{
    struct discovery discovery;

    if (discovery_read(arena, TEXT_LITERAL("https://i.example/realms/x"), body, &discovery))
        return;
    if (!text_is_nocase((struct text){discovery.jwks_uri, 8}, "https://") ||
        !text_is_nocase((struct text){discovery.userinfo_endpoint, 8}, "https://") ||
        discovery.algorithms == 0)
        abort();
}

static void read_user(struct arena *arena, struct text body, enum userinfo_kind kind)
{
    struct remembered *kept;
    struct userinfo user;

    if (!userinfo_read(arena, body, kind, &user))
        return;
    for (size_t i = 0; i < user.group_count; i++)
        if (user.groups[i].length == 0)
            abort();
    kept = remembered_new(&(struct remembered){.subject = user.subject}, user.groups, user.group_count);
    if (!text_equal(kept->subject, user.subject) || remembered_is_in(kept, TEXT_LITERAL(" , ,")))
        abort();
    cache_value_release(&kept->value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text body = {(const char *)data, size};
    struct arena *arena = arena_new();

    read_discovery(arena, body);
    read_user(arena, body, USERINFO_EGI);
    read_user(arena, body, USERINFO_AI4EOSC);
    read_user(arena, body, USERINFO_OTHER);
    arena_free(arena);
    return 0;
}
