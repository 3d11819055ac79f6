/* Any bytes as a client's address: what is taken keeps its promises. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/address.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void demand(bool holds)
{
    if (!holds)
        abort();
}

static bool same(const struct address *a, const struct address *b)
{
    return a->v6 == b->v6 && memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const unsigned char zeros[12];
    struct address address, again;
    char plain[INET6_ADDRSTRLEN], dressed[INET6_ADDRSTRLEN + 16];

    if (!address_parse((struct text){(const char *)data, size}, &address))
        return 0;
    demand(address.v6 || memcmp(address.bytes + 4, zeros, sizeof(zeros)) == 0);
    demand(inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes, plain, sizeof(plain)) != NULL);
    demand(address_parse(text_of(plain), &again) && same(&address, &again));
    snprintf(dressed, sizeof(dressed), address.v6 ? "[%s]:443" : "::ffff:%s", plain);
    demand(address_parse(text_of(dressed), &again) && same(&address, &again));
    demand(address_is_private(&address) == address_is_private(&again));
    return 0;
}
