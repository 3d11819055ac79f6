/* Any bytes as what Loki answers: an answer is JSON, gives as many entries as were counted, all of them in
 * the range, in UTF-8; a taker stops the giving; whatever is none has a reason. The same bytes as statistics,
 * volumes and a refusal, whose words can stand in a note. */
#include <json-c/json.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "sources/loki_answer.h"
#include "util/arena.h"
#include "util/json.h"

enum { FROM = 100, TO = 1000, STEPS = 4 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

struct count {
    size_t taken, stop_at;
};

static bool take(void *context, const struct loki_entry *entry)
{
    struct count *count = context;

    must(entry->time >= FROM && entry->time < TO);
    must(text_is_utf8(entry->line) && text_is_utf8(entry->country));
    must(!text_is_nocase(entry->country, "unknown"));
    return ++count->taken != count->stop_at;
}

static void check_answer(struct arena *arena, struct text body)
{
    struct json_object *tree = json_read(body);
    struct loki_answer answer;
    const char *why = NULL;
    struct count count = {0, 0};

    if (!loki_answer_check(arena, body, FROM, TO, &answer, &why)) {
        must(why != NULL);
        if (text_starts(body, "{") || text_starts(body, "[")) /* json_read() gives nothing else for sure */
            must(text_is(text_of(why), "it is not JSON, or not all of it") == (tree == NULL));
        json_object_put(tree);
        return;
    }
    must(tree != NULL && why == NULL);
    must((answer.warning_count == 0) <= (answer.warning == NULL));
    must(loki_answer_each(body, take, &count) && count.taken == answer.entries);
    if (answer.entries > 0) {
        count = (struct count){0, (answer.entries + 1) / 2};
        must(!loki_answer_each(body, take, &count) && count.taken == count.stop_at);
    }
    json_object_put(tree);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long statuses[] = {302, 400, 404, 429, 500, 504};
    struct text body = {(const char *)data, size};
    struct arena *arena = arena_new();
    uint64_t bytes[STEPS];
    struct loki_stats stats;
    struct loki_refusal refusal;

    check_answer(arena, body);
    refusal = loki_refusal_read(arena, statuses[size % (sizeof(statuses) / sizeof(statuses[0]))], body);
    must(refusal.number >= 0 && (refusal.lesson != LOKI_FEWER || refusal.number > 0));
    must(text_is_utf8(text_of(refusal.why)));
    must(!loki_stats_read(body, &stats) || !loki_volume_read(body, 7200, 3600, bytes, STEPS) || size > 30);
    arena_free(arena);
    return 0;
}
