/* Path, query, Authorization and Cache-Control, one line each of the input: whatever they hold, the pieces
 * that read them give an answer, and one that keeps what they promise. */
#include <stdint.h>
#include <stdlib.h>

#include "auth/auth.h"
#include "http/cache_control.h"
#include "http/query.h"
#include "http/route.h"
#include "settings.h"
#include "util/arena.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(void *context, const char *name)
{
    (void)context;
    if (text_is(text_of(name), "OSCAR_USERNAME"))
        return "oscar";
    return text_is(text_of(name), "OSCAR_PASSWORD") ? "a password that nobody guesses" : NULL;
}

static void check_query(struct arena *arena, struct text query, enum report_kind kind)
{
    const struct query_rules rules = {{1769932800, 0}, 400LL * 24 * 3600 * 1000};
    struct question question = {.kind = kind};
    char text[TIMESTAMP_SIZE];

    if (query_parse(arena, query, &rules, &question))
        return;
    if (instant_compare(question.start.instant, question.end.instant) > 0 ||
        !timestamp_format(question.start, text) || !timestamp_format(question.end, text))
        abort();
}

static bool holds(struct text header, struct text word)
{
    for (; header.length >= word.length; header = text_skip(header, 1))
        if (text_compare_nocase((struct text){header.data, word.length}, word) == 0)
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct settings *settings;
    struct text rest = {(const char *)data, size}, path = text_cut(&rest, '\n'),
                query = text_cut(&rest, '\n'), authorization = text_cut(&rest, '\n');
    struct text segment = {NULL, 0};
    struct arena *arena = arena_new();
    struct identity identity;
    struct auth_refusal refusal;
    const struct route *route;

    if (settings == NULL)
        settings = settings_read(lookup, NULL, NULL);
    route = route_find(path, &segment);
    if (route && segment.length > path.length)
        abort();
    for (int kind = REPORT_SUMMARY; kind <= REPORT_OWNERS; kind++)
        check_query(arena, query, (enum report_kind)kind);
    if (auth_check(&(struct auth_context){.settings = settings, .arena = arena, .client = -1},
                   arena_string(arena, authorization), &identity, &refusal) == AUTH_PASSED)
        abort();
    if (cache_control_has(rest, "no-cache") && !holds(rest, TEXT_LITERAL("no-cache")))
        abort();
    arena_free(arena);
    return 0;
}
