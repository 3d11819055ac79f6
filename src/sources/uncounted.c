/* Which results are odd, and one event for all of them. */
#include "sources/uncounted.h"

#include <inttypes.h>
#include <stdio.h>

#include "log.h"

void uncounted_log(const char *source, const uint64_t results[LOGLINE_RESULTS])
{
    static const enum logline_result odd[] = {LOGLINE_FIELDS, LOGLINE_NAMESPACE, LOGLINE_SERVICE,
                                              LOGLINE_TIME};
    enum { ODD = sizeof(odd) / sizeof(odd[0]) };
    char counts[ODD][24];
    uint64_t sum = 0;

    for (size_t i = 0; i < ODD; i++) {
        snprintf(counts[i], sizeof(counts[i]), "%" PRIu64, results[odd[i]]);
        sum += results[odd[i]];
    }
    if (sum > 0)
        log_event(LOG_INFO, "lines that do not count", "source", source, logline_result_name(odd[0]),
                  counts[0], logline_result_name(odd[1]), counts[1], logline_result_name(odd[2]), counts[2],
                  logline_result_name(odd[3]), counts[3], NULL);
}
