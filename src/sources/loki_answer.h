/* What Loki answers (HTTP API: /loki/api/v1/query_range, index/stats, index/volume_range), read strictly and
 * fast: a month is 160 MB of it. Pure; any bytes. Held against recorded answers of Loki 3.7.6. */
#ifndef OM_SOURCES_LOKI_ANSWER_H
#define OM_SOURCES_LOKI_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/text.h"

struct arena;

struct loki_entry {
    int64_t time; /* nanoseconds since 1970 */
    struct text line;
    struct text country; /* of its stream; empty: not known (the contract's four labels; "unknown" is none) */
};

/* The whole body is checked before this returns: one JSON value (RFC 8259, UTF-8), `status` "success",
 * resultType "streams", labels that are strings, entries as [time, line] or [time, line, {metadata}] with
 * times from `from` to before `to`. Members may come in any order, those that matter only once. On false *why
 * says what is wrong with it, in words for an operator that hold nothing of the body. */
struct loki_answer {
    size_t entries;
    size_t warning_count; /* in `warnings` at the top, the only place where Loki puts them */
    const char *warning;  /* the first one that is text, fit for a note; NULL: none is */
};
bool loki_answer_check(struct arena *arena, struct text body, int64_t from, int64_t to,
                       struct loki_answer *out, const char **why) __attribute__((warn_unused_result));

/* Gives every entry of a body that was checked, in its order; the texts live until `take` returns. Stops, and
 * is false, when `take` is. */
typedef bool loki_take(void *context, const struct loki_entry *entry);
bool loki_answer_each(struct text body, loki_take *take, void *context) __attribute__((warn_unused_result));

/* What a refusal (a status that is not 200, its body) teaches. */
enum loki_lesson {
    LOKI_FATAL,   /* asking again will not help: credentials, a query that does not parse, no such path */
    LOKI_LATER,   /* 429, 500, 502, 503, 504: again after a pause, with less */
    LOKI_FEWER,   /* its entries limit is lower: `number` is the limit */
    LOKI_SHORTER, /* its query length is shorter: `number` is the length in nanoseconds, 0 when it does not
                     say */
};
struct loki_refusal {
    enum loki_lesson lesson;
    int64_t number;
    const char *why; /* for a note: the status, and the server's words where they are safe */
};
struct loki_refusal loki_refusal_read(struct arena *arena, long status, struct text body);

/* index/stats: {"streams":..,"chunks":..,"bytes":..,"entries":..}. False when it is nothing of the kind. */
struct loki_stats {
    uint64_t bytes, entries;
};
bool loki_stats_read(struct text body, struct loki_stats *out) __attribute__((warn_unused_result));

/* index/volume_range (a matrix or a vector: series of [seconds, "bytes"]), summed up over the series into
 * `bytes`, one number a step (count >= 1) beginning with `first` (a multiple of `step`, both in seconds);
 * steps that are not in the answer are 0, samples outside are ignored. What is in `bytes` when it is false is
 * nobody's business. */
bool loki_volume_read(struct text body, int64_t first, int64_t step, uint64_t *bytes, size_t count)
    __attribute__((warn_unused_result));

#endif
