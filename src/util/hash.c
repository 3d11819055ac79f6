/* Multiply and fold, sixteen bytes at a time, keyed by a random seed. */
#include "util/hash.h"

#include <string.h>
#include <sys/random.h>

#include "util/timestamp.h"

__extension__ typedef unsigned __int128 wide;

uint64_t hash_mix(uint64_t a, uint64_t b)
{
    wide product = (wide)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xc2b2ae3d27d4eb4fu);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_seed(void)
{
    uint64_t seed;

    if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
        seed = (uint64_t)clock_ms();
    return seed;
}

static uint64_t word_at(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

uint64_t hash_text(uint64_t seed, struct text text)
{
    uint64_t hash = seed ^ text.length, last[2] = {0, 0};
    const char *p = text.data;
    size_t left = text.length;

    for (; left > 16; p += 16, left -= 16)
        hash = hash_mix(hash ^ word_at(p), seed ^ word_at(p + 8));
    if (left)
        memcpy(last, p, left);
    return hash_mix(hash ^ last[0], seed ^ last[1]);
}
