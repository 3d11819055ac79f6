/* The Prometheus text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/): families and samples, appended to a buffer,
 * which remembers when it is full. */
#ifndef OM_HTTP_EXPOSITION_H
#define OM_HTTP_EXPOSITION_H

#include <stdint.h>

#include "util/buf.h"
#include "util/histogram.h"

extern const char exposition_type[]; /* the Content-Type */

enum exposition_kind { EXPOSITION_COUNTER, EXPOSITION_GAUGE, EXPOSITION_HISTOGRAM };

struct exposition_label {
    const char *name, *value;
};

/* The lists of labels below end with a NULL name; NULL: there are none. */

/* The two lines before a family's samples. */
void exposition_family(struct buf *out, const char *name, enum exposition_kind kind, const char *help);

void exposition_number(struct buf *out, const char *name, const struct exposition_label *labels,
                       uint64_t value);

/* Microseconds, written as seconds; below 0 is 0. */
void exposition_seconds(struct buf *out, const char *name, const struct exposition_label *labels,
                        int64_t microseconds);

/* name_bucket (cumulative), name_sum and name_count. At most EXPOSITION_LABELS_MAX labels. */
enum { EXPOSITION_LABELS_MAX = 3 };
void exposition_histogram(struct buf *out, const char *name, const struct exposition_label *labels,
                          const struct histogram *histogram);

#endif
