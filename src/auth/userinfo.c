/* Lists of strings, and EGI's URNs. */
#include "auth/userinfo.h"

#include <json-c/json.h>

#include "util/arena.h"
#include "util/json.h"

static struct text lower_case(struct arena *arena, struct text text)
{
    char *copy = arena_alloc(arena, text.length + 1, 1);

    for (size_t i = 0; i < text.length; i++)
        copy[i] =
            (char)(text.data[i] >= 'A' && text.data[i] <= 'Z' ? text.data[i] + ('a' - 'A') : text.data[i]);
    return (struct text){copy, text.length};
}

/* The fifth field of "urn:mace:egi.eu:group:<group>[:...]". Empty: it is none of these. */
static struct text egi_group(struct arena *arena, struct text entitlement)
{
    static const char prefix[] = "urn:mace:egi.eu:group:";
    struct text rest = lower_case(arena, entitlement);

    if (!text_starts(rest, prefix))
        return TEXT_LITERAL("");
    rest = text_skip(rest, sizeof(prefix) - 1);
    return text_cut(&rest, ':');
}

static struct json_object *find_groups(struct json_object *json, enum userinfo_kind kind)
{
    switch (kind) {
    case USERINFO_EGI:
        return json_member(json, "entitlements");
    case USERINFO_AI4EOSC:
        return json_member(json_member(json, "realm_access"), "roles");
    case USERINFO_OTHER:
        break;
    }
    return json_member(json, "group_membership");
}

static void read_groups(struct arena *arena, struct json_object *list, enum userinfo_kind kind,
                        struct userinfo *out)
{
    size_t count = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;

    out->groups = ARENA_ARRAY(arena, count + 1, struct text);
    for (size_t i = 0; i < count; i++) {
        struct text text;

        if (!json_string(json_object_array_get_idx(list, i), &text))
            continue;
        text = kind == USERINFO_EGI ? egi_group(arena, text) : arena_text(arena, text);
        if (text.length > 0)
            out->groups[out->group_count++] = text;
    }
}

bool userinfo_read(struct arena *arena, struct text body, enum userinfo_kind kind, struct userinfo *out)
{
    struct json_object *json = json_read_distinct(body);
    struct text subject;

    *out = (struct userinfo){.group_count = 0};
    if (json == NULL)
        return false;
    if (json_string(json_member(json, "sub"), &subject))
        out->subject = arena_text(arena, subject);
    read_groups(arena, find_groups(json, kind), kind, out);
    json_object_put(json);
    return true;
}
