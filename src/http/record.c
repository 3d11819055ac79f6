/* Records: version, type, request id (2), content length (2), padding length, reserved; then content and
 * padding. */
#include "http/record.h"

#include <stdint.h>
#include <string.h>

enum { HEADER_SIZE = 8, BEGIN_SIZE = 8, VERSION = 1 };
enum { TYPE_BEGIN = 1, TYPE_PARAMS = 4, TYPE_STDIN = 5, TYPE_GET_VALUES = 9 };

/* Reads name-value pairs (section 3.4) piece by piece: lengths of one byte, or of four with the high bit set.
 */
struct pairs {
    uint32_t length[2]; /* of the name, of the value */
    unsigned which;     /* of the two lengths, the one being read; 2: inside the bytes */
    unsigned more;      /* bytes of a long length that are still to come */
    bool nul;
};

static void read_length(struct pairs *pairs, unsigned char byte)
{
    uint32_t *length = &pairs->length[pairs->which];

    if (pairs->more > 0) {
        *length = *length << 8 | byte;
        pairs->more--;
    } else {
        *length = byte & 0x7fu;
        pairs->more = byte & 0x80u ? 3 : 0;
    }
    if (pairs->more == 0)
        pairs->which++;
}

static void read_pairs(struct pairs *pairs, struct text bytes)
{
    while (bytes.length > 0) {
        uint64_t left = (uint64_t)pairs->length[0] + pairs->length[1];
        size_t take = left < bytes.length ? (size_t)left : bytes.length;

        if (pairs->which < 2) {
            read_length(pairs, (unsigned char)bytes.data[0]);
            bytes = text_skip(bytes, 1);
        } else {
            pairs->nul |= take > 0 && memchr(bytes.data, '\0', take) != NULL;
            pairs->length[0] = (uint32_t)(left - take);
            pairs->length[1] = 0;
            bytes = text_skip(bytes, take);
        }
        if (pairs->which == 2 && pairs->length[0] == 0 && pairs->length[1] == 0)
            pairs->which = 0;
    }
}

/* No pair has been begun: a length that says more than there is would leave one. */
static bool is_between(const struct pairs *pairs)
{
    return pairs->which == 0 && pairs->more == 0;
}

/* One record, cut off the front of the bytes; false when it is not whole. */
struct record {
    unsigned version, type, id, padding;
    struct text content;
    bool whole; /* content and padding are there, not the header alone */
};

static bool take_record(struct text *bytes, struct record *record)
{
    const unsigned char *header = (const unsigned char *)bytes->data;
    size_t content, length;

    if (bytes->length < HEADER_SIZE)
        return false;
    content = (size_t)header[4] << 8 | header[5];
    length = HEADER_SIZE + content + header[6];
    *record = (struct record){.version = header[0],
                              .type = header[1],
                              .id = (unsigned)header[2] << 8 | header[3],
                              .padding = header[6],
                              .content = {bytes->data + HEADER_SIZE, content},
                              .whole = bytes->length >= length};
    *bytes = text_skip(*bytes, record->whole ? length : bytes->length);
    return true;
}

/* Behind the parameters: is the empty record there that ends the body? */
static bool has_body_end(struct text bytes)
{
    struct record record;

    while (take_record(&bytes, &record))
        if (record.type == TYPE_STDIN && record.content.length == 0)
            return true;
    return false;
}

/* Web servers send one request's beginning and then its parameters, and at most ask for values before.
 * Whatever else libfcgi would wait for, or answer itself, with a worker in its hands. `id`: of the request;
 * 0: not begun. */
static bool may_come(const struct record *record, unsigned id)
{
    if (record->version != VERSION)
        return false;
    if (id != 0)
        return record->id == id && record->type == TYPE_PARAMS;
    if (record->id == 0)
        return record->type == TYPE_GET_VALUES;
    /* libfcgi would take padding behind it for the next record. */
    return record->type == TYPE_BEGIN && record->content.length == BEGIN_SIZE && record->padding == 0;
}

enum record_verdict record_look(struct text bytes, struct record_seen *seen)
{
    struct pairs pairs = {0};
    struct record record;
    unsigned id = 0;

    while (take_record(&bytes, &record)) {
        if (!may_come(&record, id))
            return RECORD_WRONG;
        if (!record.whole)
            return RECORD_MORE;
        id = record.id;
        if (record.type == TYPE_BEGIN) {
            pairs = (struct pairs){0}; /* those of a question are none of the request's */
            continue;
        }
        read_pairs(&pairs, record.content);
        if (record.type == TYPE_PARAMS && record.content.length > 0)
            continue;
        if (!is_between(&pairs))
            return RECORD_WRONG;
        if (record.type == TYPE_GET_VALUES)
            continue;
        *seen = (struct record_seen){pairs.nul, has_body_end(bytes)};
        return RECORD_READY;
    }
    return RECORD_MORE;
}
