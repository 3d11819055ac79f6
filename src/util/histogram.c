/* The bounds: from what needs no backend to the deadline of a request. */
#include "util/histogram.h"

static const struct {
    int64_t microseconds;
    const char *seconds;
} bounds[HISTOGRAM_BOUNDS + 1] = {
    {1000, "0.001"}, {5000, "0.005"},  {10000, "0.01"},  {25000, "0.025"}, {50000, "0.05"},
    {100000, "0.1"}, {250000, "0.25"}, {500000, "0.5"},  {1000000, "1"},   {2500000, "2.5"},
    {5000000, "5"},  {10000000, "10"}, {25000000, "25"}, {50000000, "50"}, {INT64_MAX, "+Inf"},
};

void histogram_add(struct histogram *histogram, int64_t microseconds)
{
    size_t bucket = 0;

    if (microseconds < 0)
        microseconds = 0;
    while (microseconds > bounds[bucket].microseconds)
        bucket++;
    histogram->counts[bucket]++;
    histogram->sum += (uint64_t)microseconds;
}

const char *histogram_bound(size_t bucket)
{
    return bounds[bucket].seconds;
}
