/* IPv4, brackets and ports by hand, IPv6 by inet_pton. */
#include "util/address.h"

#include <arpa/inet.h>
#include <string.h>

/* ":" and a number up to 65535 without a sign, or nothing. */
static bool is_port(struct text text)
{
    unsigned port = 0;

    if (text.length == 0)
        return true;
    if (text.data[0] != ':' || text.length < 2 || text.length > 6)
        return false;
    for (size_t i = 1; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        port = port * 10 + (unsigned)(text.data[i] - '0');
    }
    return port <= 65535;
}

/* Four numbers up to 255 with points between, none with a zero in front. By hand: of the lines of a log most
 * have one. */
static bool parse_quad(struct text text, unsigned char *bytes)
{
    size_t at = 0;

    for (size_t part = 0; part < 4; part++) {
        unsigned value = 0;
        size_t begin;

        if (part > 0 && (at == text.length || text.data[at++] != '.'))
            return false;
        for (begin = at; at < text.length && at - begin < 3 && text.data[at] >= '0' && text.data[at] <= '9';
             at++)
            value = value * 10 + (unsigned)(text.data[at] - '0');
        if (at == begin || value > 255 || (text.data[begin] == '0' && at - begin > 1))
            return false;
        bytes[part] = (unsigned char)value;
    }
    return at == text.length;
}

static bool parse_v4(struct text text, struct address *out)
{
    struct address address = {.v6 = false};
    const char *colon = memchr(text.data, ':', text.length);
    size_t length = colon ? (size_t)(colon - text.data) : text.length;

    if (!is_port(text_skip(text, length)) || !parse_quad((struct text){text.data, length}, address.bytes))
        return false;
    *out = address;
    return true;
}

/* As the string that inet_pton wants. */
static bool parse_hex(struct text text, unsigned char *bytes)
{
    char string[INET6_ADDRSTRLEN];

    if (text.length == 0 || text.length >= sizeof(string) || memchr(text.data, '\0', text.length))
        return false;
    memcpy(string, text.data, text.length);
    string[text.length] = '\0';
    return inet_pton(AF_INET6, string, bytes) == 1;
}

static bool parse_v6(struct text text, struct address *out)
{
    static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct address address = {.v6 = true};

    if (text.data[0] == '[') {
        struct text rest = text_skip(text, 1);

        text = text_cut(&rest, ']');
        if (rest.data == NULL || !is_port(rest))
            return false;
    }
    if (!parse_hex(text, address.bytes))
        return false;
    if (memcmp(address.bytes, mapped, sizeof(mapped)) == 0) {
        address.v6 = false;
        memmove(address.bytes, address.bytes + 12, 4);
        memset(address.bytes + 4, 0, 12);
    }
    *out = address;
    return true;
}

bool address_parse(struct text text, struct address *out)
{
    text = text_trim(text);
    if (text.length == 0)
        return false;
    /* Only IPv4 has a point before its first colon. */
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] == '.')
            return parse_v4(text, out);
        if (text.data[i] == ':' || text.data[i] == '[')
            break;
    }
    return parse_v6(text, out);
}

static bool is_private_v4(const unsigned char *b)
{
    return b[0] == 0 || b[0] == 10 || b[0] == 127 || (b[0] == 172 && (b[1] & 0xf0) == 16) ||
           (b[0] == 192 && b[1] == 168) || (b[0] == 169 && b[1] == 254);
}

static bool is_private_v6(const unsigned char *b)
{
    static const unsigned char zeros[12];

    return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80) ||
           memcmp(b, zeros, sizeof(zeros)) == 0;
}

bool address_is_private(const struct address *address)
{
    return address->v6 ? is_private_v6(address->bytes) : is_private_v4(address->bytes);
}
