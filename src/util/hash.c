/* Multiply and fold, sixteen bytes at a time, keyed by a random seed. */
#include "util/hash.h"

#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

__extension__ typedef unsigned __int128 wide;

uint64_t hash_mix(uint64_t a, uint64_t b)
{
    wide product = (wide)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xc2b2ae3d27d4eb4fu);

    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t word_at(const char *p)
{
    uint64_t word;

    memcpy(&word, p, sizeof(word));
    return word;
}

uint64_t hash_seed(void)
{
    const char *random = (const char *)getauxval(AT_RANDOM); /* 16 bytes that every process is given */

    return random ? hash_mix(word_at(random), word_at(random + 8)) : (uint64_t)getpid();
}

/* Up to sixteen bytes as two words, from both ends; they may overlap, for the length is in the hash. */
static void last_words(const char *p, size_t length, uint64_t words[2])
{
    if (length >= 8) {
        words[0] = word_at(p);
        words[1] = word_at(p + length - 8);
        return;
    }
    words[0] = words[1] = 0;
    for (size_t i = 0; i < length; i++)
        words[0] = words[0] << 8 | (unsigned char)p[i];
}

uint64_t hash_text(uint64_t seed, struct text text)
{
    uint64_t hash = seed ^ text.length, last[2];
    const char *p = text.data;
    size_t left = text.length;

    for (; left > 16; p += 16, left -= 16)
        hash = hash_mix(hash ^ word_at(p), seed ^ word_at(p + 8));
    last_words(p, left, last);
    return hash_mix(hash ^ last[0], seed ^ last[1]);
}
