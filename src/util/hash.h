/* A seeded hash for tables that strangers feed: without the seed nobody can choose strings that collide. Not
 * for anything that must be the same in two runs. */
#ifndef OM_UTIL_HASH_H
#define OM_UTIL_HASH_H

#include <stdint.h>

#include "util/text.h"

uint64_t hash_seed(void); /* random, from the kernel, the same as long as the process lives */
uint64_t hash_text(uint64_t seed, struct text text);
uint64_t hash_mix(uint64_t a, uint64_t b); /* for rows of numbers: fold one after the other */

#endif
