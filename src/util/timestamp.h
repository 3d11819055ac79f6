/* Points in time, and the four spellings in which they come: RFC 3339, the older log lines' local time, the
 * common log format, and the compact UTC form of file names. No allocation, no locale. */
#ifndef OM_UTIL_TIMESTAMP_H
#define OM_UTIL_TIMESTAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "util/text.h"

/* Seconds since 1970-01-01T00:00:00Z (negative before) and 0 to 999,999,999 nanoseconds after them. */
struct instant {
    int64_t seconds;
    int32_t nanoseconds;
};

/* An instant and the offset from UTC, in seconds, in which somebody wrote it. */
struct timestamp {
    struct instant instant;
    int32_t offset;
};

enum { TIMESTAMP_SIZE = 48 }; /* fits every spelling below, with its NUL */

struct instant instant_now(void); /* the wall clock */
int instant_compare(struct instant a, struct instant b);
int64_t instant_hour(struct instant a); /* whole hours since 1970, rounded down */

/* RFC 3339, section 5.6, strict: upper case T and Z, an existing date, no second 60, a point and 1 to 9
 * digits as fraction, offset hours to 23 and minutes to 59. The whole text must be it. */
bool timestamp_parse(struct text text, struct timestamp *out);

/* "YYYY/MM/DD - HH:MM:SS", without a zone: to be read in the zone set by timezone_use(). */
bool timestamp_parse_gin(struct text text, struct instant *out);

/* The same for many lines in order. The C library is slow to find the offset of a local time; the one that
 * was found last holds for its quarter of an hour, on whose borders all zones change. Zeroed at first; one
 * thread at a time. */
struct timezone_cache {
    int64_t quarter, offset;
    bool filled;
};
bool timestamp_parse_gin_cached(struct text text, struct timezone_cache *cache, struct instant *out);

/* timestamp_parse() for many lines in order: of a time within the same minute as the last one, in UTC, only
 * the seconds are read. Zeroed at first; one thread at a time. */
struct minute_cache {
    char minute[17]; /* "2026-01-01T00:00:" */
    bool filled;
    int64_t seconds;
};
bool timestamp_parse_cached(struct text text, struct minute_cache *cache, struct instant *out);

/* "12/Jan/2026:10:00:00 +0000", the time of the common log format. */
bool timestamp_parse_clf(struct text text, struct instant *out);

/* RFC 3339 in the timestamp's own offset ("Z" for 0), trailing zeros of the fraction trimmed. False when the
 * year in that offset is not 0000 to 9999: RFC 3339 cannot write it. */
bool timestamp_format(struct timestamp time, char out[TIMESTAMP_SIZE]);

/* "20260101T000000Z": UTC, the fraction dropped. */
void instant_format_compact(struct instant time, char out[TIMESTAMP_SIZE]);

/* RFC 3339 in UTC, whole seconds. */
void instant_format_seconds(struct instant time, char out[TIMESTAMP_SIZE]);

/* Sets the zone of the older log lines for the whole process: call once, before threads start. False when
 * `name` is no IANA zone of this machine. The C library knows one zone a process; nothing else here uses it.
 */
bool timezone_use(const char *name);
bool timezone_exists(const char *name);

/* Milliseconds of a clock that never jumps, for deadlines. */
int64_t clock_ms(void);

/* Microseconds of the same clock, for how long something took. */
int64_t clock_us(void);

#endif
