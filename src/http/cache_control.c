/* A list of directives: token, or token=argument, between commas; an argument may be quoted. */
#include "http/cache_control.h"

#include <stddef.h>

/* Cuts the directive before the next comma that is not inside quotes. */
static struct text next_directive(struct text *rest)
{
    struct text directive = {rest->data, 0};
    bool quoted = false;

    while (directive.length < rest->length) {
        char c = rest->data[directive.length];

        if (c == ',' && !quoted)
            break;
        if (c == '"')
            quoted = !quoted;
        if (c == '\\' && quoted && directive.length + 1 < rest->length)
            directive.length++; /* it takes the next one along */
        directive.length++;
    }
    *rest = text_skip(*rest, directive.length < rest->length ? directive.length + 1 : rest->length);
    return directive;
}

bool cache_control_has(struct text header, const char *directive)
{
    while (header.length > 0) {
        struct text argument = next_directive(&header), name = text_cut(&argument, '=');

        if (text_is_nocase(text_trim(name), directive))
            return true;
    }
    return false;
}
