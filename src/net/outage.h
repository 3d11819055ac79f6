/* Backends that could not be connected to just now: whoever wants one is told so at once for some seconds,
 * instead of waiting for what others found out. Threads share one table. */
#ifndef OM_NET_OUTAGE_H
#define OM_NET_OUTAGE_H

#include <stddef.h>
#include <stdint.h>

#include "util/text.h"

struct outages;

enum {
    OUTAGE_WORDS_SIZE = 128,
};

struct outages *outages_new(void);
void outages_free(struct outages *outages); /* NULL is allowed */

/* Connecting to the backend (scheme, host and port, in one spelling) failed for that reason. `now` is
 * clock_ms(). */
void outages_begin(struct outages *outages, struct text backend, const char *why, int64_t now);

/* It answered. */
void outages_end(struct outages *outages, struct text backend);

/* Every backend may be tried again at once. */
void outages_forget(struct outages *outages);

/* How many ms it is not to be tried yet, and in words why, and when it was; 0: it may be tried. */
int64_t outages_left(struct outages *outages, struct text backend, int64_t now,
                     char words[OUTAGE_WORDS_SIZE]);

#endif
