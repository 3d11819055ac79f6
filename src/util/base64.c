/* Strict base64. A library's decoder skips what it does not know, which gives one credential many spellings.
 */
#include "util/base64.h"

static int value_of(char c, const char last[2])
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == last[0])
        return 62;
    return c == last[1] ? 63 : -1;
}

/* Without padding; `last` are the two characters in which the alphabets differ. */
static bool decode(struct text text, const char last[2], struct buf *out)
{
    for (size_t i = 0; i < text.length; i += 4) {
        size_t count = text.length - i < 4 ? text.length - i : 4;
        unsigned bits = 0;

        for (size_t k = 0; k < 4; k++) {
            int value = k < count ? value_of(text.data[i + k], last) : 0;

            if (value < 0)
                return false;
            bits = bits << 6 | (unsigned)value;
        }
        if ((count == 3 && (bits & 0xff)) || (count == 2 && (bits & 0xffff)) || count == 1)
            return false;
        for (size_t k = 0; k + 1 < count; k++)
            if (!buf_add_char(out, (char)(bits >> (16 - 8 * k) & 0xff)))
                return false;
    }
    return true;
}

bool base64_decode(struct text text, struct buf *out)
{
    if (text.length % 4 != 0)
        return false;
    for (size_t padding = 0; padding < 2 && text.length > 0 && text.data[text.length - 1] == '='; padding++)
        text.length--;
    return decode(text, "+/", out);
}

bool base64url_decode(struct text text, struct buf *out)
{
    return decode(text, "-_", out);
}
