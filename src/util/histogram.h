/* How long things took, in the buckets of all time histograms. Whoever owns one locks it: a copy taken under
 * the lock is consistent, the sum of its buckets is the number of things. */
#ifndef OM_UTIL_HISTOGRAM_H
#define OM_UTIL_HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS = 14 };

struct histogram {
    /* Not cumulative: [i] took at most bound i and longer than the one before; the last, longer than all. */
    uint64_t counts[HISTOGRAM_BOUNDS + 1];
    uint64_t sum; /* microseconds */
};

void histogram_add(struct histogram *histogram, int64_t microseconds); /* below 0 counts as 0 */

/* A bound as it is written, in seconds; "+Inf" for HISTOGRAM_BOUNDS. */
const char *histogram_bound(size_t bucket);

#endif
