/* From the environment and secrets' files to a snapshot. */
#include "settings.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps.h"
#include "log.h"
#include "settings_table.h"
#include "util/memory.h"
#include "util/text.h"
#include "util/timestamp.h"

/* A shorter key could be found by trying, by who knows an id and its pseudonym. */
enum { PSEUDONYM_KEY_MIN_BYTES = 32 };

enum { VARIABLE_SIZE = 128 }; /* fits every name of the table, and "_FILE" */

/* A secret's file as it was when it was read. */
struct origin {
    char *path; /* NULL: the value came from elsewhere */
    struct stat seen;
};

struct settings {
    atomic_int holders;
    char *text[SETTING_COUNT];
    int64_t number[SETTING_COUNT]; /* also flags */
    bool given[SETTING_COUNT];
    struct origin origin[SETTING_COUNT];
};

/* What reading needs, passed along. */
struct reading {
    settings_lookup *lookup;
    void *context;
    FILE *faults;
    struct settings *settings;
    bool skip_login, failed;
};

static void fault(struct reading *reading, const char *name, const char *what)
{
    reading->failed = true;
    if (reading->faults)
        fprintf(reading->faults, "%s: %s\n", name, what);
}

const char *settings_environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

/* Plain digits, within int64. */
static bool take_digits(struct text *text, int64_t *out)
{
    size_t i = 0;

    *out = 0;
    for (; i < text->length && text->data[i] >= '0' && text->data[i] <= '9'; i++)
        if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, text->data[i] - '0', out))
            return false;
    *text = text_skip(*text, i);
    return i > 0;
}

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0}};
static const struct unit size_units[] = {
    {"", 1}, {"B", 1}, {"KiB", 1024}, {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024}, {NULL, 0}};
static const struct unit count_units[] = {{"", 1}, {NULL, 0}};

static bool parse_number(struct text text, const struct unit *units, int64_t *out)
{
    if (!take_digits(&text, out))
        return false;
    for (; units->name; units++)
        if (text_is(text, units->name))
            return !__builtin_mul_overflow(*out, units->factor, out);
    return false;
}

static bool parse_flag(struct text text, int64_t *out)
{
    *out = text_is_nocase(text, "true") || text_is(text, "1");
    return *out || text_is_nocase(text, "false") || text_is(text, "0");
}

static bool is_choice(const char *choices, const char *value)
{
    struct text rest = text_of(choices);

    while (rest.data)
        if (text_is(text_cut(&rest, ' '), value))
            return true;
    return false;
}

static bool is_url(struct text rest)
{
    if (text_starts(rest, "http://"))
        rest = text_skip(rest, 7);
    else if (text_starts(rest, "https://"))
        rest = text_skip(rest, 8);
    else
        return false;
    for (size_t i = 0; i < rest.length; i++)
        if ((unsigned char)rest.data[i] <= ' ' || rest.data[i] == 0x7f)
            return false;
    return rest.length > 0 && rest.data[0] != '/';
}

/* Issuers (OpenID Connect Core 1.0, section 2) have neither query nor fragment; and nothing secret may be in
 * them, for the log names them. */
static bool are_issuers(struct text list)
{
    struct text piece;

    while (text_next(&list, &piece))
        if (!is_url(piece) || memchr(piece.data, '@', piece.length) ||
            memchr(piece.data, '?', piece.length) || memchr(piece.data, '#', piece.length))
            return false;
    return true;
}

static bool is_listen(const char *value)
{
    const char *colon = strrchr(value, ':');
    struct text port = text_of(colon ? colon + 1 : NULL);
    int64_t number;

    if (value[0] == '\0' || strchr(value, '/'))
        return true;
    return take_digits(&port, &number) && port.length == 0 && number >= 1 && number <= 65535;
}

/* Checks one value and sets its number; NULL when it is fine, else what is wrong. */
static const char *check(const struct setting_row *row, const char *value, int64_t *number)
{
    struct text text = text_of(value);

    switch (row->type) {
    case TYPE_TEXT:
        return NULL;
    case TYPE_FLAG:
        return parse_flag(text, number) ? NULL : "is neither true nor false";
    case TYPE_COUNT:
        return parse_number(text, count_units, number) ? NULL : "is not a whole number";
    case TYPE_DURATION:
        return parse_number(text, duration_units, number) ? NULL
                                                          : "is not a duration such as 50s, 15m, 24h or 400d";
    case TYPE_SIZE:
        return parse_number(text, size_units, number) ? NULL : "is not a size such as 64MiB";
    case TYPE_URL:
        if (is_url(text) || (text.length == 0 && row->initial[0] == '\0') ||
            ((row->flags & SETTING_NONE_ALLOWED) && text_is(text, "none")))
            return NULL;
        return "is not an http or https URL";
    case TYPE_URLS:
        return are_issuers(text) ? NULL
                                 : "is not a comma-separated list of issuers (http or https URLs alone)";
    case TYPE_CHOICE:
        return is_choice(row->choices, value) ? NULL : "is not one of its words (see --help)";
    case TYPE_ZONE:
        return timezone_exists(value) ? NULL : "is not a time zone of this machine";
    case TYPE_NAME:
        return text_is_dns_name(text) ? NULL : "is not a Kubernetes name";
    case TYPE_LISTEN:
        return is_listen(value) ? NULL : "is neither a socket's path nor host:port";
    }
    return "has no type";
}

/* Ends what was read of a secret's file before its line end. NULL, or why it is no secret. */
static const char *refuse_secret(char *data, ssize_t length, ssize_t got)
{
    if (got < 0)
        return "its file cannot be read";
    if (length > SETTINGS_SECRET_MAX_BYTES)
        return "its file is larger than 64 KiB";
    if (length > 0 && data[length - 1] == '\n')
        length--;
    if (length > 0 && data[length - 1] == '\r')
        length--;
    data[length] = '\0';
    return length == 0 || strlen(data) != (size_t)length ? "its file is empty or holds a NUL" : NULL;
}

/* Reads a secret's file: the whole of it but one line end. NULL: *why says the reason. */
static char *read_secret(struct origin *origin, const char **why)
{
    int fd = open(origin->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    char *data = NULL;
    ssize_t length = 0, got = 1;

    *why = "its file cannot be read";
    if (fd < 0)
        return NULL;
    if (fstat(fd, &origin->seen) != 0 || !S_ISREG(origin->seen.st_mode))
        goto out;
    data = memory_new(SETTINGS_SECRET_MAX_BYTES + 2, 1);
    while (length <= SETTINGS_SECRET_MAX_BYTES &&
           (got = read(fd, data + length, (size_t)(SETTINGS_SECRET_MAX_BYTES + 1 - length))) > 0)
        length += got;
    *why = refuse_secret(data, length, got);
    if (*why) {
        explicit_bzero(data, SETTINGS_SECRET_MAX_BYTES + 2);
        free(data);
        data = NULL;
    }
out:
    close(fd);
    return data;
}

static void read_from_file(struct reading *reading, enum setting setting)
{
    const struct setting_row *row = &setting_rows[setting];
    struct settings *s = reading->settings;
    const char *path, *why;
    char name[VARIABLE_SIZE];

    snprintf(name, sizeof(name), "%s_FILE", row->name);
    path = reading->lookup(reading->context, name);
    if (path == NULL || path[0] == '\0')
        return;
    if (s->given[setting]) {
        fault(reading, name, "is set beside the variable itself: one of the two");
        return;
    }
    s->origin[setting].path = memory_copy(path, strlen(path));
    free(s->text[setting]);
    s->text[setting] = read_secret(&s->origin[setting], &why);
    s->given[setting] = true;
    if (s->text[setting] == NULL)
        fault(reading, name, why);
}

static void read_one(struct reading *reading, enum setting setting)
{
    const struct setting_row *row = &setting_rows[setting];
    struct settings *s = reading->settings;
    bool skipped = reading->skip_login && (row->flags & SETTING_LOGIN);
    const char *value, *wrong;

    value = skipped ? NULL : reading->lookup(reading->context, row->name);
    /* An empty variable is one that is not set, as it is for OSCAR's own. */
    s->given[setting] = value && value[0];
    value = s->given[setting] ? value : row->initial;
    s->text[setting] = memory_copy(value, strlen(value));
    if ((row->flags & SETTING_FROM_FILE) && !skipped)
        read_from_file(reading, setting);
    if (s->text[setting] == NULL)
        return;
    if ((row->flags & SETTING_REQUIRED) && !skipped && s->text[setting][0] == '\0') {
        fault(reading, row->name, "is required and not set");
        return;
    }
    wrong = check(row, s->text[setting], &s->number[setting]);
    if (wrong == NULL && row->most > 0 && (s->number[setting] < row->least || s->number[setting] > row->most))
        wrong = "is out of its bounds";
    if (wrong)
        fault(reading, row->name, wrong);
}

/* Of "name:password". */
static size_t login_length(const struct settings *s)
{
    const char *name = s->text[OSCAR_USERNAME], *password = s->text[OSCAR_PASSWORD];

    return (name ? strlen(name) : 0) + 1 + (password ? strlen(password) : 0);
}

/* What one row alone cannot know. */
static void check_together(struct reading *reading)
{
    struct settings *s = reading->settings;

    if (s->text[OSCAR_USERNAME] && strchr(s->text[OSCAR_USERNAME], ':'))
        fault(reading, "OSCAR_USERNAME", "holds a colon, which HTTP Basic cannot carry in a name");
    if (login_length(s) > BASIC_CREDENTIALS_MAX_BYTES)
        fault(reading, "OSCAR_PASSWORD",
              "is more than 8 KiB together with OSCAR_USERNAME: nobody could log in");
    if (s->number[OSCAR_METRICS_PSEUDONYMS] && s->text[OSCAR_METRICS_PSEUDONYM_KEY] &&
        strlen(s->text[OSCAR_METRICS_PSEUDONYM_KEY]) < PSEUDONYM_KEY_MIN_BYTES)
        fault(reading, "OSCAR_METRICS_PSEUDONYM_KEY",
              "is required with OSCAR_METRICS_PSEUDONYMS, and wants 32 bytes or more");
    if (!s->given[LOKI_EXPOSED_QUERY] && s->number[EXPOSED_SERVICES_USE_SUBDOMAIN_ROUTE]) {
        static const char without_path[] = "{namespace=\"{{namespace}}\", app=\"{{app}}\"}";

        free(s->text[LOKI_EXPOSED_QUERY]);
        s->text[LOKI_EXPOSED_QUERY] = memory_copy(without_path, strlen(without_path));
    }
}

static struct settings *read_all(struct reading *reading)
{
    reading->settings = memory_new(1, sizeof(struct settings));
    atomic_init(&reading->settings->holders, 1);
    for (size_t i = 0; i < SETTING_COUNT; i++)
        read_one(reading, (enum setting)i);
    check_together(reading);
    if (!reading->failed)
        return reading->settings;
    settings_release(reading->settings);
    return NULL;
}

struct settings *settings_read(settings_lookup *lookup, void *context, FILE *faults)
{
    return read_all(&(struct reading){.lookup = lookup, .context = context, .faults = faults});
}

struct settings *settings_read_without_login(settings_lookup *lookup, void *context, FILE *faults)
{
    return read_all(
        &(struct reading){.lookup = lookup, .context = context, .faults = faults, .skip_login = true});
}

struct settings *settings_hold(struct settings *settings)
{
    atomic_fetch_add(&settings->holders, 1);
    return settings;
}

void settings_release(struct settings *settings)
{
    if (settings == NULL || atomic_fetch_sub(&settings->holders, 1) > 1)
        return;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (settings->text[i])
            explicit_bzero(settings->text[i], strlen(settings->text[i]));
        free(settings->text[i]);
        free(settings->origin[i].path);
    }
    free(settings);
}

static void must_be(bool right, enum setting setting)
{
    if (right)
        return;
    log_event(LOG_ERROR, "a setting was asked for by the wrong type", "setting", setting_rows[setting].name,
              NULL);
    abort();
}

const char *settings_text(const struct settings *settings, enum setting setting)
{
    return settings->text[setting];
}

bool settings_flag(const struct settings *settings, enum setting setting)
{
    must_be(setting_rows[setting].type == TYPE_FLAG, setting);
    return settings->number[setting] != 0;
}

int64_t settings_number(const struct settings *settings, enum setting setting)
{
    enum setting_type type = setting_rows[setting].type;

    must_be(type == TYPE_COUNT || type == TYPE_DURATION || type == TYPE_SIZE, setting);
    return settings->number[setting];
}

const char *settings_origin(const struct settings *settings, enum setting setting)
{
    if (settings->origin[setting].path)
        return settings->origin[setting].path;
    return settings->given[setting] ? "environment" : "default";
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool settings_stale(const struct settings *settings)
{
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        const struct origin *origin = &settings->origin[i];
        struct stat now;

        if (origin->path && (stat(origin->path, &now) != 0 || !same_file(&now, &origin->seen)))
            return true;
    }
    return false;
}

struct settings_store {
    pthread_mutex_t lock;
    struct settings *current;
    settings_lookup *lookup;
    void *context;
    struct settings_history history;
};

struct settings_store *settings_store_new(struct settings *first, settings_lookup *lookup, void *context)
{
    struct settings_store *store = memory_new(1, sizeof(*store));

    pthread_mutex_init(&store->lock, NULL);
    store->current = first;
    store->lookup = lookup;
    store->context = context;
    store->history.good = true;
    store->history.read = instant_now();
    store->history.tried = store->history.read;
    return store;
}

void settings_store_free(struct settings_store *store)
{
    if (store == NULL)
        return;
    settings_release(store->current);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

/* The lines of faults as one; what is too much is cut. */
static void keep_reason(struct settings_history *history, char *faults, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (faults[i] == '\n')
            faults[i] = i + 1 < length ? ';' : '\0';
    snprintf(history->reason, sizeof(history->reason), "%s", faults);
}

/* The lock is held. The snapshot, or NULL: the reason is in the history. */
static struct settings *read_anew(struct settings_store *store)
{
    char *faults = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&faults, &length);
    struct settings *next;

    if (stream == NULL)
        abort();
    next = settings_read(store->lookup, store->context, stream);
    if (fclose(stream) != 0)
        abort();
    keep_reason(&store->history, faults, length);
    free(faults);
    return next;
}

/* The lock is held. True when what came of it is news, and counted: everything, but for a failure like the
 * one before when nobody asked (`asked`) for a reading. */
static bool take_anew(struct settings_store *store, bool asked)
{
    struct settings_history *history = &store->history;
    const struct settings_history before = *history;
    struct settings *next = read_anew(store);
    bool news = asked || next || before.good || strcmp(before.reason, history->reason) != 0;

    history->good = next != NULL;
    history->tried = instant_now();
    if (next) {
        settings_release(store->current);
        store->current = next;
        history->read = history->tried;
        history->successes++;
    } else if (news) {
        history->failures++;
    }
    return news;
}

bool settings_store_reload(struct settings_store *store)
{
    bool good;

    pthread_mutex_lock(&store->lock);
    take_anew(store, true);
    good = store->history.good;
    pthread_mutex_unlock(&store->lock);
    return good;
}

void settings_store_history(struct settings_store *store, struct settings_history *out)
{
    pthread_mutex_lock(&store->lock);
    *out = store->history;
    pthread_mutex_unlock(&store->lock);
}

struct settings *settings_store_current(struct settings_store *store)
{
    struct settings *held;

    pthread_mutex_lock(&store->lock);
    /* After a failure every request tries: what was wrong may be right again without a file looking changed.
     */
    if ((!store->history.good || settings_stale(store->current)) && take_anew(store, false)) {
        if (store->history.good)
            log_event(LOG_INFO, "settings read again", NULL);
        else
            log_event(LOG_WARNING, "a changed secret cannot be read: the last good settings stay", "reason",
                      store->history.reason, NULL);
    }
    held = settings_hold(store->current);
    pthread_mutex_unlock(&store->lock);
    return held;
}
