/* Any bytes as an answer of Prometheus: the value is finite, and whatever is not a whole answer has a note
 * that can stand in JSON. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "sources/prometheus.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *arena = arena_new();
    struct source_status status;
    double value = 0;
    bool success;

    status_init(&status, arena, "prometheus");
    success = prometheus_read((struct text){(const char *)data, size}, 200, "CPU", &value, &status) ==
              PROMETHEUS_VALUE;
    if (!isfinite(value) || (!success && (value != 0 || status.note_count == 0)))
        abort();
    if (status.note_count > 0 && !text_is_utf8(text_of(status_notes(&status))))
        abort();
    arena_free(arena);
    return 0;
}
