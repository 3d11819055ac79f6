/* Everything but the hour and the count is a key, kept once; a row is (hour, key, count) in 16 bytes. So a
 * line costs one search, by a hash over its texts, and a merge over hours translates each key once.
 * Own tables, not a library's: a key's place costs eight bytes, where a linked hash handle costs 56 alone. */
#include "model/usage.h"

#include <stdlib.h>
#include <string.h>

#include "util/buf.h"
#include "util/hash.h"
#include "util/memory.h"

enum { NUMBERS = 1 << 30 }; /* a country's number has 30 bits */

enum { FIRST_SLOTS = 64, RECENT_HOURS = 4 };
struct key {
    uint32_t namespace, service, user;
    uint32_t country : 30;
    uint32_t type : 2;
};

struct row {
    int32_t hour;
    uint32_t key;
    uint64_t count;
};

/* Open addressing; at most half of the slots are taken. */
struct slot {
    uint32_t hash;
    uint32_t taken_by; /* index + 1; 0: free */
};

struct slots {
    struct slot *slot;
    size_t count, taken;
};

/* Rows of a key are linked, the latest first. What was added to an hour since it is looked at again lies
 * behind `first_row`: mostly one comparison says that a key has no row in it yet. */
struct recent {
    int32_t hour;
    bool used;
    uint32_t first_row;
    uint64_t last_used; /* by `clock` */
};

struct usage {
    uint64_t seed;
    size_t max_bytes;
    struct row *rows;
    uint32_t *row_before; /* by row: the one of the same key before it, + 1; none once sealed */
    size_t row_count, row_capacity;
    struct key *keys;
    uint32_t *key_hash; /* by key */
    uint32_t *last_row; /* by key: + 1; none once sealed */
    size_t key_count, key_capacity;
    struct slots key_slots;
    char *bytes;          /* of all strings, one behind the other */
    uint32_t *string_end; /* by string: where it ends */
    size_t byte_count, byte_capacity, string_count, string_capacity;
    struct slots string_slots;
    struct recent recent[RECENT_HOURS];
    struct recent *current; /* of the row that was added last */
    uint32_t current_from;  /* its first row */
    uint64_t clock;
    struct buf repaired;
};

static void slots_init(struct slots *slots, size_t count)
{
    *slots = (struct slots){memory_new(count, sizeof(*slots->slot)), count, 0};
}

struct usage *usage_new(size_t max_bytes)
{
    struct usage *usage = memory_new(1, sizeof(*usage));

    usage->seed = hash_seed();
    usage->max_bytes = max_bytes;
    slots_init(&usage->key_slots, FIRST_SLOTS);
    slots_init(&usage->string_slots, FIRST_SLOTS);
    buf_init(&usage->repaired, max_bytes);
    usage->string_end = memory_new(1, sizeof(*usage->string_end));
    usage->string_count = usage->string_capacity = 1; /* number 0 */
    return usage;
}

/* What only adding needs. */
static void free_tables(struct usage *usage)
{
    free(usage->row_before);
    free(usage->last_row);
    free(usage->key_slots.slot);
    free(usage->string_slots.slot);
    buf_free(&usage->repaired);
    usage->row_before = usage->last_row = NULL;
    usage->key_slots = usage->string_slots = (struct slots){0};
}

static void free_contents(struct usage *usage)
{
    free_tables(usage);
    free(usage->rows);
    free(usage->keys);
    free(usage->key_hash);
    free(usage->bytes);
    free(usage->string_end);
}

void usage_free(struct usage *usage)
{
    if (usage == NULL)
        return;
    free_contents(usage);
    free(usage);
}

void usage_seal(struct usage *usage)
{
    free_tables(usage);
    usage->row_capacity = usage->row_count;
    usage->key_capacity = usage->key_count;
    usage->byte_capacity = usage->byte_count;
    usage->string_capacity = usage->string_count;
    usage->rows = memory_grow(usage->rows, usage->row_count, sizeof(*usage->rows));
    usage->keys = memory_grow(usage->keys, usage->key_count, sizeof(*usage->keys));
    usage->key_hash = memory_grow(usage->key_hash, usage->key_count, sizeof(*usage->key_hash));
    usage->bytes = memory_grow(usage->bytes, usage->byte_count, 1);
    usage->string_end = memory_grow(usage->string_end, usage->string_count, sizeof(*usage->string_end));
}

/* ---- room ---- */

enum {
    ROW_SIZE = sizeof(struct row) + sizeof(uint32_t),
    KEY_SIZE = sizeof(struct key) + 2 * sizeof(uint32_t),
};

size_t usage_bytes(const struct usage *usage)
{
    size_t tables =
        (usage->row_before ? usage->row_capacity : 0) + (usage->last_row ? usage->key_capacity : 0);

    return sizeof(*usage) + usage->row_capacity * sizeof(*usage->rows) +
           usage->key_capacity * (sizeof(*usage->keys) + sizeof(*usage->key_hash)) +
           tables * sizeof(uint32_t) + usage->byte_capacity +
           usage->string_capacity * sizeof(*usage->string_end) +
           (usage->key_slots.count + usage->string_slots.count) * sizeof(struct slot);
}

static bool fits(const struct usage *usage, size_t more)
{
    size_t now = usage_bytes(usage);

    return now <= usage->max_bytes && more <= usage->max_bytes - now;
}

/* The capacity of an array that is to hold `needed` elements of `size` bytes; 0: that does not fit. */
static size_t capacity_for(const struct usage *usage, size_t needed, size_t capacity, size_t size)
{
    size_t larger = capacity + capacity / 2 + 16;

    if (needed <= capacity)
        return capacity;
    if (larger < needed)
        larger = needed;
    return larger < UINT32_MAX && fits(usage, (larger - capacity) * size) ? larger : 0;
}

static bool room_for_row(struct usage *usage)
{
    size_t capacity = capacity_for(usage, usage->row_count + 1, usage->row_capacity, ROW_SIZE);

    if (capacity == 0)
        return false;
    if (capacity > usage->row_capacity) {
        usage->rows = memory_grow(usage->rows, capacity, sizeof(*usage->rows));
        usage->row_before = memory_grow(usage->row_before, capacity, sizeof(*usage->row_before));
        usage->row_capacity = capacity;
    }
    return true;
}

static bool room_for_key(struct usage *usage)
{
    size_t capacity = capacity_for(usage, usage->key_count + 1, usage->key_capacity, KEY_SIZE);

    if (capacity == 0)
        return false;
    if (capacity > usage->key_capacity) {
        usage->keys = memory_grow(usage->keys, capacity, sizeof(*usage->keys));
        usage->key_hash = memory_grow(usage->key_hash, capacity, sizeof(*usage->key_hash));
        usage->last_row = memory_grow(usage->last_row, capacity, sizeof(*usage->last_row));
        usage->key_capacity = capacity;
    }
    return true;
}

static bool room_for_string(struct usage *usage, size_t length)
{
    size_t strings = capacity_for(usage, usage->string_count + 1, usage->string_capacity, sizeof(uint32_t));
    size_t bytes = capacity_for(usage, usage->byte_count + length, usage->byte_capacity, 1);

    if (usage->string_count >= NUMBERS || strings == 0 || bytes == 0)
        return false;
    if (strings > usage->string_capacity) {
        usage->string_end = memory_grow(usage->string_end, strings, sizeof(*usage->string_end));
        usage->string_capacity = strings;
    }
    if (bytes > usage->byte_capacity) {
        usage->bytes = memory_grow(usage->bytes, bytes, 1);
        usage->byte_capacity = bytes;
    }
    return true;
}

/* ---- tables ---- */

static size_t next_slot(const struct slots *slots, size_t at)
{
    return (at + 1) & (slots->count - 1);
}

static void slots_put(struct slots *slots, uint32_t hash, uint32_t index)
{
    size_t at = hash & (slots->count - 1);

    while (slots->slot[at].taken_by)
        at = next_slot(slots, at);
    slots->slot[at] = (struct slot){hash, index + 1};
    slots->taken++;
}

/* Room for one more. */
static bool slots_grow(struct usage *usage, struct slots *slots)
{
    struct slots old = *slots;

    if (old.taken * 2 < old.count)
        return true;
    if (!fits(usage, old.count * 2 * sizeof(*old.slot)))
        return false;
    slots_init(slots, old.count * 2);
    for (size_t i = 0; i < old.count; i++)
        if (old.slot[i].taken_by)
            slots_put(slots, old.slot[i].hash, old.slot[i].taken_by - 1);
    free(old.slot);
    return true;
}

/* ---- strings ---- */

static struct text string_of(const struct usage *usage, uint32_t number)
{
    uint32_t start = number ? usage->string_end[number - 1] : 0;

    return (struct text){usage->bytes + start, usage->string_end[number] - start};
}

/* The number of a string, which gets one when it has none. */
static bool intern(struct usage *usage, struct text text, uint32_t *number)
{
    uint32_t hash = (uint32_t)hash_text(usage->seed, text);
    const struct slot *slot = usage->string_slots.slot;

    *number = 0;
    if (text.length == 0)
        return true;
    for (size_t at = hash & (usage->string_slots.count - 1); slot[at].taken_by;
         at = next_slot(&usage->string_slots, at))
        if (slot[at].hash == hash && text_equal(string_of(usage, slot[at].taken_by - 1), text)) {
            *number = slot[at].taken_by - 1;
            return true;
        }
    if (!room_for_string(usage, text.length) || !slots_grow(usage, &usage->string_slots))
        return false;
    memcpy(usage->bytes + usage->byte_count, text.data, text.length);
    usage->byte_count += text.length;
    *number = (uint32_t)usage->string_count++;
    usage->string_end[*number] = (uint32_t)usage->byte_count;
    slots_put(&usage->string_slots, hash, *number);
    return true;
}

/* ---- keys ---- */

static uint32_t hash_of(const struct usage *usage, const struct usage_event *event)
{
    uint64_t hash = hash_text(usage->seed + (unsigned)event->type, event->service);

    hash = hash_text(hash, event->user);
    if (event->namespace.length)
        hash = hash_text(hash, event->namespace);
    if (event->country.length)
        hash = hash_text(~hash, event->country);
    return (uint32_t)hash;
}

static bool is_key_of(const struct usage *usage, const struct key *key, const struct usage_event *event)
{
    return key->type == (unsigned)event->type && text_equal(string_of(usage, key->service), event->service) &&
           text_equal(string_of(usage, key->user), event->user) &&
           text_equal(string_of(usage, key->namespace), event->namespace) &&
           text_equal(string_of(usage, key->country), event->country);
}

static bool find_key(const struct usage *usage, const struct usage_event *event, uint32_t hash, uint32_t *out)
{
    const struct slot *slot = usage->key_slots.slot;

    for (size_t at = hash & (usage->key_slots.count - 1); slot[at].taken_by;
         at = next_slot(&usage->key_slots, at)) {
        *out = slot[at].taken_by - 1;
        if (slot[at].hash == hash && is_key_of(usage, &usage->keys[*out], event))
            return true;
    }
    return false;
}

static bool add_key(struct usage *usage, const struct key *key, uint32_t hash, uint32_t *out)
{
    if (!room_for_key(usage) || !slots_grow(usage, &usage->key_slots))
        return false;
    *out = (uint32_t)usage->key_count++;
    usage->keys[*out] = *key;
    usage->key_hash[*out] = hash;
    usage->last_row[*out] = 0;
    slots_put(&usage->key_slots, hash, *out);
    return true;
}

static bool add_event_key(struct usage *usage, const struct usage_event *event, uint32_t hash, uint32_t *out)
{
    struct key key = {.type = (unsigned)event->type & 3u};
    uint32_t country;

    if (!intern(usage, event->namespace, &key.namespace) || !intern(usage, event->service, &key.service) ||
        !intern(usage, event->user, &key.user) || !intern(usage, event->country, &country))
        return false;
    key.country = country & 0x3fffffffu;
    return add_key(usage, &key, hash, out);
}

/* ---- rows ---- */

/* What is known of an hour; the one that was not used for the longest time makes room for a new one. */
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
    *oldest = (struct recent){hour, true, (uint32_t)usage->row_count, 0};
    return oldest;
}

/* When the key's latest row is not one of the current hour. */
static bool add_old_or_new_row(struct usage *usage, int32_t hour, uint32_t key, uint64_t count)
{
    uint32_t row = usage->last_row[key];

    if (usage->current == NULL || usage->current->hour != hour) {
        usage->current = recent_of(usage, hour);
        usage->current->last_used = ++usage->clock;
        usage->current_from = usage->current->first_row;
    }
    for (int i = 0; i < RECENT_HOURS && row > usage->current->first_row; i++) {
        if (usage->rows[row - 1].hour == hour) {
            usage->rows[row - 1].count += count;
            return true;
        }
        row = usage->row_before[row - 1];
    }
    if (!room_for_row(usage))
        return false;
    usage->rows[usage->row_count] = (struct row){hour, key, count};
    usage->row_before[usage->row_count++] = usage->last_row[key];
    usage->last_row[key] = (uint32_t)usage->row_count;
    return true;
}

static inline bool add_row(struct usage *usage, int32_t hour, uint32_t key, uint64_t count)
{
    uint32_t row = usage->last_row[key];

    if (row <= usage->current_from || usage->rows[row - 1].hour != hour)
        return add_old_or_new_row(usage, hour, key, count);
    usage->rows[row - 1].count += count;
    return true;
}

/* ---- adding ---- */

/* The event with only valid UTF-8 in it, its texts in the buffer. */
static bool repair(struct buf *buf, struct usage_event *event)
{
    struct text *const texts[] = {&event->namespace, &event->service, &event->user, &event->country};
    size_t ends[sizeof(texts) / sizeof(texts[0])], start = 0;

    buf_clear(buf);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (!buf_add_utf8(buf, *texts[i]))
            return false;
        ends[i] = buf->length;
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); start = ends[i++])
        *texts[i] = (struct text){buf->data + start, ends[i] - start};
    return true;
}

static bool is_utf8(const struct usage_event *event)
{
    return text_is_utf8(event->namespace) && text_is_utf8(event->service) && text_is_utf8(event->user) &&
           text_is_utf8(event->country);
}

/* Only valid strings are kept, so a bad one is never found as it is. */
static bool add_as_utf8(struct usage *usage, struct usage_event event, uint32_t hash, uint32_t *out)
{
    if (is_utf8(&event))
        return add_event_key(usage, &event, hash, out);
    if (!repair(&usage->repaired, &event))
        return false;
    hash = hash_of(usage, &event);
    return find_key(usage, &event, hash, out) || add_event_key(usage, &event, hash, out);
}

bool usage_add(struct usage *usage, const struct usage_event *event, uint64_t count)
{
    uint32_t hash = hash_of(usage, event), key;

    return (find_key(usage, event, hash, &key) || add_as_utf8(usage, *event, hash, &key)) &&
           add_row(usage, (int32_t)event->hour, key, count);
}

/* ---- merging ---- */

/* Numbers of `from`, and what they are in `to`, once that was looked up. */
struct merge {
    struct usage *to;
    const struct usage *from;
    uint32_t *string; /* 0: not yet, or it is 0 */
    uint32_t *key;    /* + 1; 0: not yet */
};

/* Not yet told whether they are the same: by their bytes. */
static bool find_same(const struct merge *merge, uint32_t from, uint32_t to)
{
    if (merge->string[from] || from == 0 || to == 0 ||
        !text_equal(string_of(merge->from, from), string_of(merge->to, to)))
        return false;
    merge->string[from] = to;
    return true;
}

static inline bool is_same(const struct merge *merge, uint32_t from, uint32_t to)
{
    return merge->string[from] == to ? to || !from : find_same(merge, from, to);
}

static bool is_same_key(const struct merge *merge, const struct key *from, const struct key *to)
{
    return from->type == to->type && is_same(merge, from->service, to->service) &&
           is_same(merge, from->user, to->user) && is_same(merge, from->country, to->country) &&
           is_same(merge, from->namespace, to->namespace);
}

static bool translate(struct merge *merge, uint32_t from, uint32_t *to)
{
    if (from && merge->string[from] == 0 &&
        !intern(merge->to, string_of(merge->from, from), &merge->string[from]))
        return false;
    *to = merge->string[from];
    return true;
}

static bool add_translated(struct merge *merge, const struct key *from, uint32_t hash, uint32_t *out)
{
    struct key key = {.type = from->type};
    uint32_t country;

    if (!translate(merge, from->namespace, &key.namespace) ||
        !translate(merge, from->service, &key.service) || !translate(merge, from->user, &key.user) ||
        !translate(merge, from->country, &country))
        return false;
    key.country = country & 0x3fffffffu;
    return add_key(merge->to, &key, hash, out);
}

static bool translate_key(struct merge *merge, uint32_t index, uint32_t *out)
{
    const struct key *from = &merge->from->keys[index];
    const struct slots *slots = &merge->to->key_slots;
    uint32_t hash = merge->from->key_hash[index];

    for (size_t at = hash & (slots->count - 1); slots->slot[at].taken_by; at = next_slot(slots, at)) {
        *out = slots->slot[at].taken_by - 1;
        if (slots->slot[at].hash == hash && is_same_key(merge, from, &merge->to->keys[*out]))
            return true;
    }
    return add_translated(merge, from, hash, out);
}

static bool merge_row(struct merge *merge, const struct row *row, int32_t hour)
{
    uint32_t key;

    if (merge->key[row->key] == 0) {
        if (!translate_key(merge, row->key, &key))
            return false;
        merge->key[row->key] = key + 1;
    }
    return add_row(merge->to, hour, merge->key[row->key] - 1, row->count);
}

bool usage_merge(struct usage *usage, const struct usage *from, int64_t first, int64_t last,
                 enum usage_hours hours)
{
    struct merge merge = {usage, from, memory_new(from->string_count, sizeof(uint32_t)),
                          memory_new(from->key_count, sizeof(uint32_t))};
    bool fits_all = true;

    for (size_t i = 0; fits_all && i < from->row_count; i++) {
        const struct row *row = &from->rows[i];

        if (row->hour >= first && row->hour <= last)
            fits_all = merge_row(&merge, row, hours == USAGE_WITHOUT_HOURS ? 0 : row->hour);
    }
    free(merge.string);
    free(merge.key);
    return fits_all;
}

static void *copy_of(const void *from, size_t count, size_t size)
{
    return count > 0 ? memcpy(memory_grow(NULL, count, size), from, count * size) : NULL;
}

bool usage_copy(struct usage *usage, const struct usage *from)
{
    size_t slots = FIRST_SLOTS, max_bytes = usage->max_bytes;

    while (slots < 2 * from->string_count)
        slots *= 2;
    if (usage->row_count > 0 || usage->string_count > 1 ||
        !fits(usage, usage_bytes(from) + slots * sizeof(struct slot) +
                         (from->row_count + from->key_count) * sizeof(uint32_t)))
        return false;
    free_contents(usage);
    *usage = *from;
    usage->max_bytes = max_bytes;
    usage->current = NULL; /* it is one of theirs */
    usage->rows = copy_of(from->rows, from->row_count, sizeof(*usage->rows));
    usage->row_before = memory_new(from->row_capacity, sizeof(*usage->row_before));
    usage->keys = copy_of(from->keys, from->key_count, sizeof(*usage->keys));
    usage->key_hash = copy_of(from->key_hash, from->key_count, sizeof(*usage->key_hash));
    usage->last_row = memory_new(from->key_capacity, sizeof(*usage->last_row));
    usage->bytes = copy_of(from->bytes, from->byte_count, 1);
    usage->string_end = copy_of(from->string_end, from->string_count, sizeof(*usage->string_end));
    slots_init(&usage->key_slots, FIRST_SLOTS);
    slots_init(&usage->string_slots, slots);
    buf_init(&usage->repaired, max_bytes);
    for (uint32_t i = 1; i < usage->string_count; i++)
        slots_put(&usage->string_slots, (uint32_t)hash_text(usage->seed, string_of(usage, i)), i);
    return true;
}

/* ---- reading ---- */

size_t usage_row_count(const struct usage *usage)
{
    return usage->row_count;
}

struct usage_row usage_row(const struct usage *usage, size_t index)
{
    const struct row *row = &usage->rows[index];
    const struct key *key = &usage->keys[row->key];

    return (struct usage_row){
        row->hour, (enum usage_type)key->type, key->namespace, key->service, key->user, key->country,
        row->count};
}

size_t usage_string_count(const struct usage *usage)
{
    return usage->string_count;
}

struct text usage_string(const struct usage *usage, uint32_t number)
{
    return number ? string_of(usage, number) : TEXT_LITERAL("");
}
