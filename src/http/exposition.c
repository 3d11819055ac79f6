/* All figures are whole numbers, of things or of microseconds: none goes through a double. */
#include "http/exposition.h"

#include <inttypes.h>
#include <stdio.h>

const char exposition_type[] = "text/plain; version=0.0.4; charset=utf-8";

static const char *const kind_names[] = {
    [EXPOSITION_COUNTER] = "counter",
    [EXPOSITION_GAUGE] = "gauge",
    [EXPOSITION_HISTOGRAM] = "histogram",
};

/* Line ends and backslashes; within a label's value also quotes. */
static void add_escaped(struct buf *out, const char *text, bool quotes)
{
    for (; *text; text++) {
        if (*text == '\n')
            buf_add_string(out, "\\n");
        else if (*text == '\\' || (quotes && *text == '"'))
            buf_format(out, "\\%c", *text);
        else
            buf_add_char(out, *text);
    }
}

void exposition_family(struct buf *out, const char *name, enum exposition_kind kind, const char *help)
{
    buf_format(out, "# HELP %s ", name);
    add_escaped(out, help, false);
    buf_format(out, "\n# TYPE %s %s\n", name, kind_names[kind]);
}

static void add_series(struct buf *out, const char *name, const char *suffix,
                       const struct exposition_label *labels)
{
    char before = '{';

    buf_format(out, "%s%s", name, suffix);
    for (; labels && labels->name; labels++) {
        buf_format(out, "%c%s=\"", before, labels->name);
        add_escaped(out, labels->value, true);
        buf_add_char(out, '"');
        before = ',';
    }
    buf_add_string(out, before == ',' ? "} " : " ");
}

static void add_seconds(struct buf *out, uint64_t microseconds)
{
    enum { DIGITS = 6 };
    char fraction[DIGITS + 1];
    int length = DIGITS;

    snprintf(fraction, sizeof(fraction), "%06u", (unsigned)(microseconds % 1000000));
    while (length > 0 && fraction[length - 1] == '0')
        length--;
    buf_format(out, "%" PRIu64 "%s%.*s\n", microseconds / 1000000, length > 0 ? "." : "", length, fraction);
}

void exposition_number(struct buf *out, const char *name, const struct exposition_label *labels,
                       uint64_t value)
{
    add_series(out, name, "", labels);
    buf_format(out, "%" PRIu64 "\n", value);
}

void exposition_seconds(struct buf *out, const char *name, const struct exposition_label *labels,
                        int64_t microseconds)
{
    add_series(out, name, "", labels);
    add_seconds(out, microseconds > 0 ? (uint64_t)microseconds : 0);
}

void exposition_histogram(struct buf *out, const char *name, const struct exposition_label *labels,
                          const struct histogram *histogram)
{
    struct exposition_label all[EXPOSITION_LABELS_MAX + 2] = {{NULL, NULL}};
    uint64_t total = 0;
    size_t count = 0;

    for (; labels && labels[count].name && count < EXPOSITION_LABELS_MAX; count++)
        all[count] = labels[count];
    for (size_t i = 0; i <= HISTOGRAM_BOUNDS; i++) {
        total += histogram->counts[i];
        all[count] = (struct exposition_label){"le", histogram_bound(i)};
        add_series(out, name, "_bucket", all);
        buf_format(out, "%" PRIu64 "\n", total);
    }
    all[count] = (struct exposition_label){NULL, NULL};
    add_series(out, name, "_sum", all);
    add_seconds(out, histogram->sum);
    add_series(out, name, "_count", all);
    buf_format(out, "%" PRIu64 "\n", total);
}
