/* One walk over the body, without a tree, both to check it and to give its entries. */
#include "sources/loki_answer.h"

#include "caps.h"
#include "sources/note.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/json_scan.h"

enum { TIME_DIGITS = 19, NO_MEMBER = -1 };

enum answer_member { STATUS, DATA, WARNINGS, ANSWER_MEMBERS };
enum data_member { RESULT_TYPE, RESULT, DATA_MEMBERS };
enum stream_member { LABELS, VALUES, STREAM_MEMBERS };
enum { COUNTRY_LABELS = 4 };

static const struct text answer_members[ANSWER_MEMBERS] = {
    [STATUS] = {"status", 6}, [DATA] = {"data", 4}, [WARNINGS] = {"warnings", 8}};
static const struct text data_members[DATA_MEMBERS] = {
    [RESULT_TYPE] = {"resultType", 10}, [RESULT] = {"result", 6}};
static const struct text stream_members[STREAM_MEMBERS] = {
    [LABELS] = {"stream", 6}, [VALUES] = {"values", 6}};
static const struct text country_labels[COUNTRY_LABELS] = {
    {"geoip_country_code", 18}, {"geoip_country_name", 18}, {"country", 7}, {"country_code", 12}};

struct walk {
    struct json_scan scan;
    int64_t from, to;
    loki_take *take; /* NULL: the entries are only checked */
    void *context;
    struct arena *arena; /* for the warning; NULL: it is not wanted */
    struct loki_answer answer;
    const char *why;
    struct buf name, line, country; /* what was spelled with escapes */
};

/* `why` NULL: the grammar is broken. */
static bool wrong(struct walk *walk, const char *why)
{
    if (walk->why == NULL)
        walk->why = why;
    return false;
}

/* The name of the next member and its place in `names`, NO_MEMBER when it has none there. Of those that have,
 * `seen` holds a bit each: none may come twice. */
static bool next_member(struct walk *walk, const struct text *names, int count, unsigned *seen, int *out)
{
    struct json_raw raw;
    struct text name;

    *out = NO_MEMBER;
    if (!json_scan_name(&walk->scan, &raw))
        return wrong(walk, NULL);
    name = json_scan_decode(raw, &walk->name);
    for (int i = 0; i < count; i++)
        if (text_equal(name, names[i]))
            *out = i;
    if (*out == NO_MEMBER)
        return true;
    if (*seen & 1u << *out)
        return wrong(walk, "a member comes twice");
    *seen |= 1u << *out;
    return true;
}

/* ---- entries ---- */

static bool read_time(struct walk *walk, int64_t *out)
{
    struct json_raw raw;
    uint64_t time = 0;

    if (!json_scan_string(&walk->scan, &raw) || raw.text.length == 0 || raw.text.length > TIME_DIGITS)
        return wrong(walk, "an entry's time is no number of nanoseconds");
    for (size_t i = 0; i < raw.text.length; i++) {
        unsigned digit = (unsigned)(raw.text.data[i] - '0');

        if (digit > 9)
            return wrong(walk, "an entry's time is no number of nanoseconds");
        time = time * 10 + digit;
    }
    if (time > INT64_MAX || (int64_t)time < walk->from || (int64_t)time >= walk->to)
        return wrong(walk, "an entry's time is not in the range that was asked for");
    *out = (int64_t)time;
    return true;
}

/* [time, line], or [time, line, {structured metadata}]. */
static bool read_entry(struct walk *walk, struct text country)
{
    struct json_scan *scan = &walk->scan;
    struct loki_entry entry = {.country = country};
    struct json_raw line;

    if (!json_scan_open(scan, '[') || !json_scan_more(scan, ']'))
        return wrong(walk, "an entry is no pair of time and line");
    if (!read_time(walk, &entry.time))
        return false;
    if (!json_scan_more(scan, ']') || !json_scan_string(scan, &line))
        return wrong(walk, "an entry is no pair of time and line");
    if (json_scan_more(scan, ']') &&
        (json_scan_peek(scan) != '{' || !json_scan_skip(scan) || json_scan_more(scan, ']')))
        return wrong(walk, "an entry has more than time, line and metadata");
    if (scan->broken)
        return wrong(walk, NULL);
    walk->answer.entries++;
    if (walk->take == NULL)
        return true;
    entry.line = json_scan_decode(line, &walk->line);
    return walk->take(walk->context, &entry);
}

static bool read_values(struct walk *walk, struct text country)
{
    if (!json_scan_open(&walk->scan, '['))
        return wrong(walk, "a stream's values are no list");
    while (json_scan_more(&walk->scan, ']'))
        if (!read_entry(walk, country))
            return false;
    return !walk->scan.broken || wrong(walk, NULL);
}

/* ---- streams ---- */

/* The first of the four that is not empty decides. */
static struct text country_of(struct walk *walk, const struct json_raw values[COUNTRY_LABELS])
{
    for (int i = 0; i < COUNTRY_LABELS; i++) {
        struct text country = json_scan_decode(values[i], &walk->country);

        if (country.length > 0)
            return text_is_nocase(country, "unknown") ? TEXT_LITERAL("") : country;
    }
    return TEXT_LITERAL("");
}

static bool read_labels(struct walk *walk, struct text *country)
{
    struct json_raw values[COUNTRY_LABELS] = {{{NULL, 0}, false}}, value;
    unsigned seen = 0;
    int label;

    if (!json_scan_open(&walk->scan, '{'))
        return wrong(walk, "a stream's labels are no object");
    while (json_scan_more(&walk->scan, '}')) {
        if (!next_member(walk, country_labels, COUNTRY_LABELS, &seen, &label))
            return false;
        if (!json_scan_string(&walk->scan, &value))
            return wrong(walk, "a label is no string");
        if (label != NO_MEMBER)
            values[label] = value;
    }
    if (walk->scan.broken)
        return wrong(walk, NULL);
    *country = country_of(walk, values);
    return true;
}

/* A value that can only be read when more is known is skipped, and its place kept. */
static bool skip_for_now(struct walk *walk, struct json_scan *place)
{
    *place = walk->scan;
    return json_scan_skip(&walk->scan) || wrong(walk, NULL);
}

static bool read_stream(struct walk *walk)
{
    struct json_scan *scan = &walk->scan, later = {0}, behind;
    struct text country = TEXT_LITERAL("");
    unsigned seen = 0;
    bool valid = true;
    int member;

    if (!json_scan_open(scan, '{'))
        return wrong(walk, "a stream is no object");
    while (valid && json_scan_more(scan, '}')) {
        if (!next_member(walk, stream_members, STREAM_MEMBERS, &seen, &member))
            return false;
        if (member == LABELS)
            valid = read_labels(walk, &country);
        else if (member == NO_MEMBER)
            valid = json_scan_skip(scan);
        else if (seen & 1u << LABELS)
            valid = read_values(walk, country);
        else
            valid = skip_for_now(walk, &later);
    }
    if (!valid || scan->broken || seen != (1u << LABELS | 1u << VALUES))
        return wrong(walk, "a stream lacks its labels or its values");
    if (later.at == NULL)
        return true;
    behind = *scan;
    *scan = later;
    valid = read_values(walk, country);
    *scan = behind;
    return valid;
}

/* ---- the answer around them ---- */

static bool read_streams(struct walk *walk)
{
    if (!json_scan_open(&walk->scan, '['))
        return wrong(walk, "the result is no list");
    while (json_scan_more(&walk->scan, ']'))
        if (!read_stream(walk))
            return false;
    return !walk->scan.broken || wrong(walk, NULL);
}

/* A string that can only be this one. */
static bool read_word(struct walk *walk, struct text wanted, const char *why)
{
    struct json_raw word;

    return (json_scan_string(&walk->scan, &word) &&
            text_equal(json_scan_decode(word, &walk->name), wanted)) ||
           wrong(walk, why);
}

static bool read_data(struct walk *walk)
{
    struct json_scan *scan = &walk->scan, later = {0}, behind;
    unsigned seen = 0;
    bool valid = true;
    int member;

    if (!json_scan_open(scan, '{'))
        return wrong(walk, "its data are no object");
    while (valid && json_scan_more(scan, '}')) {
        if (!next_member(walk, data_members, DATA_MEMBERS, &seen, &member))
            return false;
        if (member == RESULT_TYPE)
            valid = read_word(walk, TEXT_LITERAL("streams"), "its result is no list of streams");
        else if (member == NO_MEMBER)
            valid = json_scan_skip(scan);
        else if (seen & 1u << RESULT_TYPE)
            valid = read_streams(walk);
        else
            valid = skip_for_now(walk, &later);
    }
    if (!valid || scan->broken || seen != (1u << RESULT_TYPE | 1u << RESULT))
        return wrong(walk, "it lacks its result or the type of it");
    if (later.at == NULL)
        return true;
    behind = *scan;
    *scan = later;
    valid = read_streams(walk);
    *scan = behind;
    return valid;
}

static bool read_warning(struct walk *walk)
{
    struct text words = TEXT_LITERAL("no words");
    struct json_raw raw;

    walk->answer.warning_count++;
    if (json_scan_peek(&walk->scan) != '"')
        return json_scan_skip(&walk->scan);
    if (!json_scan_string(&walk->scan, &raw))
        return false;
    if (raw.text.length > 0)
        words = json_scan_decode(raw, &walk->name);
    if (walk->answer.warning == NULL && walk->arena)
        walk->answer.warning = note_words(walk->arena, words, NOTE_WORDS_MAX_BYTES);
    return true;
}

static bool read_warnings(struct walk *walk)
{
    if (json_scan_peek(&walk->scan) == 'n')
        return json_scan_skip(&walk->scan) || wrong(walk, NULL);
    if (!json_scan_open(&walk->scan, '['))
        return wrong(walk, "its warnings are no list");
    while (json_scan_more(&walk->scan, ']'))
        if (!read_warning(walk))
            return wrong(walk, NULL);
    return !walk->scan.broken || wrong(walk, NULL);
}

static bool read_answer(struct walk *walk)
{
    struct json_scan *scan = &walk->scan;
    unsigned seen = 0;
    bool valid = true;
    int member;

    if (!json_scan_open(scan, '{'))
        return wrong(walk, "it is no object");
    while (valid && json_scan_more(scan, '}')) {
        if (!next_member(walk, answer_members, ANSWER_MEMBERS, &seen, &member))
            return false;
        if (member == STATUS)
            valid = read_word(walk, TEXT_LITERAL("success"), "its status is not success");
        else if (member == DATA)
            valid = read_data(walk);
        else if (member == WARNINGS)
            valid = read_warnings(walk);
        else
            valid = json_scan_skip(scan);
    }
    if (!valid || !json_scan_end(scan))
        return wrong(walk, NULL);
    return (seen & 1u << STATUS && seen & 1u << DATA) || wrong(walk, "it lacks its status or its data");
}

static bool walk_through(struct walk *walk, struct text body)
{
    bool whole;

    walk->scan = json_scan_of(body);
    buf_init(&walk->name, body.length);
    buf_init(&walk->line, body.length);
    buf_init(&walk->country, body.length);
    whole = read_answer(walk);
    buf_free(&walk->name);
    buf_free(&walk->line);
    buf_free(&walk->country);
    return whole;
}

static bool is_json(struct text text)
{
    struct json_scan scan = json_scan_of(text);

    return json_scan_skip(&scan) && json_scan_end(&scan);
}

bool loki_answer_check(struct arena *arena, struct text body, int64_t from, int64_t to,
                       struct loki_answer *out, const char **why)
{
    struct walk walk = {.arena = arena, .from = from, .to = to};
    bool valid = walk_through(&walk, body);

    *out = walk.answer;
    *why = valid ? NULL : is_json(body) ? walk.why : "it is not JSON, or not all of it";
    return valid;
}

bool loki_answer_each(struct text body, loki_take *take, void *context)
{
    struct walk walk = {.from = INT64_MIN, .to = INT64_MAX, .take = take, .context = context};

    return walk_through(&walk, body);
}
