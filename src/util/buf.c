/* A capped, growing buffer. */
#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/memory.h"

void buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit};
}

void buf_free(struct buf *buf)
{
    free(buf->data);
    buf_init(buf, buf->limit);
}

void buf_clear(struct buf *buf)
{
    buf->length = 0;
    buf->full = false;
}

bool buf_add(struct buf *buf, struct text text)
{
    if (text.length > buf->limit - buf->length) {
        buf->full = true;
        return false;
    }
    if (buf->length + text.length + 1 > buf->capacity) {
        size_t capacity = buf->capacity ? buf->capacity * 2 : 256;

        while (capacity < buf->length + text.length + 1)
            capacity *= 2;
        buf->data = memory_grow(buf->data, capacity, 1);
        buf->capacity = capacity;
    }
    if (text.length)
        memcpy(buf->data + buf->length, text.data, text.length);
    buf->length += text.length;
    buf->data[buf->length] = '\0';
    return true;
}

bool buf_add_string(struct buf *buf, const char *string)
{
    return buf_add(buf, text_of(string));
}

bool buf_add_char(struct buf *buf, char c)
{
    return buf_add(buf, (struct text){&c, 1});
}

bool buf_add_utf8(struct buf *buf, struct text text)
{
    while (text.length > 0) {
        size_t n = text_utf8_length(text);

        if (n == 0 ? !buf_add_string(buf, "\xef\xbf\xbd") : !buf_add(buf, (struct text){text.data, n}))
            return false;
        text = text_skip(text, n ? n : 1);
    }
    return true;
}

bool buf_format(struct buf *buf, const char *format, ...)
{
    char small[512], *large;
    va_list args;
    int length;
    bool added;

    va_start(args, format);
    length = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    if (length < 0)
        return false;
    if ((size_t)length < sizeof(small))
        return buf_add(buf, (struct text){small, (size_t)length});
    large = memory_new((size_t)length + 1, 1);
    va_start(args, format);
    vsnprintf(large, (size_t)length + 1, format, args);
    va_end(args);
    added = buf_add(buf, (struct text){large, (size_t)length});
    free(large);
    return added;
}

struct text buf_text(const struct buf *buf)
{
    return (struct text){buf->data ? buf->data : "", buf->length};
}
