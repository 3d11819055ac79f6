/* Which ids of requests are taken from the web server, and which are made here. */
#include "unit.h"

#include "http/access_log.h"
#include "util/arena.h"

struct given {
    struct exchange exchange; /* first */
    const char *id;
};

static const char *parameter(struct exchange *exchange, const char *name)
{
    return strcmp(name, "REQUEST_ID") == 0 ? ((struct given *)exchange)->id : NULL;
}

static const struct exchange_ops ops = {.parameter = parameter};

#define A16 "0123456789abcdef"

static const struct {
    const char *id;
    bool accepted;
    int line;
} rows[] = {
    {"a", true, __LINE__},
    {"0123456789abcdefABCDEFxyzXYZ_.-", true, __LINE__},
    {A16 A16 A16 A16, true, __LINE__},
    {A16 A16 A16 A16 "0", false, __LINE__},
    {NULL, false, __LINE__},
    {"", false, __LINE__},
    {"a b", false, __LINE__},
    {"a=b", false, __LINE__},
    {"a\"b", false, __LINE__},
    {"a\nb", false, __LINE__},
    {"a/b", false, __LINE__},
    {"a:b", false, __LINE__},
    {"a@b", false, __LINE__},
    {"\xc3\xa9", false, __LINE__},
    {"a`", false, __LINE__},
    {"a[", false, __LINE__},
};

static void ids_are_taken_or_made(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct given given = {{.ops = &ops}, rows[i].id};
        const struct request request = {.exchange = &given.exchange, .arena = arena};
        const char *id = access_log_id(&request);

        if (rows[i].accepted != (rows[i].id && strcmp(id, rows[i].id) == 0))
            fail_msg("line %d: %s", rows[i].line, id);
        if (!rows[i].accepted && (strlen(id) != 32 || strspn(id, A16) != 32))
            fail_msg("line %d: %s is none of ours", rows[i].line, id);
        if (!rows[i].accepted && strcmp(id, access_log_id(&request)) == 0)
            fail_msg("line %d: the same twice", rows[i].line);
    }
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(ids_are_taken_or_made)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
