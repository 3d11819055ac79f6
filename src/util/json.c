/* A check of the grammar, and json-c behind it. */
#include "util/json.h"

#include <json-c/json.h>
#include <limits.h>

#include "caps.h"

/* Brackets that open, also those inside of strings: as many as there are lists and objects, or more. */
static size_t count_lists(struct text text)
{
    size_t count = 0;

    for (size_t i = 0; i < text.length; i++)
        count += text.data[i] == '{' || text.data[i] == '[';
    return count;
}

struct json_object *json_read(struct text text)
{
    struct json_scan scan = json_scan_of(text);
    struct json_tokener *tokener;
    struct json_object *value;

    if (text.length >= INT_MAX || count_lists(text) > JSON_LISTS_MAX || !json_scan_skip(&scan) ||
        !json_scan_end(&scan))
        return NULL;
    tokener = json_tokener_new_ex(JSON_DEPTH_MAX + 1);
    if (tokener == NULL)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    value = json_tokener_parse_ex(tokener, text.data, (int)text.length);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        json_object_put(value);
        value = NULL;
    }
    json_tokener_free(tokener);
    return value;
}

/* Of the object that the text is, which is known to be well formed. */
static size_t count_members(struct text text)
{
    struct json_scan scan = json_scan_of(text);
    struct json_raw name;
    size_t count = 0;

    if (json_scan_open(&scan, '{'))
        while (json_scan_more(&scan, '}') && json_scan_name(&scan, &name) && json_scan_skip(&scan))
            count++;
    return count;
}

struct json_object *json_read_distinct(struct text text)
{
    struct json_object *value = count_lists(text) <= JSON_DISTINCT_LISTS_MAX ? json_read(text) : NULL;

    if (json_object_is_type(value, json_type_object) &&
        (size_t)json_object_object_length(value) == count_members(text))
        return value;
    json_object_put(value);
    return NULL;
}

struct json_object *json_member(struct json_object *value, const char *name)
{
    struct json_object *member;

    if (!json_object_is_type(value, json_type_object) || !json_object_object_get_ex(value, name, &member))
        return NULL;
    return member;
}

bool json_string(struct json_object *value, struct text *out)
{
    if (!json_object_is_type(value, json_type_string))
        return false;
    *out = (struct text){json_object_get_string(value), (size_t)json_object_get_string_len(value)};
    return true;
}
