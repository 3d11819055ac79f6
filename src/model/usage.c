/* Two kinds of open-addressing tables over growing arrays: strings by their bytes, rows by their key. Own
 * code, not a library's: a row costs 32 bytes and a slot of four, where a linked hash handle costs 56 alone.
 *
 * Rows are found again only within the hours that were added to last: lines come in the order of time, and a
 * table over one hour stays in the processor's cache where one over a month does not (a fifth of the time of
 * a whole report, measured on 900,000 requests). A line that is late by more than that begins a row of its
 * own. */
#include "model/usage.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/hash.h"
#include "util/memory.h"

enum { FIRST_SLOTS = 1024, CHUNK_BYTES = 64 * 1024, RECENT_HOURS = 4 };
enum { STRINGS_MAX = 1 << 30 }; /* a country's number has 30 bits */

/* Slots hold index + 1; 0 is free. At most half of them are taken. */
struct slots {
    uint32_t *slot;
    size_t count, taken;
};

/* The rows of one hour. */
struct recent {
    bool used;
    int32_t hour;
    uint64_t last_used; /* by `clock` */
    struct slots slots;
};

struct chunk {
    struct chunk *next;
    size_t used, size;
    char bytes[];
};

struct usage {
    uint64_t seed;
    size_t max_bytes, string_bytes;
    struct usage_row *rows;
    size_t row_count, row_capacity;
    struct recent recent[RECENT_HOURS];
    struct recent *current; /* where the last row was found */
    uint64_t clock;
    struct text *strings;
    size_t string_count, string_capacity;
    struct slots string_slots;
    struct chunk *chunks;
    struct buf repaired;
};

static void slots_init(struct slots *slots)
{
    *slots = (struct slots){memory_new(FIRST_SLOTS, sizeof(*slots->slot)), FIRST_SLOTS, 0};
}

struct usage *usage_new(size_t max_bytes)
{
    struct usage *usage = memory_new(1, sizeof(*usage));

    usage->seed = hash_seed();
    usage->max_bytes = max_bytes;
    slots_init(&usage->string_slots);
    buf_init(&usage->repaired, 1024 * 1024);
    usage->string_capacity = 64;
    usage->strings = memory_new(usage->string_capacity, sizeof(*usage->strings));
    usage->strings[0] = TEXT_LITERAL("");
    usage->string_count = 1;
    return usage;
}

void usage_free(struct usage *usage)
{
    struct chunk *next;

    if (usage == NULL)
        return;
    for (struct chunk *chunk = usage->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(usage->rows);
    for (size_t i = 0; i < RECENT_HOURS; i++)
        free(usage->recent[i].slots.slot);
    free(usage->strings);
    free(usage->string_slots.slot);
    buf_free(&usage->repaired);
    free(usage);
}

size_t usage_bytes(const struct usage *usage)
{
    size_t slots = usage->string_slots.count;

    for (size_t i = 0; i < RECENT_HOURS; i++)
        slots += usage->recent[i].slots.count;
    return usage->row_capacity * sizeof(*usage->rows) + usage->string_capacity * sizeof(*usage->strings) +
           slots * sizeof(uint32_t) + usage->string_bytes;
}

/* Would this much more still fit? */
static bool fits(const struct usage *usage, size_t more)
{
    size_t now = usage_bytes(usage);

    return now <= usage->max_bytes && more <= usage->max_bytes - now;
}

static char *keep_bytes(struct usage *usage, struct text text)
{
    struct chunk *chunk = usage->chunks;
    char *place;

    if (chunk == NULL || chunk->size - chunk->used < text.length) {
        size_t size = text.length > CHUNK_BYTES ? text.length : CHUNK_BYTES;

        chunk = memory_new(1, sizeof(*chunk) + size);
        chunk->size = size;
        chunk->next = usage->chunks;
        usage->chunks = chunk;
        usage->string_bytes += sizeof(*chunk) + size;
    }
    place = chunk->bytes + chunk->used;
    memcpy(place, text.data, text.length);
    chunk->used += text.length;
    return place;
}

static uint32_t *string_slot(const struct usage *usage, struct text text)
{
    size_t mask = usage->string_slots.count - 1;
    size_t at = (size_t)hash_text(usage->seed, text) & mask;

    while (usage->string_slots.slot[at] &&
           !text_equal(usage->strings[usage->string_slots.slot[at] - 1], text))
        at = (at + 1) & mask;
    return &usage->string_slots.slot[at];
}

static bool grow_strings(struct usage *usage)
{
    if (usage->string_count == usage->string_capacity) {
        if (!fits(usage, usage->string_capacity * sizeof(*usage->strings)))
            return false;
        usage->string_capacity *= 2;
        usage->strings = memory_grow(usage->strings, usage->string_capacity, sizeof(*usage->strings));
    }
    if (usage->string_count * 2 < usage->string_slots.count)
        return true;
    if (!fits(usage, usage->string_slots.count * sizeof(uint32_t)))
        return false;
    free(usage->string_slots.slot);
    usage->string_slots.count *= 2;
    usage->string_slots.slot = memory_new(usage->string_slots.count, sizeof(uint32_t));
    for (size_t i = 1; i < usage->string_count; i++)
        *string_slot(usage, usage->strings[i]) = (uint32_t)i + 1;
    return true;
}

static bool intern(struct usage *usage, struct text text, uint32_t *number)
{
    uint32_t *slot;

    *number = 0;
    if (text.length == 0)
        return true;
    slot = string_slot(usage, text);
    if (*slot == 0 && !text_is_utf8(text)) {
        /* Only valid strings are kept, so a bad one is never found as it is. */
        buf_clear(&usage->repaired);
        buf_add_utf8(&usage->repaired, text);
        text = buf_text(&usage->repaired);
        slot = string_slot(usage, text);
    }
    if (*slot) {
        *number = *slot - 1;
        return true;
    }
    if (usage->string_count >= STRINGS_MAX || !fits(usage, text.length + CHUNK_BYTES) || !grow_strings(usage))
        return false;
    usage->strings[usage->string_count] = (struct text){keep_bytes(usage, text), text.length};
    *number = (uint32_t)usage->string_count++;
    *string_slot(usage, text) = *number + 1;
    return true;
}

static bool same_key(const struct usage_row *a, const struct usage_row *b)
{
    return a->user == b->user && a->service == b->service && a->namespace == b->namespace &&
           a->country == b->country && a->type == b->type;
}

static uint32_t *row_slot(const struct usage *usage, const struct slots *slots, const struct usage_row *row)
{
    size_t mask = slots->count - 1;
    uint64_t who = (uint64_t)row->service << 32 | row->user;
    uint64_t where = (uint64_t)row->namespace << 32 | (uint32_t)row->country << 2 | row->type;
    size_t at = (size_t)hash_mix(usage->seed ^ who, where) & mask;

    while (slots->slot[at] && !same_key(&usage->rows[slots->slot[at] - 1], row))
        at = (at + 1) & mask;
    return &slots->slot[at];
}

/* The table of an hour: its own, or else the one that was not used for the longest time, emptied. */
static struct recent *recent_of(struct usage *usage, int32_t hour)
{
    struct recent *oldest = &usage->recent[0];

    for (size_t i = 0; i < RECENT_HOURS; i++) {
        struct recent *recent = &usage->recent[i];

        if (recent->used && recent->hour == hour)
            return recent;
        if (recent->last_used < oldest->last_used)
            oldest = recent;
    }
    /* A large table goes: emptying it again and again would cost more than it gives. */
    free(oldest->slots.slot);
    slots_init(&oldest->slots);
    oldest->used = true;
    oldest->hour = hour;
    return oldest;
}

static bool grow_slots(struct usage *usage, struct recent *recent)
{
    struct slots old = recent->slots;

    if (old.taken * 2 < old.count)
        return true;
    if (!fits(usage, old.count * 2 * sizeof(uint32_t)))
        return false;
    recent->slots.count = old.count * 2;
    recent->slots.slot = memory_new(recent->slots.count, sizeof(uint32_t));
    for (size_t i = 0; i < old.count; i++)
        if (old.slot[i])
            *row_slot(usage, &recent->slots, &usage->rows[old.slot[i] - 1]) = old.slot[i];
    free(old.slot);
    return true;
}

static bool grow_rows(struct usage *usage)
{
    size_t more = usage->row_capacity ? usage->row_capacity / 2 : 256;

    if (usage->row_count < usage->row_capacity)
        return true;
    if (!fits(usage, more * sizeof(*usage->rows)) || usage->row_count + more >= UINT32_MAX)
        return false;
    usage->row_capacity += more;
    usage->rows = memory_grow(usage->rows, usage->row_capacity, sizeof(*usage->rows));
    return true;
}

static bool add_row(struct usage *usage, const struct usage_row *row)
{
    struct recent *recent = usage->current;
    uint32_t *slot;

    if (recent == NULL || recent->hour != row->hour) {
        recent = usage->current = recent_of(usage, row->hour);
        recent->last_used = ++usage->clock;
    }
    slot = row_slot(usage, &recent->slots, row);
    if (*slot) {
        usage->rows[*slot - 1].count += row->count;
        return true;
    }
    if (!grow_rows(usage) || !grow_slots(usage, recent))
        return false;
    usage->rows[usage->row_count++] = *row;
    *row_slot(usage, &recent->slots, row) = (uint32_t)usage->row_count;
    recent->slots.taken++;
    return true;
}

bool usage_add(struct usage *usage, const struct usage_event *event, uint64_t count)
{
    struct usage_row row = {.hour = (int32_t)event->hour, .type = (unsigned)event->type & 3u, .count = count};
    uint32_t country;

    if (!intern(usage, event->namespace, &row.namespace) || !intern(usage, event->service, &row.service) ||
        !intern(usage, event->user, &row.user) || !intern(usage, event->country, &country))
        return false;
    row.country = country & 0x3fffffffu;
    return add_row(usage, &row);
}

/* The number in `usage` of a string of `from`, looked up once. */
static bool translate(struct usage *usage, const struct usage *from, uint32_t *numbers, uint32_t number,
                      uint32_t *out)
{
    if (numbers[number] == 0 && number != 0 && !intern(usage, from->strings[number], &numbers[number]))
        return false;
    *out = numbers[number];
    return true;
}

bool usage_merge(struct usage *usage, const struct usage *from, int64_t first, int64_t last,
                 enum usage_hours hours)
{
    uint32_t *numbers = memory_new(from->string_count, sizeof(*numbers));
    bool fits_all = true;

    for (size_t i = 0; fits_all && i < from->row_count; i++) {
        struct usage_row row = from->rows[i];
        uint32_t country;

        if (row.hour < first || row.hour > last)
            continue;
        fits_all = translate(usage, from, numbers, row.namespace, &row.namespace) &&
                   translate(usage, from, numbers, row.service, &row.service) &&
                   translate(usage, from, numbers, row.user, &row.user) &&
                   translate(usage, from, numbers, row.country, &country);
        if (!fits_all)
            break;
        row.country = country & 0x3fffffffu;
        if (hours == USAGE_WITHOUT_HOURS)
            row.hour = 0;
        fits_all = add_row(usage, &row);
    }
    free(numbers);
    return fits_all;
}

void usage_seal(struct usage *usage)
{
    for (size_t i = 0; i < RECENT_HOURS; i++) {
        free(usage->recent[i].slots.slot);
        usage->recent[i] = (struct recent){0};
    }
    usage->current = NULL;
    free(usage->string_slots.slot);
    usage->string_slots = (struct slots){0};
    usage->row_capacity = usage->row_count;
    usage->rows = memory_grow(usage->rows, usage->row_capacity, sizeof(*usage->rows));
    usage->string_capacity = usage->string_count;
    usage->strings = memory_grow(usage->strings, usage->string_capacity, sizeof(*usage->strings));
    buf_free(&usage->repaired);
}

size_t usage_row_count(const struct usage *usage)
{
    return usage->row_count;
}

const struct usage_row *usage_rows(const struct usage *usage)
{
    return usage->rows;
}

size_t usage_string_count(const struct usage *usage)
{
    return usage->string_count;
}

struct text usage_string(const struct usage *usage, uint32_t number)
{
    return usage->strings[number];
}
