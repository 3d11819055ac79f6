/* The rows of the one table of settings: what they are called, of what type, where they start, what they
 * mean. Only settings.c and settings_print.c look at it; everybody else asks settings.h. */
#ifndef OM_SETTINGS_TABLE_H
#define OM_SETTINGS_TABLE_H

#include <stdint.h>

#include "settings.h"

enum setting_type {
    TYPE_TEXT,
    TYPE_FLAG,
    TYPE_COUNT,
    TYPE_DURATION, /* 50s 15m 24h 400d; kept in milliseconds */
    TYPE_SIZE,     /* bytes, or 64KiB, 64MiB, 2GiB */
    TYPE_URL,      /* http or https; empty where the start is empty */
    TYPE_URLS,     /* comma-separated; may be empty */
    TYPE_CHOICE,   /* one of the words of `choices` */
    TYPE_ZONE,     /* an IANA time zone of this machine */
    TYPE_NAME,     /* a Kubernetes name */
    TYPE_LISTEN,   /* a path (with a '/') or host:port; may be empty */
};

enum {
    SETTING_REQUIRED = 1,
    SETTING_SECRET = 2,
    SETTING_FROM_FILE = 4,
    SETTING_NONE_ALLOWED = 8,
    SETTING_LOGIN = 16
};

struct setting_row {
    const char *name, *initial;
    enum setting_type type;
    unsigned flags;
    int64_t least, most;      /* of counts, durations (ms) and sizes (bytes) */
    const char *choices;      /* "visible owned" */
    const char *group, *help; /* a row with a group begins it */
};

extern const struct setting_row setting_rows[SETTING_COUNT];

#endif
