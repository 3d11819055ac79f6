/* Owners: from what namespaces say, else from what definitions state; and their names. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "report/owners.h"
#include "report/render.h"
#include "sources/inventory.h"
#include "util/arena.h"
#include "util/buf.h"

#define T(s)                                                                                                 \
    {                                                                                                        \
        (s), sizeof(s) - 1                                                                                   \
    }

/* Sorted by name, then namespace. */
static const struct service services[] = {
    {.name = T("a"), .namespace = T("oscar-svc"), .owner = T("old@x"), .owner_name = T("Old_Hand")},
    {.name = T("b"), .namespace = T("svc-z"), .owner = T("z@x")},
    {.name = T("c"), .namespace = T("svc-z"), .owner = T("z@x"), .owner_name = T("Zoe_de_la_Z")},
    {.name = T("d"), .namespace = T("svc-m"), .owner = T("other@x"), .owner_name = T("Other")},
    {.name = T("e"), .namespace = T("svc-n")},
};
static const struct namespace_owner namespaces[] = {
    {T("oscar-svc"), T("nobody@x")}, {T("svc-c"), T("cluster_admin")}, {T("svc-gone"), T("gone@x")},
    {T("svc-m"), T("m@x")},          {T("svc-o"), T("old@x")},         {T("svc-z"), T("z@x")},
};

static const char *describe(struct arena *arena, const struct inventory *inventory)
{
    const struct owners owners = owners_of(arena, inventory, "oscar-svc");
    struct buf out;
    const char *string;

    buf_init(&out, 4096);
    for (size_t i = 0; i < owners.count; i++)
        buf_format(&out, "%s%.*s|%.*s|%.*s", i ? " " : "", (int)owners.list[i].id.length,
                   owners.list[i].id.data, (int)owners.list[i].name.length, owners.list[i].name.data,
                   (int)owners.list[i].namespace.length, owners.list[i].namespace.data);
    string = arena_string(arena, buf_text(&out));
    buf_free(&out);
    return string;
}

static void namespaces_decide(void **state)
{
    const struct inventory inventory = {.services = services,
                                        .count = COUNT_OF(services),
                                        .namespaces = namespaces,
                                        .namespace_count = COUNT_OF(namespaces),
                                        .namespaces_known = true};
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(describe(arena, &inventory),
                        "gone@x|gone@x|svc-gone m@x|m@x|svc-m old@x|Old Hand|svc-o "
                        "cluster_admin|oscar|oscar-svc z@x|Zoe de la Z|svc-z");
    arena_free(arena);
}

static void without_them_definitions_do(void **state)
{
    const struct inventory inventory = {.services = services, .count = COUNT_OF(services)};
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(describe(arena, &inventory),
                        "cluster_admin|oscar|oscar-svc other@x|Other|svc-m z@x|Zoe de la Z|svc-z");
    arena_free(arena);
}

static void the_shared_owner_is_always_there(void **state)
{
    const struct inventory nothing = {.namespaces_known = true};
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(describe(arena, &nothing), "cluster_admin|oscar|oscar-svc");
    arena_free(arena);
}

static void an_answer_that_does_not_fit_is_none(void **state)
{
    struct owner owner = {TEXT_LITERAL("id"), TEXT_LITERAL("name"), TEXT_LITERAL("namespace")};
    struct owners owners = {&owner, 1};
    struct buf out;
    size_t length;

    (void)state;
    buf_init(&out, RENDER_ANSWER_MAX_BYTES);
    assert_true(render_owners(&owners, &out));
    length = out.length;
    buf_free(&out);
    for (size_t less = 0; less <= 1; less++) {
        buf_init(&out, length - less);
        assert_int_equal(render_owners(&owners, &out), !less);
        buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(namespaces_decide),
        cmocka_unit_test(without_them_definitions_do),
        cmocka_unit_test(the_shared_owner_is_always_there),
        cmocka_unit_test(an_answer_that_does_not_fit_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
