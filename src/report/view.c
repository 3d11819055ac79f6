/* Keys, users and countries become ranks (their places in byte order), so that sets are sorts of numbers. */
#include "report/view.h"

#include <stdlib.h>
#include <string.h>

#include "report/scope.h"
#include "util/arena.h"

enum { NO_ITEM = -1, DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS };

/* One (item, member) pair: a user or a country of an item. */
struct pair {
    uint64_t key; /* item << 32 | rank of the member */
    uint64_t count;
};

struct pairs {
    struct pair *pair;
    size_t count;
};

struct pass {
    struct arena *arena;
    const struct usage *usage;
    const struct pseudonyms *pseudonyms;
    struct scope_lens *lens;
    struct text *sorted; /* every string of the usage, in byte order */
    uint32_t *rank;      /* string number -> place in `sorted` */
    struct text *shown;  /* what was made of a user, by place in `sorted` */
    bool *seen_service;  /* by string number */
    struct pairs users, countries;
    struct view view;
};

uint64_t view_executions(const struct view_item *item)
{
    return item->requests[USAGE_SYNC] + item->requests[USAGE_ASYNC];
}

static int compare_texts(const void *a, const void *b)
{
    return text_compare(*(const struct text *)a, *(const struct text *)b);
}

static int compare_items(const void *a, const void *b)
{
    return text_compare(((const struct view_item *)a)->key, ((const struct view_item *)b)->key);
}

/* A string with the number that it has in the usage. Sorting these ranks the numbers. */
struct numbered {
    struct text text;
    uint32_t number;
};

static int compare_numbered(const void *a, const void *b)
{
    return compare_texts(&((const struct numbered *)a)->text, &((const struct numbered *)b)->text);
}

static void rank_strings(struct pass *pass)
{
    size_t count = usage_string_count(pass->usage);
    struct numbered *all = ARENA_ARRAY(pass->arena, count, struct numbered);

    for (size_t i = 0; i < count; i++)
        all[i] = (struct numbered){usage_string(pass->usage, (uint32_t)i), (uint32_t)i};
    qsort(all, count, sizeof(*all), compare_numbered);
    pass->sorted = ARENA_ARRAY(pass->arena, count, struct text);
    pass->rank = ARENA_ARRAY(pass->arena, count, uint32_t);
    for (size_t i = 0; i < count; i++) {
        pass->sorted[i] = all[i].text;
        pass->rank[all[i].number] = (uint32_t)i;
    }
}

static void pass_init(struct pass *pass, struct arena *arena, const struct usage *usage,
                      const struct scope *scope)
{
    size_t rows = usage_row_count(usage);

    *pass = (struct pass){.arena = arena,
                          .usage = usage,
                          .pseudonyms = &scope->pseudonyms,
                          .lens = scope_lens_new(arena, scope, usage)};
    pass->users.pair = ARENA_ARRAY(arena, rows + 1, struct pair);
    pass->countries.pair = ARENA_ARRAY(arena, rows + 1, struct pair);
    pass->seen_service = ARENA_ARRAY(arena, usage_string_count(usage), bool);
    pass->shown = ARENA_ARRAY(arena, usage_string_count(usage), struct text);
    rank_strings(pass);
}

static void add_pair(struct pairs *pairs, size_t item, uint32_t rank, uint64_t count)
{
    pairs->pair[pairs->count++] = (struct pair){(uint64_t)item << 32 | rank, count};
}

static void add_row(struct pass *pass, size_t item, const struct usage_row *row)
{
    pass->view.items[item].requests[row->type] += row->count;
    pass->seen_service[row->service] = true;
    if (row->type == USAGE_EXPOSED)
        return;
    if (row->user)
        add_pair(&pass->users, item, pass->rank[row->user], row->count);
    if (row->country)
        add_pair(&pass->countries, item, pass->rank[row->country], row->count);
}

/* By digits, the lowest first: some three passes, where comparing takes seventeen. */
static void sort(struct arena *arena, struct pairs *pairs)
{
    struct pair *other = ARENA_ARRAY(arena, pairs->count, struct pair);
    size_t *place = ARENA_ARRAY(arena, DIGITS, size_t);
    uint64_t differ = 0;

    for (size_t i = 1; i < pairs->count; i++)
        differ |= pairs->pair[i].key ^ pairs->pair[0].key;
    for (unsigned shift = 0; shift < 64; shift += DIGIT_BITS) {
        struct pair *from = pairs->pair;
        size_t before = 0;

        if ((differ >> shift) % DIGITS == 0)
            continue;
        memset(place, 0, DIGITS * sizeof(*place));
        for (size_t i = 0; i < pairs->count; i++)
            place[(from[i].key >> shift) % DIGITS]++;
        for (size_t i = 0; i < DIGITS; i++) {
            size_t here = place[i];

            place[i] = before;
            before += here;
        }
        for (size_t i = 0; i < pairs->count; i++)
            other[place[(from[i].key >> shift) % DIGITS]++] = from[i];
        pairs->pair = other;
        other = from;
    }
}

/* Sorts, and adds up the pairs with one key. */
static void unite(struct arena *arena, struct pairs *pairs)
{
    size_t out = 0;

    sort(arena, pairs);
    for (size_t i = 0; i < pairs->count; i++) {
        if (out > 0 && pairs->pair[out - 1].key == pairs->pair[i].key)
            pairs->pair[out - 1].count += pairs->pair[i].count;
        else
            pairs->pair[out++] = pairs->pair[i];
    }
    pairs->count = out;
}

/* What the user at that place is called in the report. */
static struct text shown_user(struct pass *pass, uint32_t rank)
{
    if (pass->shown[rank].data == NULL)
        pass->shown[rank] = pseudonym_of(pass->pseudonyms, pass->arena, pass->sorted[rank]);
    return pass->shown[rank];
}

/* The lists come in the order of ids, which would tell something of those behind pseudonyms. */
static void sort_users(struct pass *pass)
{
    if (pass->pseudonyms->key.length == 0)
        return;
    for (size_t i = 0; i < pass->view.count; i++)
        if (pass->view.items[i].user_count > 1)
            qsort(pass->view.items[i].users, pass->view.items[i].user_count, sizeof(struct text),
                  compare_texts);
}

static void hand_out_users(struct pass *pass)
{
    struct text *users = ARENA_ARRAY(pass->arena, pass->users.count + 1, struct text);

    for (size_t i = 0; i < pass->users.count; i++) {
        struct view_item *item = &pass->view.items[pass->users.pair[i].key >> 32];

        users[i] = shown_user(pass, (uint32_t)pass->users.pair[i].key);
        if (item->user_count++ == 0)
            item->users = &users[i];
    }
    sort_users(pass);
}

static void hand_out_countries(struct pass *pass)
{
    struct country_count *all = ARENA_ARRAY(pass->arena, pass->countries.count + 1, struct country_count);

    for (size_t i = 0; i < pass->countries.count; i++) {
        struct view_item *item = &pass->view.items[pass->countries.pair[i].key >> 32];

        all[i] = (struct country_count){pass->sorted[(uint32_t)pass->countries.pair[i].key],
                                        pass->countries.pair[i].count};
        if (item->country_count++ == 0)
            item->countries = &all[i];
    }
}

static void finish(struct pass *pass)
{
    unite(pass->arena, &pass->users);
    unite(pass->arena, &pass->countries);
    hand_out_users(pass);
    hand_out_countries(pass);
}

struct view_item view_totals(struct arena *arena, const struct usage *usage, const struct scope *scope,
                             size_t *services)
{
    struct view_item totals = {0};
    struct pass pass;

    pass_init(&pass, arena, usage, scope);
    pass.view = (struct view){&totals, 1};
    for (size_t i = 0; i < usage_row_count(usage); i++) {
        const struct usage_row row = usage_row(usage, i);

        if (scope_lens_sees(pass.lens, &row))
            add_row(&pass, 0, &row);
    }
    finish(&pass);
    *services = 0;
    for (size_t i = 0; i < usage_string_count(usage); i++)
        *services += pass.seen_service[i];
    return totals;
}

struct view_item view_service(struct arena *arena, const struct usage *usage, const struct scope *scope,
                              struct text service)
{
    struct view_item item = {.key = service};
    struct pass pass;

    pass_init(&pass, arena, usage, scope);
    pass.view = (struct view){&item, 1};
    for (size_t i = 0; i < usage_row_count(usage); i++) {
        const struct usage_row row = usage_row(usage, i);

        if (text_equal(usage_string(usage, row.service), service) && scope_lens_sees(pass.lens, &row))
            add_row(&pass, 0, &row);
    }
    finish(&pass);
    return item;
}

static uint32_t key_of(const struct usage_row *row, enum group_by group_by)
{
    switch (group_by) {
    case GROUP_BY_SERVICE:
        return row->service;
    case GROUP_BY_USER:
        return row->user;
    case GROUP_BY_COUNTRY:
        return row->country;
    }
    return 0;
}

static struct text key_text(struct pass *pass, uint32_t key, enum group_by group_by)
{
    if (group_by == GROUP_BY_USER)
        return shown_user(pass, pass->rank[key]);
    return group_by == GROUP_BY_COUNTRY && key == 0 ? TEXT_LITERAL("unknown")
                                                    : usage_string(pass->usage, key);
}

struct view view_breakdown(struct arena *arena, const struct usage *usage, const struct scope *scope,
                           enum group_by group_by)
{
    size_t strings = usage_string_count(usage);
    int64_t *item_of = ARENA_ARRAY(arena, strings, int64_t);
    struct pass pass;

    pass_init(&pass, arena, usage, scope);
    pass.view.items = ARENA_ARRAY(arena, strings, struct view_item);
    for (size_t i = 0; i < strings; i++)
        item_of[i] = NO_ITEM;
    for (size_t i = 0; i < usage_row_count(usage); i++) {
        const struct usage_row row = usage_row(usage, i);
        uint32_t key = key_of(&row, group_by);

        if ((row.type == USAGE_EXPOSED && group_by != GROUP_BY_SERVICE) || !scope_lens_sees(pass.lens, &row))
            continue;
        if (item_of[key] == NO_ITEM) {
            item_of[key] = (int64_t)pass.view.count++;
            pass.view.items[item_of[key]].key = key_text(&pass, key, group_by);
        }
        add_row(&pass, (size_t)item_of[key], &row);
    }
    finish(&pass);
    qsort(pass.view.items, pass.view.count, sizeof(*pass.view.items), compare_items);
    return pass.view;
}
