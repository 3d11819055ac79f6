/* JSON from strangers, read strictly (RFC 8259): json-c builds the tree, but lets single quotes, NaN, cut
 * numbers and names with NUL pass, so that the grammar is checked first. */
#ifndef OM_UTIL_JSON_H
#define OM_UTIL_JSON_H

#include <stdbool.h>

#include "util/json_scan.h"
#include "util/text.h"

struct json_object;

/* The whole text must be one JSON value, valid UTF-8, nested at most JSON_DEPTH_MAX deep, with at most
 * JSON_LISTS_MAX objects and arrays, without \u0000 in a name. NULL when it is not; json_object_put() the
 * result. The JSON literal null at the top is refused too. Of two members with the same name the last counts.
 */
struct json_object *json_read(struct text text);

/* Why it was NULL: JSON it is, but with more than JSON_LISTS_MAX objects and arrays. */
bool json_has_too_many_lists(struct text text);

/* The same for one object whose members all have different names (escapes do not hide that they are the
 * same): where two readers must not see two things. What stands inside of members is not held to that. With
 * more than JSON_DISTINCT_LISTS_MAX objects and arrays it is refused. */
struct json_object *json_read_distinct(struct text text);

/* The member of that name; NULL when `value` is no object, has none, or has null there. */
struct json_object *json_member(struct json_object *value, const char *name);

/* The bytes of a string, which may hold NUL; they live as long as the value. False when it is no string. */
bool json_string(struct json_object *value, struct text *out);

#endif
