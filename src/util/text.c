/* Bytes with a length. */
#include "util/text.h"

#include <string.h>

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

struct text text_of(const char *string)
{
    return (struct text){string, string ? strlen(string) : 0};
}

bool text_next(struct text *list, struct text *piece)
{
    while (list->data) {
        *piece = text_trim(text_cut(list, ','));
        if (piece->length > 0)
            return true;
    }
    return false;
}

bool text_is(struct text a, const char *string)
{
    return text_equal(a, text_of(string));
}

bool text_is_nocase(struct text a, const char *string)
{
    return text_compare_nocase(a, text_of(string)) == 0;
}

static int compare_lengths(struct text a, struct text b)
{
    return (a.length > b.length) - (a.length < b.length);
}

int text_compare(struct text a, struct text b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    return order ? order : compare_lengths(a, b);
}

int text_compare_nocase(struct text a, struct text b)
{
    for (size_t i = 0; i < a.length && i < b.length; i++)
        if (lower(a.data[i]) != lower(b.data[i]))
            return lower(a.data[i]) < lower(b.data[i]) ? -1 : 1;
    return compare_lengths(a, b);
}

static bool is_name_end(char c)
{
    return (unsigned char)(c - 'a') < 26 || (unsigned char)(c - '0') < 10;
}

bool text_is_dns_name(struct text a)
{
    if (a.length < 1 || a.length > 253 || !is_name_end(a.data[0]) || !is_name_end(a.data[a.length - 1]))
        return false;
    for (size_t i = 1; i + 1 < a.length; i++)
        if (!is_name_end(a.data[i]) && a.data[i] != '-' && a.data[i] != '.')
            return false;
    return true;
}

bool text_is_utf8(struct text a)
{
    for (size_t i = 0; i < a.length;) {
        size_t n = text_utf8_length(text_skip(a, i));

        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

size_t text_utf8_length(struct text a)
{
    const unsigned char *s = (const unsigned char *)a.data;
    size_t need;

    if (a.length == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        need = 2;
    else if (s[0] >= 0xe0 && s[0] <= 0xef)
        need = 3;
    else if (s[0] >= 0xf0 && s[0] <= 0xf4)
        need = 4;
    else
        return 0;
    if (a.length < need)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    /* Overlong forms, surrogates and what lies beyond U+10FFFF show in the second byte. */
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return need;
}
