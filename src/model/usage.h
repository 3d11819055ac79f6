/* The relation that every answer about requests is a sum over:
 *
 *     (hour, namespace, service, type, user, country) -> count
 *
 * Lines go in and are forgotten. One key may have several rows: whoever looks at rows adds up. Strings are
 * kept once and named by numbers; number 0 is the empty string, which stands for "not known". One thread at a
 * time. */
#ifndef OM_MODEL_USAGE_H
#define OM_MODEL_USAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/text.h"

struct usage;

enum usage_type { USAGE_SYNC, USAGE_ASYNC, USAGE_EXPOSED };
enum { USAGE_TYPES = USAGE_EXPOSED + 1 };

struct usage_row {
    int32_t hour; /* whole hours since 1970, UTC */
    enum usage_type type;
    uint32_t namespace, service, user, country; /* numbers of strings */
    uint64_t count;
};

/* What one request adds to; the texts are copied. */
struct usage_event {
    int64_t hour;
    enum usage_type type;
    struct text namespace, service, user, country;
};

/* `max_bytes` caps what rows and strings may take together. */
struct usage *usage_new(size_t max_bytes);
void usage_free(struct usage *usage); /* NULL is allowed */

/* Adds `count` requests. False, and nothing is added, when that would go over the cap: the caller says
 * "partial". A string that is not UTF-8 is kept with U+FFFD for each bad byte, as Loki's JSON would bring it.
 */
bool usage_add(struct usage *usage, const struct usage_event *event, uint64_t count)
    __attribute__((warn_unused_result));

enum usage_hours { USAGE_WITH_HOURS, USAGE_WITHOUT_HOURS /* all rows are added under hour 0 */ };

/* Adds the rows of `from` with an hour from `first` to `last`. False when that would go over the cap: some of
 * them may have been added. */
bool usage_merge(struct usage *usage, const struct usage *from, int64_t first, int64_t last,
                 enum usage_hours hours) __attribute__((warn_unused_result));

/* Makes an empty usage a copy of a sealed one whose rows all have hour 0, without searching: a key that is
 * added later may get another row. False when it is not empty, or that would go over the cap: nothing has
 * happened. */
bool usage_copy(struct usage *usage, const struct usage *from) __attribute__((warn_unused_result));

/* No usage_add() and no usage_merge() into it will follow: gives back what only they need. From then on it
 * may be read by several threads. */
void usage_seal(struct usage *usage);

size_t usage_row_count(const struct usage *usage);
struct usage_row usage_row(const struct usage *usage, size_t index);
size_t usage_string_count(const struct usage *usage); /* numbers 0 to count - 1 */
/* Valid until the next usage_add() or usage_merge() into it. */
struct text usage_string(const struct usage *usage, uint32_t number);
size_t usage_bytes(const struct usage *usage); /* what it takes now */

#endif
