/* Does what a PromQL template says of a range equal the sum of what it says of the range's pieces? */
#ifndef OM_SOURCES_ADDITIVE_H
#define OM_SOURCES_ADDITIVE_H

#include "util/text.h"

enum additive {
    ADDITIVE_NOT,
    ADDITIVE_INCREASE, /* pieces share the point at which they meet */
    ADDITIVE_SAMPLES,  /* the same, but a sample at that point must be in one of them alone (sum_over_time) */
};

/* Strict: what is not known to add up does not. Adds up: increase() and sum_over_time() of one selector over
 * [{{range}}], with or without an offset; sum() of that, with or without `by` and `without`; that times or
 * divided by numbers; that `or vector(0)`. Not: any other function or aggregation, a subquery, the modifier @
 * (both pieces would look at the same time), and two selectors together (where one of them has no series in a
 * piece, the other is lost). */
enum additive additive_of(struct text template);

#endif
