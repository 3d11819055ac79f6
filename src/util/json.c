/* A check of the grammar, and json-c behind it. */
#include "util/json.h"

#include <json-c/json.h>
#include <limits.h>

#include "caps.h"

/* Well formed; gives how many objects and arrays it holds. */
static bool check(struct text text, size_t *lists)
{
    struct json_scan scan = json_scan_of(text);
    bool valid = json_scan_skip(&scan) && json_scan_end(&scan);

    *lists = scan.lists;
    return valid;
}

bool json_has_too_many_lists(struct text text)
{
    size_t lists;

    return check(text, &lists) && lists > JSON_LISTS_MAX;
}

static struct json_object *read_tree(struct text text, size_t lists_max)
{
    struct json_tokener *tokener;
    struct json_object *value;
    size_t lists;

    if (text.length >= INT_MAX || !check(text, &lists) || lists > lists_max)
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

struct json_object *json_read(struct text text)
{
    return read_tree(text, JSON_LISTS_MAX);
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
    struct json_object *value = read_tree(text, JSON_DISTINCT_LISTS_MAX);

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
