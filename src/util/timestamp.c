/* Calendar arithmetic on the proleptic Gregorian calendar, and the parsers over it. */
#include "util/timestamp.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct cursor {
    struct text rest;
    bool failed;
};

struct civil {
    int64_t year;
    int month, day, hour, minute, second;
};

/* Takes exactly `digits` digits. */
static int take_number(struct cursor *c, size_t digits)
{
    int value = 0;

    if (c->failed || c->rest.length < digits) {
        c->failed = true;
        return 0;
    }
    for (size_t i = 0; i < digits; i++) {
        unsigned digit = (unsigned)(unsigned char)c->rest.data[i] - '0';

        if (digit > 9)
            c->failed = true;
        value = value * 10 + (int)(digit & 15);
    }
    c->rest = text_skip(c->rest, digits);
    return value;
}

static void take_literal(struct cursor *c, const char *literal)
{
    for (; *literal != '\0' && !c->failed; literal++) {
        if (c->rest.length == 0 || c->rest.data[0] != *literal)
            c->failed = true;
        else
            c->rest = (struct text){c->rest.data + 1, c->rest.length - 1};
    }
}

/* Days since 1970-01-01, after Howard Hinnant's description of the algorithm (chrono-compatible date
 * algorithms). */
static int64_t days_from_civil(int64_t year, int month, int day)
{
    int64_t era, year_of_era, day_of_year;

    year -= month <= 2;
    era = (year >= 0 ? year : year - 399) / 400;
    year_of_era = year - era * 400;
    day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static struct civil civil_from_seconds(int64_t seconds)
{
    int64_t days = seconds / 86400 - (seconds % 86400 < 0);
    int rest = (int)(seconds - days * 86400);
    int64_t z = days + 719468;
    int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t day_of_era = z - era * 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = (int)(day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
    int shifted = (5 * day_of_year + 2) / 153;
    struct civil out = {.day = day_of_year - (153 * shifted + 2) / 5 + 1,
                        .month = shifted + (shifted < 10 ? 3 : -9),
                        .hour = rest / 3600,
                        .minute = rest / 60 % 60,
                        .second = rest % 60};

    out.year = year_of_era + era * 400 + (out.month <= 2);
    return out;
}

static int days_in_month(int64_t year, int month)
{
    static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return month == 2 && leap ? 29 : days[month - 1];
}

static bool civil_exists(const struct civil *c)
{
    return c->month >= 1 && c->month <= 12 && c->day >= 1 && c->day <= days_in_month(c->year, c->month) &&
           c->hour <= 23 && c->minute <= 59 && c->second <= 59;
}

static int64_t civil_seconds(const struct civil *c)
{
    return days_from_civil(c->year, c->month, c->day) * 86400 + c->hour * 3600 + c->minute * 60 + c->second;
}

static void take_clock(struct cursor *c, struct civil *out)
{
    out->hour = take_number(c, 2);
    take_literal(c, ":");
    out->minute = take_number(c, 2);
    take_literal(c, ":");
    out->second = take_number(c, 2);
}

/* "+01:00", "-0530": the separator is what stands between hours and minutes. */
static int32_t take_offset(struct cursor *c, const char *separator)
{
    bool minus = c->rest.length > 0 && c->rest.data[0] == '-';
    int hours, minutes;

    take_literal(c, minus ? "-" : "+");
    hours = take_number(c, 2);
    take_literal(c, separator);
    minutes = take_number(c, 2);
    if (hours > 23 || minutes > 59)
        c->failed = true;
    return (minus ? -1 : 1) * (hours * 3600 + minutes * 60);
}

static int32_t take_fraction(struct cursor *c)
{
    int32_t value = 0;
    size_t digits = 0;

    if (c->failed || c->rest.length == 0 || c->rest.data[0] != '.')
        return 0;
    c->rest = text_skip(c->rest, 1);
    while (digits < 9 && digits < c->rest.length && c->rest.data[digits] >= '0' &&
           c->rest.data[digits] <= '9')
        value = value * 10 + (c->rest.data[digits++] - '0');
    if (digits == 0)
        c->failed = true;
    c->rest = text_skip(c->rest, digits);
    while (digits++ < 9)
        value *= 10;
    return value;
}

bool timestamp_parse(struct text text, struct timestamp *out)
{
    struct cursor c = {text, false};
    struct civil civil = {0};
    int32_t fraction, offset = 0;

    civil.year = take_number(&c, 4);
    take_literal(&c, "-");
    civil.month = take_number(&c, 2);
    take_literal(&c, "-");
    civil.day = take_number(&c, 2);
    take_literal(&c, "T");
    take_clock(&c, &civil);
    fraction = take_fraction(&c);
    if (!c.failed && text_is(c.rest, "Z"))
        c.rest.length = 0;
    else
        offset = take_offset(&c, ":");
    if (c.failed || c.rest.length != 0 || !civil_exists(&civil))
        return false;
    *out = (struct timestamp){{civil_seconds(&civil) - offset, fraction}, offset};
    return true;
}

/* The instant of a local time in the zone of the process. */
static int64_t local_seconds(const struct civil *c)
{
    struct tm local = {.tm_year = (int)c->year - 1900,
                       .tm_mon = c->month - 1,
                       .tm_mday = c->day,
                       .tm_hour = c->hour,
                       .tm_min = c->minute,
                       .tm_sec = c->second,
                       .tm_isdst = -1};

    return mktime(&local);
}

/* The rest of a time whose minute is known: "05.123Z". */
static bool parse_in_minute(struct text text, int64_t minute, struct instant *out)
{
    struct cursor c = {text, false};
    int second = take_number(&c, 2);
    int32_t fraction = take_fraction(&c);

    if (c.failed || second > 59 || c.rest.length != 1 || c.rest.data[0] != 'Z')
        return false;
    *out = (struct instant){minute + second, fraction};
    return true;
}

bool timestamp_parse_cached(struct text text, struct minute_cache *cache, struct instant *out)
{
    const size_t length = sizeof(cache->minute);
    struct timestamp whole;

    if (cache->filled && text.length > length && memcmp(text.data, cache->minute, length) == 0 &&
        parse_in_minute(text_skip(text, length), cache->seconds, out))
        return true;
    if (!timestamp_parse(text, &whole))
        return false;
    *out = whole.instant;
    cache->filled = whole.offset == 0;
    cache->seconds =
        whole.instant.seconds - whole.instant.seconds % 60 - (whole.instant.seconds % 60 < 0 ? 60 : 0);
    memcpy(cache->minute, text.data, length);
    return true;
}

bool timestamp_parse_gin(struct text text, struct instant *out)
{
    struct timezone_cache once = {0};

    return timestamp_parse_gin_cached(text, &once, out);
}

bool timestamp_parse_gin_cached(struct text text, struct timezone_cache *cache, struct instant *out)
{
    struct cursor c = {text, false};
    struct civil civil = {0};
    int64_t as_utc;

    civil.year = take_number(&c, 4);
    take_literal(&c, "/");
    civil.month = take_number(&c, 2);
    take_literal(&c, "/");
    civil.day = take_number(&c, 2);
    take_literal(&c, " - ");
    take_clock(&c, &civil);
    if (c.failed || c.rest.length != 0 || !civil_exists(&civil))
        return false;
    as_utc = civil_seconds(&civil);
    if (!cache->filled || cache->quarter != as_utc / 900)
        *cache = (struct timezone_cache){as_utc / 900, as_utc - local_seconds(&civil), true};
    *out = (struct instant){as_utc - cache->offset, 0};
    return true;
}

static int month_by_name(struct text name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

    for (int i = 0; i < 12; i++)
        if (text_equal(name, (struct text){names + (size_t)i * 3, 3}))
            return i + 1;
    return 0;
}

bool timestamp_parse_clf(struct text text, struct instant *out)
{
    struct cursor c = {text, false};
    struct civil civil = {0};
    int32_t offset;

    civil.day = take_number(&c, 2);
    take_literal(&c, "/");
    if (c.failed || c.rest.length < 3)
        return false;
    civil.month = month_by_name((struct text){c.rest.data, 3});
    c.rest = text_skip(c.rest, 3);
    take_literal(&c, "/");
    civil.year = take_number(&c, 4);
    take_literal(&c, ":");
    take_clock(&c, &civil);
    take_literal(&c, " ");
    offset = take_offset(&c, "");
    if (c.failed || c.rest.length != 0 || !civil_exists(&civil))
        return false;
    *out = (struct instant){civil_seconds(&civil) - offset, 0};
    return true;
}

struct instant instant_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (struct instant){now.tv_sec, (int32_t)now.tv_nsec};
}

int instant_compare(struct instant a, struct instant b)
{
    if (a.seconds != b.seconds)
        return a.seconds < b.seconds ? -1 : 1;
    return (a.nanoseconds > b.nanoseconds) - (a.nanoseconds < b.nanoseconds);
}

int64_t instant_hour(struct instant a)
{
    return a.seconds / 3600 - (a.seconds % 3600 < 0);
}

static void format_fraction(int32_t nanoseconds, char out[12])
{
    size_t length;

    out[0] = '\0';
    if (nanoseconds == 0)
        return;
    length = (size_t)snprintf(out, 12, ".%09d", (int)nanoseconds);
    while (out[length - 1] == '0')
        out[--length] = '\0';
}

bool timestamp_format(struct timestamp time, char out[TIMESTAMP_SIZE])
{
    struct civil c = civil_from_seconds(time.instant.seconds + time.offset);
    char fraction[12], zone[16] = "Z";
    int minutes = abs(time.offset) / 60;

    out[0] = '\0';
    if (c.year < 0 || c.year > 9999)
        return false;
    format_fraction(time.instant.nanoseconds, fraction);
    if (time.offset != 0)
        snprintf(zone, sizeof(zone), "%c%02d:%02d", time.offset < 0 ? '-' : '+', minutes / 60, minutes % 60);
    snprintf(out, TIMESTAMP_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d%s%s", (int)c.year, c.month, c.day, c.hour,
             c.minute, c.second, fraction, zone);
    return true;
}

void instant_format_compact(struct instant time, char out[TIMESTAMP_SIZE])
{
    struct civil c = civil_from_seconds(time.seconds);

    snprintf(out, TIMESTAMP_SIZE, "%04d%02d%02dT%02d%02d%02dZ", (int)c.year, c.month, c.day, c.hour, c.minute,
             c.second);
}

void instant_format_seconds(struct instant time, char out[TIMESTAMP_SIZE])
{
    struct civil c = civil_from_seconds(time.seconds);

    snprintf(out, TIMESTAMP_SIZE, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)c.year, c.month, c.day, c.hour,
             c.minute, c.second);
}

bool timezone_exists(const char *name)
{
    const char *folder = getenv("TZDIR");
    char path[PATH_MAX];
    struct stat file;

    if (strcmp(name, "UTC") == 0)
        return true;
    if (name[0] == '\0' || name[0] == '/' || name[0] == ':' || strstr(name, "..") ||
        (size_t)snprintf(path, sizeof(path), "%s/%s", folder ? folder : "/usr/share/zoneinfo", name) >=
            sizeof(path))
        return false;
    return stat(path, &file) == 0 && S_ISREG(file.st_mode) && access(path, R_OK) == 0;
}

bool timezone_use(const char *name)
{
    /* The C library reads an unknown name as UTC without a word. */
    if (!timezone_exists(name))
        return false;
    setenv("TZ", strcmp(name, "UTC") == 0 ? "UTC0" : name, 1);
    tzset();
    return true;
}

int64_t clock_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_ms(void)
{
    return clock_us() / 1000;
}
