/* A check of the grammar by recursive descent, bounded in depth, and json-c behind it. */
#include "util/json.h"

#include <json-c/json.h>
#include <limits.h>
#include <string.h>

struct cursor {
    const char *at, *end;
    int members; /* of the object at the top, each time that one is named */
};

static bool check_value(struct cursor *c, int depth);

static bool next_is(const struct cursor *c, char wanted)
{
    return c->at < c->end && *c->at == wanted;
}

static bool take(struct cursor *c, char wanted)
{
    if (!next_is(c, wanted))
        return false;
    c->at++;
    return true;
}

static void skip_space(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
        c->at++;
}

static bool take_word(struct cursor *c, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return false;
    c->at += length;
    return true;
}

static bool take_digits(struct cursor *c)
{
    const char *start = c->at;

    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return c->at > start;
}

static bool check_number(struct cursor *c)
{
    take(c, '-');
    if (!take(c, '0') && !take_digits(c))
        return false;
    if (take(c, '.') && !take_digits(c))
        return false;
    if (take(c, 'e') || take(c, 'E')) {
        if (!take(c, '+'))
            take(c, '-');
        return take_digits(c);
    }
    return true;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool check_escape(struct cursor *c, bool is_name)
{
    if (c->at == c->end)
        return false;
    if (*c->at != 'u')
        return *c->at != '\0' && strchr("\"\\/bfnrt", *c->at++) != NULL;
    if (c->end - c->at < 5)
        return false;
    for (int i = 1; i <= 4; i++)
        if (!is_hex(c->at[i]))
            return false;
    if (is_name && memcmp(c->at, "u0000", 5) == 0)
        return false;
    c->at += 5;
    return true;
}

static bool check_string(struct cursor *c, bool is_name)
{
    if (!take(c, '"'))
        return false;
    while (c->at < c->end) {
        char byte = *c->at++;

        if (byte == '"')
            return true;
        if ((unsigned char)byte < 0x20 || (byte == '\\' && !check_escape(c, is_name)))
            return false;
    }
    return false;
}

/* Behind the opening bracket or brace. */
static bool check_members(struct cursor *c, int depth, bool object)
{
    char close = object ? '}' : ']';

    skip_space(c);
    if (take(c, close))
        return true;
    for (;;) {
        skip_space(c);
        if (object) {
            if (!check_string(c, true))
                return false;
            c->members += depth == 1;
            skip_space(c);
            if (!take(c, ':'))
                return false;
        }
        if (!check_value(c, depth))
            return false;
        if (take(c, close))
            return true;
        if (!take(c, ','))
            return false;
    }
}

/* Takes the white space around the value, too. */
static bool check_value(struct cursor *c, int depth)
{
    bool valid;

    skip_space(c);
    if (depth >= JSON_MAX_DEPTH)
        return false;
    if (take(c, '{'))
        valid = check_members(c, depth + 1, true);
    else if (take(c, '['))
        valid = check_members(c, depth + 1, false);
    else if (next_is(c, '"'))
        valid = check_string(c, false);
    else
        valid = take_word(c, "true") || take_word(c, "false") || take_word(c, "null") || check_number(c);
    skip_space(c);
    return valid;
}

static struct json_object *read_counted(struct text text, int *members)
{
    struct cursor c = {text.data, text.data + text.length, 0};
    struct json_tokener *tokener;
    struct json_object *value;

    if (text.length == 0 || text.length >= INT_MAX || !text_is_utf8(text) || !check_value(&c, 0) ||
        c.at != c.end)
        return NULL;
    tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 1);
    if (tokener == NULL)
        return NULL;
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
    value = json_tokener_parse_ex(tokener, text.data, (int)text.length);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        json_object_put(value);
        value = NULL;
    }
    json_tokener_free(tokener);
    *members = c.members;
    return value;
}

struct json_object *json_read(struct text text)
{
    int members;

    return read_counted(text, &members);
}

struct json_object *json_read_distinct(struct text text)
{
    int members = 0;
    struct json_object *value = read_counted(text, &members);

    if (json_object_is_type(value, json_type_object) && json_object_object_length(value) == members)
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
