/* Strings are most of the bytes: eight of them are looked at at once. */
#include "util/json_scan.h"

#include <endian.h>
#include <stdint.h>

#include "caps.h"
#include "util/buf.h"

/* A word with this byte in all eight places. */
#define EACH(byte) ((uint64_t)(byte)*UINT64_C(0x0101010101010101))

struct json_scan json_scan_of(struct text text)
{
    /* Of nothing there may be no address to count from. */
    return (struct json_scan){.at = text.data, .end = text.length > 0 ? text.data + text.length : text.data};
}

static bool broken(struct json_scan *scan)
{
    scan->broken = true;
    return false;
}

static void skip_space(struct json_scan *scan)
{
    while (scan->at < scan->end &&
           (*scan->at == ' ' || *scan->at == '\t' || *scan->at == '\n' || *scan->at == '\r'))
        scan->at++;
}

static bool next_is(const struct json_scan *scan, char wanted)
{
    return scan->at < scan->end && *scan->at == wanted;
}

static bool take(struct json_scan *scan, char wanted)
{
    if (!next_is(scan, wanted))
        return false;
    scan->at++;
    return true;
}

char json_scan_peek(struct json_scan *scan)
{
    if (scan->broken)
        return '\0';
    skip_space(scan);
    return scan->at < scan->end ? *scan->at : '\0';
}

bool json_scan_end(struct json_scan *scan)
{
    skip_space(scan);
    return !scan->broken && scan->at == scan->end;
}

bool json_scan_open(struct json_scan *scan, char open)
{
    if (json_scan_peek(scan) != open || scan->depth == JSON_DEPTH_MAX)
        return broken(scan);
    scan->at++;
    scan->depth++;
    scan->lists++;
    scan->first = true;
    return true;
}

bool json_scan_more(struct json_scan *scan, char close)
{
    bool first = scan->first;

    scan->first = false;
    if (json_scan_peek(scan) == close) {
        scan->at++;
        scan->depth--;
        return false;
    }
    return !scan->broken && (first || take(scan, ',') || broken(scan));
}

/* Marks, in the place of each byte that is a quote, a backslash, a control character or no ASCII, its highest
 * bit. Bytes behind the first of them may be marked for nothing. */
static uint64_t special_bytes(uint64_t word)
{
    uint64_t control = word - EACH(0x20), quote = (word ^ EACH('"')) - EACH(1),
             backslash = (word ^ EACH('\\')) - EACH(1);

    return (control | quote | backslash | word) & EACH(0x80);
}

/* To the first byte that needs a look, or to the end. */
static const char *skip_plain(const char *at, const char *end)
{
    uint64_t word, special;

    for (; end - at >= (ptrdiff_t)sizeof(word); at += sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        special = special_bytes(le64toh(word));
        if (special)
            return at + __builtin_ctzll(special) / 8;
    }
    word = EACH('"'); /* it is to stop at the end */
    memcpy(&word, at, (size_t)(end - at));
    return at + __builtin_ctzll(special_bytes(le64toh(word))) / 8;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits; -1 when they are not. */
static int32_t hex4(const char *digits)
{
    int32_t value = 0;

    for (int i = 0; i < 4; i++) {
        int digit = hex_value(digits[i]);

        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

/* Behind the backslash. */
static bool take_escape(struct json_scan *scan, bool is_name)
{
    int32_t code;

    if (scan->at == scan->end)
        return false;
    if (*scan->at != 'u')
        return *scan->at != '\0' && strchr("\"\\/bfnrt", *scan->at++) != NULL;
    if (scan->end - scan->at < 5)
        return false;
    code = hex4(scan->at + 1);
    scan->at += 5;
    return code > 0 || (code == 0 && !is_name);
}

static bool take_string(struct json_scan *scan, bool is_name, struct json_raw *out)
{
    const char *start;

    if (json_scan_peek(scan) != '"')
        return broken(scan);
    start = ++scan->at;
    out->escaped = false;
    for (;;) {
        scan->at = skip_plain(scan->at, scan->end);
        if (scan->at == scan->end)
            return broken(scan);
        if (*scan->at == '"')
            break;
        if (*scan->at == '\\') {
            scan->at++;
            out->escaped = true;
            if (!take_escape(scan, is_name))
                return broken(scan);
        } else {
            size_t length = text_utf8_length((struct text){scan->at, (size_t)(scan->end - scan->at)});

            if (length < 2) /* a control character, or no UTF-8 */
                return broken(scan);
            scan->at += length;
        }
    }
    out->text = (struct text){start, (size_t)(scan->at - start)};
    scan->at++;
    return true;
}

bool json_scan_string(struct json_scan *scan, struct json_raw *out)
{
    return take_string(scan, false, out);
}

bool json_scan_name(struct json_scan *scan, struct json_raw *out)
{
    if (!take_string(scan, true, out))
        return false;
    return json_scan_peek(scan) == ':' ? take(scan, ':') : broken(scan);
}

static bool take_digits(struct json_scan *scan)
{
    const char *start = scan->at;

    while (scan->at < scan->end && *scan->at >= '0' && *scan->at <= '9')
        scan->at++;
    return scan->at > start;
}

static bool take_number(struct json_scan *scan)
{
    take(scan, '-');
    if (!take(scan, '0') && !take_digits(scan))
        return false;
    if (take(scan, '.') && !take_digits(scan))
        return false;
    if (take(scan, 'e') || take(scan, 'E')) {
        if (!take(scan, '+'))
            take(scan, '-');
        return take_digits(scan);
    }
    return true;
}

bool json_scan_number(struct json_scan *scan, struct text *out)
{
    json_scan_peek(scan);
    out->data = scan->at;
    if (scan->broken || !take_number(scan))
        return broken(scan);
    out->length = (size_t)(scan->at - out->data);
    return true;
}

static bool take_word(struct json_scan *scan, const char *word)
{
    struct text rest = {scan->at, (size_t)(scan->end - scan->at)};

    if (!text_starts(rest, word))
        return broken(scan);
    scan->at += strlen(word);
    return true;
}

static bool skip_list(struct json_scan *scan, char open, char close)
{
    struct json_raw name;

    if (!json_scan_open(scan, open))
        return false;
    while (json_scan_more(scan, close))
        if ((open == '{' && !json_scan_name(scan, &name)) || !json_scan_skip(scan))
            return false;
    return !scan->broken;
}

bool json_scan_skip(struct json_scan *scan)
{
    struct json_raw string;
    struct text number;

    switch (json_scan_peek(scan)) {
    case '{':
        return skip_list(scan, '{', '}');
    case '[':
        return skip_list(scan, '[', ']');
    case '"':
        return json_scan_string(scan, &string);
    case 't':
        return take_word(scan, "true");
    case 'f':
        return take_word(scan, "false");
    case 'n':
        return take_word(scan, "null");
    default:
        return json_scan_number(scan, &number);
    }
}

static void add_code(struct buf *out, uint32_t code)
{
    static const unsigned char first_bits[] = {0, 0, 0xc0, 0xe0, 0xf0};
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    char bytes[4];

    for (size_t i = length; i-- > 1; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(first_bits[length] | code);
    buf_add(out, (struct text){bytes, length});
}

/* What follows "\u"; gives how many bytes that is. */
static size_t decode_unicode(struct text rest, struct buf *out)
{
    uint32_t code = (uint32_t)hex4(rest.data), low;

    if (code < 0xd800 || code > 0xdfff) {
        add_code(out, code);
        return 4;
    }
    if (code < 0xdc00 && rest.length >= 10 && rest.data[4] == '\\' && rest.data[5] == 'u') {
        low = (uint32_t)hex4(rest.data + 6);
        if (low >= 0xdc00 && low <= 0xdfff) {
            add_code(out, 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00));
            return 10;
        }
    }
    add_code(out, 0xfffd);
    return 4;
}

static char plain_escape(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

struct text json_scan_decode(struct json_raw raw, struct buf *scratch)
{
    struct text rest = raw.text;

    if (!raw.escaped)
        return raw.text;
    buf_clear(scratch);
    while (rest.length > 0) {
        buf_add(scratch, text_cut(&rest, '\\'));
        if (rest.data == NULL)
            break;
        if (rest.data[0] == 'u') {
            rest = text_skip(rest, 1);
            rest = text_skip(rest, decode_unicode(rest, scratch));
        } else {
            buf_add_char(scratch, plain_escape(rest.data[0]));
            rest = text_skip(rest, 1);
        }
    }
    return buf_text(scratch);
}
