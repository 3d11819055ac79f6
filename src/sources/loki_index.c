/* What Loki's index says: hints of how much there is, small and seldom asked. */
#include <json-c/json.h>
#include <string.h>

#include "sources/loki_answer.h"
#include "util/json.h"

/* A number that is whole and not negative. */
static bool count_of(struct json_object *value, uint64_t *out)
{
    if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0)
        return false;
    *out = json_object_get_uint64(value);
    return true;
}

bool loki_stats_read(struct text body, struct loki_stats *out)
{
    struct json_object *answer = json_read(body);
    bool valid = count_of(json_member(answer, "bytes"), &out->bytes) &&
                 count_of(json_member(answer, "entries"), &out->entries);

    json_object_put(answer);
    return valid;
}

struct volume {
    double first, step; /* milliseconds */
    uint64_t *bytes;
    size_t count;
};

static bool size_of(struct text digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.length; i++) {
        unsigned digit = (unsigned)(digits.data[i] - '0');

        if (digit > 9 || __builtin_mul_overflow(*out, 10u, out) || __builtin_add_overflow(*out, digit, out))
            return false;
    }
    return digits.length > 0;
}

/* Samples stand at the beginning of their step (2.9) or a millisecond before its end, the last at the very
 * end (since then). */
static bool add_sample(struct json_object *sample, struct volume *volume)
{
    struct json_object *time = json_object_array_get_idx(sample, 0);
    struct text digits;
    uint64_t bytes;
    double offset; /* rounded to a millisecond when it is cut */
    size_t at;

    if (json_object_array_length(sample) != 2 ||
        (!json_object_is_type(time, json_type_int) && !json_object_is_type(time, json_type_double)) ||
        !json_string(json_object_array_get_idx(sample, 1), &digits) || !size_of(digits, &bytes))
        return false;
    offset = json_object_get_double(time) * 1000 + 0.5 - volume->first;
    if (offset < 0 || offset >= (double)volume->count * volume->step + 1)
        return true;
    at = (size_t)(offset / volume->step);
    if (at == volume->count)
        at--;
    return !__builtin_add_overflow(volume->bytes[at], bytes, &volume->bytes[at]);
}

/* "values" of a matrix; a vector, which comes when no series has more than one, has a "value". */
static bool add_series(struct json_object *series, struct volume *volume)
{
    struct json_object *samples = json_member(series, "values"), *sample = json_member(series, "value");

    if (json_object_is_type(sample, json_type_array))
        return add_sample(sample, volume);
    if (!json_object_is_type(samples, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(samples); i++) {
        sample = json_object_array_get_idx(samples, i);
        if (!json_object_is_type(sample, json_type_array) || !add_sample(sample, volume))
            return false;
    }
    return true;
}

bool loki_volume_read(struct text body, int64_t first, int64_t step, uint64_t *bytes, size_t count)
{
    struct volume volume = {(double)first * 1000, (double)step * 1000, bytes, count};
    struct json_object *answer = json_read(body), *data = json_member(answer, "data"),
                       *result = json_member(data, "result");
    struct text status = {NULL, 0};
    bool valid = json_string(json_member(answer, "status"), &status) && text_is(status, "success") &&
                 json_object_is_type(result, json_type_array);

    memset(bytes, 0, count * sizeof(*bytes));
    for (size_t i = 0; valid && i < json_object_array_length(result); i++)
        valid = add_series(json_object_array_get_idx(result, i), &volume);
    json_object_put(answer);
    return valid;
}
