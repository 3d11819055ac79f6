/* RFC 3986, the narrow part of it that servers have. */
#include "net/url.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_name_character(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' ||
           c == '.';
}

static bool take_prefix(struct text *rest, const char *prefix)
{
    struct text wanted = text_of(prefix);

    if (rest->length < wanted.length || !text_is_nocase((struct text){rest->data, wanted.length}, prefix))
        return false;
    *rest = text_skip(*rest, wanted.length);
    return true;
}

static bool take_host(struct text *rest, struct text *out)
{
    size_t i = 0;

    if (rest->length > 0 && rest->data[0] == '[') {
        for (i = 1;
             i < rest->length && (is_hex(rest->data[i]) || rest->data[i] == ':' || rest->data[i] == '.');)
            i++;
        if (i == 1 || i == rest->length || rest->data[i++] != ']')
            return false;
    } else {
        while (i < rest->length && is_name_character(rest->data[i]))
            i++;
    }
    *out = (struct text){rest->data, i};
    *rest = text_skip(*rest, i);
    return i > 0;
}

static bool take_port(struct text *rest)
{
    size_t i = 1;

    if (rest->length == 0 || rest->data[0] != ':')
        return true;
    while (i < rest->length && is_digit(rest->data[i]))
        i++;
    *rest = text_skip(*rest, i);
    return i >= 2 && i <= 6;
}

bool url_read(struct text text, struct url *out)
{
    struct text rest = text;
    size_t i = 0;

    out->is_https = take_prefix(&rest, "https://");
    if ((!out->is_https && !take_prefix(&rest, "http://")) || !take_host(&rest, &out->host) ||
        !take_port(&rest))
        return false;
    if (rest.length > 0 && rest.data[0] != '/' && rest.data[0] != '?')
        return false;
    for (size_t k = 0; k < rest.length; k++)
        if (rest.data[k] <= ' ' || rest.data[k] >= 0x7f || rest.data[k] == '\\')
            return false;
    while (i < rest.length && rest.data[i] != '?' && rest.data[i] != '#')
        i++;
    out->path = (struct text){rest.data, i};
    return true;
}
