/* Times: what is read as RFC 3339 is written so that it reads back to the same instant. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/timestamp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text text = {(const char *)data, size};
    struct timestamp time, again;
    struct instant other;
    char written[TIMESTAMP_SIZE];

    if (timestamp_parse(text, &time) &&
        (!timestamp_format(time, written) || !timestamp_parse(text_of(written), &again) ||
         instant_compare(time.instant, again.instant) != 0 || time.offset != again.offset))
        abort();
    /* As the second line of a minute it must be read as if it were the first. */
    if (size > 17) {
        struct minute_cache cache = {.filled = true, .seconds = 1777629600};
        const bool valid = timestamp_parse(text, &time);

        memcpy(cache.minute, "2026-05-01T10:00:", 17);
        if (timestamp_parse_cached(text, &cache, &other) != valid ||
            (valid && instant_compare(other, time.instant) != 0))
            abort();
    }
    if (timestamp_parse_clf(text, &other))
        instant_format_compact(other, written);
    if (timestamp_parse_gin(text, &other))
        instant_format_seconds(other, written);
    return 0;
}
