/* Bytes on a fresh connection: a verdict for any of them, and one that more bytes do not take back. */
#include <stdint.h>
#include <stdlib.h>

#include "http/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum record_verdict before = RECORD_MORE;
    struct record_seen seen;

    for (size_t length = 0; length <= size; length++) {
        enum record_verdict verdict = record_look((struct text){(const char *)data, length}, &seen);

        if (before != RECORD_MORE && verdict != before)
            abort();
        before = verdict;
    }
    return 0;
}
