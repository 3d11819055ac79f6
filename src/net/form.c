/* Percent-encoding. */
#include "net/form.h"

#include "util/buf.h"

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void form_add(struct buf *form, const char *name, struct text value)
{
    if (form->length > 0)
        buf_add_char(form, '&');
    buf_add_string(form, name);
    buf_add_char(form, '=');
    for (size_t i = 0; i < value.length; i++)
        if (is_plain(value.data[i]))
            buf_add_char(form, value.data[i]);
        else
            buf_format(form, "%%%02X", (unsigned)(unsigned char)value.data[i]);
}
