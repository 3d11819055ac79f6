/* logfmt on standard error, one line at a time. */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "caps.h"
#include "util/buf.h"
#include "util/timestamp.h"

static const char *const level_names[] = {
    [LOG_INFO] = "info",
    [LOG_WARNING] = "warning",
    [LOG_ERROR] = "error",
};

static bool is_plain(const char *value)
{
    for (const char *p = value; *p; p++)
        if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f || *p == '"' || *p == '=' || *p == '\\')
            return false;
    return *value != '\0';
}

static void add_value(struct buf *line, const char *value)
{
    size_t length = strnlen(value, LOG_VALUE_MAX_BYTES + 1);

    if (length <= LOG_VALUE_MAX_BYTES && is_plain(value)) {
        buf_add_string(line, value);
        return;
    }
    buf_add_char(line, '"');
    for (const char *p = value; *p && p < value + LOG_VALUE_MAX_BYTES; p++) {
        unsigned char c = (unsigned char)*p;

        if (c == '"' || c == '\\')
            buf_format(line, "\\%c", c);
        else if (c < ' ' || c >= 0x7f)
            buf_format(line, "\\x%02x", c);
        else
            buf_add_char(line, *p);
    }
    buf_add_string(line, length > LOG_VALUE_MAX_BYTES ? "...\"" : "\"");
}

static void begin(struct buf *line, enum log_level level, const char *message)
{
    char now[TIMESTAMP_SIZE];

    instant_format_seconds(instant_now(), now);
    buf_init(line, LOG_LINE_MAX_BYTES);
    buf_format(line, "time=%s level=%s msg=", now, level_names[level]);
    add_value(line, message);
}

static void add_pair(struct buf *line, const char *key, const char *value)
{
    buf_format(line, " %s=", key);
    add_value(line, value ? value : "");
}

/* A pipe may take a part, and another thread's line behind it: a client's value would then begin a line. */
static void write_all(struct text line)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

    pthread_mutex_lock(&turn);
    while (line.length > 0) {
        ssize_t written = write(STDERR_FILENO, line.data, line.length);

        if (written >= 0)
            line = text_skip(line, (size_t)written);
        else if (errno == EAGAIN)
            poll(&(struct pollfd){.fd = STDERR_FILENO, .events = POLLOUT}, 1, -1);
        else if (errno != EINTR)
            break; /* standard error is gone: there is nowhere left to say so */
    }
    pthread_mutex_unlock(&turn);
}

static void end(struct buf *line)
{
    line->limit += 1; /* the line end always fits */
    buf_add_char(line, '\n');
    write_all(buf_text(line));
    buf_free(line);
}

void log_event(enum log_level level, const char *message, ...)
{
    struct buf line;
    const char *key;
    va_list pairs;

    begin(&line, level, message);
    va_start(pairs, message);
    while ((key = va_arg(pairs, const char *)) != NULL)
        add_pair(&line, key, va_arg(pairs, const char *));
    va_end(pairs);
    end(&line);
}

void log_pairs(enum log_level level, const char *message, const struct log_pair *pairs, size_t count)
{
    struct buf line;

    begin(&line, level, message);
    for (size_t i = 0; i < count; i++)
        add_pair(&line, pairs[i].key, pairs[i].value);
    end(&line);
}
