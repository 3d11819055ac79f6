/* Who sees what: services, lines with and without a namespace, hours. What is expected was decided by hand
 * from the definitions below. */
#include "unit.h"

#include "model/usage.h"
#include "report/scope.h"
#include "sources/inventory.h"
#include "sources/prometheus.h"
#include "util/arena.h"
#include "util/buf.h"

static struct text two_users[] = {{"x", 1}, {"u", 1}};

#define SERVICE(n, ns, o, v)                                                                                 \
    {                                                                                                        \
        .name = {(n), sizeof(n) - 1}, .namespace = {(ns), sizeof(ns) - 1}, .owner = {(o), sizeof(o) - 1},    \
        .visibility = (v)                                                                                    \
    }
#define SHARED_WITH(n, ns, o, v, count)                                                                      \
    {                                                                                                        \
        .name = {(n), sizeof(n) - 1}, .namespace = {(ns), sizeof(ns) - 1}, .owner = {(o), sizeof(o) - 1},    \
        .visibility = (v), .allowed_users = two_users, .allowed_user_count = (count)                         \
    }

/* As inventories come: by name, then namespace. x and b are others; u also has the namespace oscar-svc-u, and
 * had a service "again" there, which b has now, and a service "gone". */
static struct service services[] = {
    SERVICE("again", "oscar-svc-b", "b", VISIBILITY_PRIVATE),
    SERVICE("bad", "oscar-svc", "b", VISIBILITY_PUBLIC),
    SERVICE("half", "oscar-svc-b", "b", VISIBILITY_PRIVATE),
    SERVICE("half", "oscar-svc-u", "u", VISIBILITY_PRIVATE),
    SHARED_WITH("list", "oscar-svc", "b", VISIBILITY_RESTRICTED, 2),
    SHARED_WITH("list-private", "oscar-svc", "b", VISIBILITY_PRIVATE, 2),
    SHARED_WITH("list-without", "oscar-svc", "b", VISIBILITY_RESTRICTED, 1),
    SERVICE("mine", "oscar-svc", "u", VISIBILITY_PRIVATE),
    SERVICE("nobody", "oscar-svc", "", VISIBILITY_PRIVATE),
    SERVICE("open", "oscar-svc-b", "b", VISIBILITY_PUBLIC),
    SERVICE("twin", "oscar-svc", "b", VISIBILITY_PUBLIC),
    SERVICE("twin", "oscar-svc-u", "u", VISIBILITY_RESTRICTED),
};
static struct text broken[] = {{"bad", 3}, {"worse", 5}}, broken_in[] = {{"oscar-svc-c", 11}};

static const struct inventory inventory = {.services = services,
                                           .count = COUNT_OF(services),
                                           .broken = broken,
                                           .broken_count = COUNT_OF(broken),
                                           .broken_in = broken_in,
                                           .broken_in_count = COUNT_OF(broken_in),
                                           .whole = true};

static struct scope scope_for(struct arena *arena, const struct inventory *of, const char *user,
                              bool owned_only)
{
    const struct scope_rules rules = {
        .inventory = of,
        .user = text_of(user),
        .owned_only = owned_only,
        .services_namespace = TEXT_LITERAL("oscar-svc"),
    };

    return scope_of_user(arena, &rules);
}

struct line {
    const char *namespace, *service;
    bool visible, owned; /* seen by u under each of the two scopes */
    int line;
};

static const struct line lines[] = {
    {"", "open", true, false, __LINE__},
    {"oscar-svc-b", "open", true, false, __LINE__},
    {"oscar-svc", "open", false, false, __LINE__}, /* nothing of that name is there */
    {"", "list", true, false, __LINE__},
    {"oscar-svc", "list", true, false, __LINE__},
    {"", "list-private", false, false, __LINE__},
    {"oscar-svc", "list-private", false, false, __LINE__},
    {"", "list-without", false, false, __LINE__},
    {"oscar-svc", "list-without", false, false, __LINE__},
    {"", "mine", true, true, __LINE__},
    {"oscar-svc", "mine", true, true, __LINE__},
    {"oscar-svc-b", "mine", false, false, __LINE__},
    {"oscar-svc-u", "mine", false, true, __LINE__}, /* all of their own namespace is theirs */
    {"", "nobody", false, false, __LINE__},
    {"oscar-svc", "nobody", false, false, __LINE__},
    {"", "half", false, false, __LINE__}, /* whose line is it? */
    {"oscar-svc-u", "half", true, true, __LINE__},
    {"oscar-svc-b", "half", false, false, __LINE__},
    {"oscar-svc", "half", false, false, __LINE__},
    {"", "twin", true, false, __LINE__},
    {"oscar-svc", "twin", true, false, __LINE__},
    {"oscar-svc-u", "twin", true, true, __LINE__},
    {"oscar-svc-b", "twin", false, false, __LINE__}, /* b deleted theirs, whatever it was */
    {"", "bad", false, false, __LINE__},
    {"oscar-svc", "bad", false, false, __LINE__},
    {"", "worse", false, false, __LINE__},
    {"oscar-svc-c", "worse", false, false, __LINE__},
    {"", "again", false, false, __LINE__},
    {"oscar-svc-b", "again", false, false, __LINE__},
    {"oscar-svc-u", "again", false, true, __LINE__},
    {"", "gone", false, false, __LINE__},
    {"oscar-svc-u", "gone", false, true, __LINE__},
    {"oscar-svc-b", "gone", false, false, __LINE__},
    {"oscar-svc", "gone", false, false, __LINE__},
    {"oscar-svc-u2", "gone", false, false, __LINE__},
    {"", "", false, false, __LINE__},
    {"oscar-svc", "", false, false, __LINE__},
};

static void lines_by_their_namespace_or_by_all_of_that_name(void **state)
{
    struct arena *arena = arena_new();
    const struct scope visible = scope_for(arena, &inventory, "u", false);
    const struct scope owned = scope_for(arena, &inventory, "u", true);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct text namespace = text_of(lines[i].namespace), service = text_of(lines[i].service);

        if (scope_sees(&visible, namespace, service) != lines[i].visible ||
            scope_sees(&owned, namespace, service) != lines[i].owned)
            fail_msg("row of line %d", lines[i].line);
        if (scope_doubts(&visible, namespace, service) || scope_doubts(&owned, namespace, service))
            fail_msg("row of line %d: a doubt would be told", lines[i].line);
    }
    arena_free(arena);
}

/* The lens answers the same for rows, each twice, since the second time it does not look the service up. */
static void a_lens_shows_the_same(void **state)
{
    struct arena *arena = arena_new();
    struct usage *usage = usage_new(1 << 20);
    const struct scope scopes[] = {
        scope_for(arena, &inventory, "u", false),
        scope_for(arena, &inventory, "u", true),
        scope_for(arena, &inventory, "stranger", false),
        scope_of_owner(&inventory, TEXT_LITERAL("oscar-svc-u")),
        scope_everything(),
        {0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        const struct usage_event event = {.namespace = text_of(lines[i].namespace),
                                          .service = text_of(lines[i].service)};

        assert_true(usage_add(usage, &event, 1));
    }
    assert_int_equal(usage_row_count(usage), COUNT_OF(lines));
    for (size_t s = 0; s < COUNT_OF(scopes); s++) {
        struct scope_lens *lens = scope_lens_new(arena, &scopes[s], usage);

        for (size_t i = 0; i < 2 * COUNT_OF(lines); i++) {
            const struct line *line = &lines[i % COUNT_OF(lines)];
            const struct usage_row row = usage_row(usage, i % COUNT_OF(lines));

            if (scope_lens_sees(lens, &row) !=
                scope_sees(&scopes[s], text_of(line->namespace), text_of(line->service)))
                fail_msg("scope %zu, row of line %d", s, line->line);
        }
    }
    usage_free(usage);
    arena_free(arena);
}

static void access_to_single_services(void **state)
{
    static const struct {
        const char *service;
        enum scope_access visible, owned;
        int line;
    } rows[] = {
        {"open", SCOPE_SHOWN, SCOPE_HIDDEN, __LINE__},
        {"list", SCOPE_SHOWN, SCOPE_HIDDEN, __LINE__},
        {"list-private", SCOPE_HIDDEN, SCOPE_HIDDEN, __LINE__},
        {"list-without", SCOPE_HIDDEN, SCOPE_HIDDEN, __LINE__},
        {"mine", SCOPE_SHOWN, SCOPE_SHOWN, __LINE__},
        {"nobody", SCOPE_HIDDEN, SCOPE_HIDDEN, __LINE__},
        {"half", SCOPE_SHOWN, SCOPE_SHOWN, __LINE__},
        {"twin", SCOPE_SHOWN, SCOPE_SHOWN, __LINE__},
        {"bad", SCOPE_HIDDEN, SCOPE_HIDDEN, __LINE__},   /* a definition of it cannot be read */
        {"worse", SCOPE_HIDDEN, SCOPE_HIDDEN, __LINE__}, /* the only one cannot */
        {"again", SCOPE_HIDDEN, SCOPE_HIDDEN, __LINE__}, /* deleted, and another's now */
        {"gone", SCOPE_UNKNOWN, SCOPE_SHOWN, __LINE__},
        {"hal", SCOPE_UNKNOWN, SCOPE_SHOWN, __LINE__},
        {"half-", SCOPE_UNKNOWN, SCOPE_SHOWN, __LINE__},
    };
    struct arena *arena = arena_new();
    const struct scope visible = scope_for(arena, &inventory, "u", false);
    const struct scope owned = scope_for(arena, &inventory, "u", true);
    const struct scope all = scope_everything(), none = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text service = text_of(rows[i].service);

        if (scope_access(&visible, service) != rows[i].visible ||
            scope_access(&owned, service) != rows[i].owned || scope_access(&all, service) != SCOPE_SHOWN ||
            scope_access(&none, service) != SCOPE_HIDDEN)
            fail_msg("row of line %d", rows[i].line);
    }
    arena_free(arena);
}

static size_t active(const struct scope *scope)
{
    size_t count = 0;

    for (size_t i = 0; i < inventory.count; i++)
        count += scope_sees_definition(scope, &inventory, i);
    return count;
}

static void definitions_are_counted_each_by_itself(void **state)
{
    struct arena *arena = arena_new();
    const struct scope scopes[] = {
        scope_for(arena, &inventory, "u", false),
        scope_for(arena, &inventory, "u", true),
        scope_for(arena, &inventory, "stranger", false),
        scope_for(arena, &inventory, "", false),
        scope_of_owner(&inventory, TEXT_LITERAL("oscar-svc-u")),
        scope_everything(),
    };
    const size_t expected[] = {
        6, /* half in u's, list, mine, open, twin in both */
        3, /* half in u's, mine, twin in u's */
        2, /* open, twin in the shared one */
        0, /* nobody is not the owner of what has none */
        2, 12,
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        assert_int_equal(active(&scopes[i]), expected[i]);
    arena_free(arena);
}

/* "namespace: service service; namespace: *", as they come; "-" without a namespace. */
static const char *hours(struct arena *arena, const struct scope *scope, const char *service,
                         bool by_namespace)
{
    size_t count;
    const struct hours_part *parts = scope_hours(arena, scope, text_of(service), by_namespace, &count);
    struct buf out;
    const char *string;

    buf_init(&out, 4096);
    for (size_t i = 0; i < count; i++) {
        buf_add_string(&out, i > 0 ? "; " : "");
        buf_add(&out, parts[i].namespace.length > 0 ? parts[i].namespace : TEXT_LITERAL("-"));
        buf_add_string(&out, parts[i].service_count > 0 ? ":" : ": *");
        for (size_t j = 0; j < parts[i].service_count; j++) {
            buf_add_char(&out, ' ');
            buf_add(&out, parts[i].services[j]);
        }
    }
    string = arena_string(arena, buf_text(&out));
    buf_free(&out);
    return string;
}

static void hours_name_the_namespace_where_they_can(void **state)
{
    struct arena *arena = arena_new();
    const struct scope visible = scope_for(arena, &inventory, "u", false);
    const struct scope owned = scope_for(arena, &inventory, "u", true);
    const struct scope stranger = scope_for(arena, &inventory, "stranger", true);

    (void)state;
    assert_string_equal(hours(arena, &visible, "", true),
                        "oscar-svc: list mine twin; oscar-svc-b: open; oscar-svc-u: half twin");
    assert_string_equal(hours(arena, &visible, "twin", true), "oscar-svc: twin; oscar-svc-u: twin");
    assert_string_equal(hours(arena, &visible, "half", true), "oscar-svc-u: half");
    assert_string_equal(hours(arena, &visible, "bad", true), "");
    assert_string_equal(hours(arena, &visible, "gone", true), "");
    assert_string_equal(hours(arena, &owned, "", true), "oscar-svc-u: *; oscar-svc: mine");
    assert_string_equal(hours(arena, &owned, "mine", true), "oscar-svc-u: mine; oscar-svc: mine");
    assert_string_equal(hours(arena, &owned, "gone", true), "oscar-svc-u: gone");
    assert_string_equal(hours(arena, &stranger, "", true), "");
    assert_string_equal(hours(arena, &stranger, "gone", true), "");
    arena_free(arena);
}

static void hours_by_name_alone_are_those_that_nobody_hidden_shares(void **state)
{
    struct arena *arena = arena_new();
    const struct scope visible = scope_for(arena, &inventory, "u", false);
    const struct scope owned = scope_for(arena, &inventory, "u", true);

    (void)state;
    assert_string_equal(hours(arena, &visible, "", false), "-: list mine open twin");
    assert_string_equal(hours(arena, &visible, "twin", false), "-: twin");
    assert_string_equal(hours(arena, &visible, "half", false), "");
    assert_string_equal(hours(arena, &owned, "", false), "-: mine");
    assert_string_equal(hours(arena, &owned, "gone", false), "");
    arena_free(arena);
}

static void the_admins_hours(void **state)
{
    struct arena *arena = arena_new();
    const struct scope all = scope_everything(), none = {0};
    const struct scope owner = scope_of_owner(&inventory, TEXT_LITERAL("oscar-svc-u"));

    (void)state;
    assert_string_equal(hours(arena, &all, "", true), "-: *");
    assert_string_equal(hours(arena, &all, "gone", false), "-: gone");
    assert_string_equal(hours(arena, &owner, "", true), "oscar-svc-u: *");
    assert_string_equal(hours(arena, &owner, "gone", false), "oscar-svc-u: gone");
    assert_string_equal(hours(arena, &none, "", true), "");
    arena_free(arena);
}

/* One definition changes each time: is a deleted service's line from oscar-svc-u still u's? */
static void a_namespace_is_owned_only_without_any_sign_against_it(void **state)
{
    static const struct {
        struct service other; /* beside one of u's in oscar-svc-u */
        const char *broken, *broken_in;
        bool owned;
        int line;
    } rows[] = {
        {SERVICE("two", "oscar-svc-u", "u", VISIBILITY_PUBLIC), "none", "oscar-svc-c", true, __LINE__},
        {SERVICE("two", "oscar-svc-u", "b", VISIBILITY_PUBLIC), "none", "oscar-svc-c", false, __LINE__},
        {SERVICE("two", "oscar-svc-u", "", VISIBILITY_PUBLIC), "none", "oscar-svc-c", false, __LINE__},
        {SERVICE("two", "oscar-svc-u", "U", VISIBILITY_PUBLIC), "none", "oscar-svc-c", false, __LINE__},
        {SERVICE("two", "oscar-svc-u", "u", VISIBILITY_PUBLIC), "none", "oscar-svc-u", false, __LINE__},
        {SERVICE("two", "oscar-svc-u", "u", VISIBILITY_PUBLIC), "two", "oscar-svc-c", false, __LINE__},
        {SERVICE("two", "oscar-svc-u2", "b", VISIBILITY_PUBLIC), "none", "oscar-svc-c", true, __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct service both[] = {SERVICE("one", "oscar-svc-u", "u", VISIBILITY_PRIVATE), rows[i].other};
        struct text name = text_of(rows[i].broken), namespace = text_of(rows[i].broken_in);
        const struct inventory small = {.services = both,
                                        .count = 2,
                                        .broken = &name,
                                        .broken_count = 1,
                                        .broken_in = &namespace,
                                        .broken_in_count = 1,
                                        .whole = true};
        const struct scope scope = scope_for(arena, &small, "u", true);

        if (scope_sees(&scope, TEXT_LITERAL("oscar-svc-u"), TEXT_LITERAL("gone")) != rows[i].owned)
            fail_msg("row of line %d", rows[i].line);
    }
    arena_free(arena);
}

static void the_shared_namespace_is_nobodys(void **state)
{
    struct arena *arena = arena_new();
    struct service only[] = {SERVICE("one", "oscar-svc", "u", VISIBILITY_PRIVATE)};
    const struct inventory small = {.services = only, .count = 1, .whole = true};
    const struct scope scope = scope_for(arena, &small, "u", true);

    (void)state;
    assert_true(scope_sees(&scope, TEXT_LITERAL("oscar-svc"), TEXT_LITERAL("one")));
    assert_false(scope_sees(&scope, TEXT_LITERAL("oscar-svc"), TEXT_LITERAL("gone")));
    assert_string_equal(hours(arena, &scope, "", true), "oscar-svc: one");
    arena_free(arena);
}

static void an_owner_is_told_of_lines_that_may_be_theirs(void **state)
{
    const struct scope owner = scope_of_owner(&inventory, TEXT_LITERAL("oscar-svc-u"));
    const struct text none = {NULL, 0};

    (void)state;
    assert_true(scope_doubts(&owner, none, TEXT_LITERAL("half")));
    assert_true(scope_doubts(&owner, none, TEXT_LITERAL("twin")));
    assert_false(scope_doubts(&owner, none, TEXT_LITERAL("mine")));
    assert_false(scope_doubts(&owner, TEXT_LITERAL("oscar-svc-u"), TEXT_LITERAL("half")));
    assert_false(scope_sees(&owner, none, TEXT_LITERAL("half")));
    assert_true(scope_sees(&owner, TEXT_LITERAL("oscar-svc-u"), TEXT_LITERAL("half")));
    assert_false(scope_sees(&owner, none, TEXT_LITERAL("gone")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_by_their_namespace_or_by_all_of_that_name),
        cmocka_unit_test(a_lens_shows_the_same),
        cmocka_unit_test(access_to_single_services),
        cmocka_unit_test(definitions_are_counted_each_by_itself),
        cmocka_unit_test(hours_name_the_namespace_where_they_can),
        cmocka_unit_test(hours_by_name_alone_are_those_that_nobody_hidden_shares),
        cmocka_unit_test(the_admins_hours),
        cmocka_unit_test(a_namespace_is_owned_only_without_any_sign_against_it),
        cmocka_unit_test(the_shared_namespace_is_nobodys),
        cmocka_unit_test(an_owner_is_told_of_lines_that_may_be_theirs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
