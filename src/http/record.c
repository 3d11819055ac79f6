/* Records: version, type, request id (2), content length (2), padding length, reserved; then content and
 * padding. */
#include "http/record.h"

enum { HEADER_BYTES = 8, VERSION = 1, TYPE_BEGIN = 1, TYPE_ABORT = 2, TYPE_PARAMS = 4 };

enum record_verdict record_look(struct text bytes)
{
    bool begun = false;

    while (bytes.length >= HEADER_BYTES) {
        const unsigned char *header = (const unsigned char *)bytes.data;
        size_t content = (size_t)header[4] << 8 | header[5], whole = HEADER_BYTES + content + header[6];
        unsigned id = (unsigned)header[2] << 8 | header[3];

        if (header[0] != VERSION)
            return RECORD_WRONG;
        if (id != 0 && header[1] == TYPE_BEGIN)
            begun = true;
        else if (id != 0 && !begun)
            return RECORD_WRONG;
        if (id != 0 && header[1] == TYPE_ABORT)
            return RECORD_WRONG;
        if (id != 0 && header[1] == TYPE_PARAMS && content == 0)
            return RECORD_READY;
        if (bytes.length < whole)
            return RECORD_MORE;
        bytes = text_skip(bytes, whole);
    }
    return RECORD_MORE;
}
