/* Who is making what others want too: a table of keys, each held by one at most, for what is then kept in a
 * cache. Nobody blocks here: whoever finds a key taken does something else, is woken when any key is let go,
 * and then looks into the cache and tries again. */
#ifndef OM_UTIL_CLAIMS_H
#define OM_UTIL_CLAIMS_H

#include <stdbool.h>

#include "util/text.h"

struct claims;
struct claim;

/* Somebody who wants to hear of keys that are let go. In the listener's own memory; zeroed but for the two.
 */
struct claims_listener {
    void (*wake)(void *context); /* from any thread, under the table's lock: must not call claims_... */
    void *context;
    struct claims_listener *next, *prev;
};

struct claims *claims_new(void);
void claims_free(struct claims *claims); /* nobody holds or listens any more; NULL is allowed */

/* Listen before you try: a key that is let go in between is heard of. */
void claims_listen(struct claims *claims, struct claims_listener *listener);
void claims_unlisten(struct claims *claims, struct claims_listener *listener);

/* The key is the caller's until claims_release(); NULL: somebody holds it. The key is copied. */
struct claim *claims_take(struct claims *claims, struct text key) __attribute__((warn_unused_result));

/* Whether what was wanted is now in the cache or not: those who wait find out. All listeners are woken. */
void claims_release(struct claims *claims, struct claim *claim);

#endif
