/* From a raw query string to a checked question. */
#ifndef OM_HTTP_QUERY_H
#define OM_HTTP_QUERY_H

#include <stdint.h>

#include "model/question.h"
#include "util/text.h"

struct arena;

struct query_rules {
    struct instant now;   /* the default of end, in whole seconds */
    int64_t max_range_ms; /* OSCAR_METRICS_MAX_RANGE */
};

/* Reads the parameters that belong to question->kind (set by the caller, with the service) into *question;
 * texts lie in the arena. NULL when all is well, else the message of the 400, the first that applies in the
 * order of the contract (section 2). */
const char *query_parse(struct arena *arena, struct text query, const struct query_rules *rules,
                        struct question *question) __attribute__((warn_unused_result));

#endif
