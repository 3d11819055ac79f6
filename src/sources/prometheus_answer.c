/* The answer of /api/v1/query as one number. Whatever is not that number, or not all of it, becomes a note.
 */
#include "caps.h"
#include "sources/prometheus.h"

#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>

#include "sources/note.h"
#include "util/json.h"

struct sum {
    double value;
    size_t left_out; /* samples that are no finite number */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t skip_digits(struct text text, size_t at)
{
    while (at < text.length && is_digit(text.data[at]))
        at++;
    return at;
}

/* A decimal number as Prometheus prints it: nothing of what strtod() also takes (hexadecimal, white space,
 * "nan"). */
static bool is_decimal(struct text text)
{
    size_t at = text.length > 0 && text.data[0] == '-', start = at;

    at = skip_digits(text, at);
    if (at == start)
        return false;
    if (at < text.length && text.data[at] == '.') {
        start = ++at;
        at = skip_digits(text, at);
        if (at == start)
            return false;
    }
    if (at < text.length && (text.data[at] == 'e' || text.data[at] == 'E')) {
        at++;
        if (at < text.length && (text.data[at] == '+' || text.data[at] == '-'))
            at++;
        start = at;
        at = skip_digits(text, at);
        if (at == start)
            return false;
    }
    return at == text.length;
}

static bool is_no_number(struct text text)
{
    return text_is(text, "NaN") || text_is(text, "+Inf") || text_is(text, "-Inf") || text_is(text, "Inf");
}

/* A sample is [time, "number"]. */
static bool add_sample(struct json_object *sample, struct sum *sum)
{
    struct text text;
    double value;

    if (!json_object_is_type(sample, json_type_array) || json_object_array_length(sample) != 2 ||
        !json_string(json_object_array_get_idx(sample, 1), &text))
        return false;
    if (is_no_number(text)) {
        sum->left_out++;
        return true;
    }
    if (!is_decimal(text))
        return false;
    value = strtod(text.data, NULL); /* json-c ends its strings with a NUL */
    if (isfinite(value))
        sum->value += value;
    else
        sum->left_out++;
    return true;
}

/* The last of a series' samples; a series without any adds nothing. */
static bool add_series(struct json_object *series, struct sum *sum)
{
    struct json_object *samples = json_member(series, "values");
    size_t count;

    if (json_member(series, "histograms") || !json_object_is_type(samples, json_type_array))
        return false;
    count = json_object_array_length(samples);
    return count == 0 || add_sample(json_object_array_get_idx(samples, count - 1), sum);
}

static bool add_result(struct text type, struct json_object *result, struct sum *sum)
{
    bool vector = text_is(type, "vector");

    if (text_is(type, "scalar"))
        return add_sample(result, sum);
    if ((!vector && !text_is(type, "matrix")) || !json_object_is_type(result, json_type_array))
        return false;
    for (size_t i = 0; i < json_object_array_length(result); i++) {
        struct json_object *item = json_object_array_get_idx(result, i);

        if (!(vector ? add_sample(json_member(item, "value"), sum) : add_series(item, sum)))
            return false;
    }
    return true;
}

static void note_warnings(struct json_object *answer, const char *what, struct source_status *status)
{
    struct json_object *warnings = json_member(answer, "warnings");
    struct text words;

    if (!json_object_is_type(warnings, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(warnings); i++)
        if (json_string(json_object_array_get_idx(warnings, i), &words))
            status_note(status, STATUS_PARTIAL, "%s query: warning: %s", what,
                        note_words(status->arena, words, NOTE_WORDS_MAX_BYTES));
        else
            status_note(status, STATUS_PARTIAL, "%s query: a warning", what);
}

/* What a status means whatever stands in the body: proxies have words of their own. */
static enum prometheus_result result_of_status(long http_status)
{
    switch (http_status) {
    case 504:
        return PROMETHEUS_TOO_MUCH;
    case 429:
    case 502:
    case 503:
        return PROMETHEUS_BUSY;
    default:
        return PROMETHEUS_FAILED;
    }
}

static bool has_words(struct text text, const char *words)
{
    return text.length > 0 && memmem(text.data, text.length, words, strlen(words)) != NULL;
}

/* What Prometheus says of itself (promql/engine.go, web/api/v1): 422 for too many samples, 503 of type
 * "timeout" for a query that ran, or waited in its queue, for too long. The storage may run into the same
 * timeout and then says so in words of its own. */
static enum prometheus_result result_of_error(struct text type, struct text words, long http_status)
{
    if (has_words(words, "query timed out in query queue"))
        return PROMETHEUS_BUSY;
    if (text_is(type, "timeout") || has_words(words, "query processing would load too many samples") ||
        has_words(words, "context deadline exceeded"))
        return PROMETHEUS_TOO_MUCH;
    return result_of_status(http_status);
}

static enum prometheus_result read_error(struct json_object *answer, long http_status, const char *what,
                                         struct source_status *status)
{
    struct text type = {NULL, 0}, words = {NULL, 0};
    const char *kind = "error", *message = "no reason given";

    if (json_string(json_member(answer, "errorType"), &type) && type.length > 0)
        kind = note_words(status->arena, type, NOTE_WORDS_MAX_BYTES / 4);
    if (json_string(json_member(answer, "error"), &words) && words.length > 0)
        message = note_words(status->arena, words, NOTE_WORDS_MAX_BYTES);
    if (http_status == 200)
        status_note(status, STATUS_PARTIAL, "%s query: %s: %s", what, kind, message);
    else
        status_note(status, STATUS_PARTIAL, "%s query: HTTP %ld: %s: %s", what, http_status, kind, message);
    return result_of_error(type, words, http_status);
}

static bool read_success(struct json_object *answer, const char *what, double *value,
                         struct source_status *status)
{
    struct json_object *data = json_member(answer, "data");
    struct sum sum = {0, 0};
    struct text type;

    note_warnings(answer, what, status);
    if (!json_string(json_member(data, "resultType"), &type)) {
        status_note(status, STATUS_PARTIAL, "%s query: the answer has no result", what);
        return false;
    }
    if (!add_result(type, json_member(data, "result"), &sum)) {
        status_note(status, STATUS_PARTIAL, "%s query: the result is no number (%s)", what,
                    note_words(status->arena, type, NOTE_WORDS_MAX_BYTES / 4));
        return false;
    }
    if (!isfinite(sum.value)) {
        status_note(status, STATUS_PARTIAL, "%s query: the sum is too large", what);
        return false;
    }
    if (sum.left_out > 0)
        status_note(status, STATUS_PARTIAL, "%s query: samples left out that are NaN or infinite: %zu", what,
                    sum.left_out);
    *value = sum.value;
    return true;
}

enum prometheus_result prometheus_read(struct text body, long http_status, const char *what, double *value,
                                       struct source_status *status)
{
    struct json_object *answer = json_read(body);
    struct text word = {NULL, 0};
    enum prometheus_result result = PROMETHEUS_FAILED;

    json_string(json_member(answer, "status"), &word);
    if (text_is(word, "error")) {
        result = read_error(answer, http_status, what, status);
    } else if (http_status != 200) {
        status_note(status, STATUS_PARTIAL, "%s query: HTTP %ld%s", what, http_status,
                    http_status >= 300 && http_status < 400 ? ": redirects are not followed" : "");
        result = result_of_status(http_status);
    } else if (!text_is(word, "success")) {
        status_note(status, STATUS_PARTIAL, "%s query: the answer is not Prometheus' JSON", what);
    } else if (read_success(answer, what, value, status)) {
        result = PROMETHEUS_VALUE;
    }
    json_object_put(answer);
    return result;
}
