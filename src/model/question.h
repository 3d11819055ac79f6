/* What was asked, checked: nothing behind this point looks at a query string again. */
#ifndef OM_MODEL_QUESTION_H
#define OM_MODEL_QUESTION_H

#include <stdbool.h>

#include "util/text.h"
#include "util/timestamp.h"

enum report_kind { REPORT_SUMMARY, REPORT_BREAKDOWN, REPORT_SERVICE, REPORT_OWNERS };
enum group_by { GROUP_BY_SERVICE, GROUP_BY_USER, GROUP_BY_COUNTRY };
enum report_format { FORMAT_JSON, FORMAT_CSV };

/* The metrics of one service, in the order in which they are answered when none was named. */
enum metric {
    METRIC_CPU_HOURS,
    METRIC_GPU_HOURS,
    METRIC_REQUESTS_SYNC,
    METRIC_REQUESTS_ASYNC,
    METRIC_REQUESTS_EXPOSED,
    METRIC_USERS,
    METRIC_ALL, /* none was named: all of the above */
};
enum { METRIC_COUNT = METRIC_ALL };

struct question {
    enum report_kind kind;
    struct timestamp start, end; /* both inclusive, to the nanosecond, in the offset that the client used */
    struct text service;         /* REPORT_SERVICE: a DNS-1123 name */
    enum metric metric;          /* REPORT_SERVICE */
    enum group_by group_by;      /* REPORT_BREAKDOWN */
    enum report_format format;   /* REPORT_BREAKDOWN */
    bool include_users;          /* REPORT_BREAKDOWN */
    struct text owner;           /* empty: everybody's */
};

#endif
