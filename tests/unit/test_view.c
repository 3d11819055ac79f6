/* Views: who is listed, who is counted, in which order. Expected values are added up by hand from the rows
 * below. */
#include "unit.h"

#include "report/scope.h"
#include "report/view.h"
#include "sources/inventory.h"
#include "util/arena.h"

static const struct row {
    int64_t hour;
    enum usage_type type;
    const char *namespace, *service, *user, *country;
    uint64_t count;
} rows[] = {
    {1, USAGE_SYNC, "", "yolo", "b2", "ES", 3},  {2, USAGE_SYNC, "", "yolo", "b2", "ES", 4},
    {2, USAGE_ASYNC, "", "yolo", "a1", "FR", 2}, {2, USAGE_ASYNC, "oscar-svc-u1", "yolo", "a1", "", 1},
    {3, USAGE_SYNC, "", "zeta", "", "FR", 5},    {3, USAGE_EXPOSED, "", "nb", "", "", 7},
    {3, USAGE_EXPOSED, "", "yolo", "", "", 1},   {4, USAGE_SYNC, "oscar-svc-u1", "gone", "B", "ES", 10},
};

struct fixture {
    struct arena *arena;
    struct usage *usage;
};

static int set_up(void **state)
{
    static struct fixture fixture;

    fixture = (struct fixture){arena_new(), usage_new(1 << 20)};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct usage_event event = {rows[i].hour,
                                          rows[i].type,
                                          text_of(rows[i].namespace),
                                          text_of(rows[i].service),
                                          text_of(rows[i].user),
                                          text_of(rows[i].country)};

        if (!usage_add(fixture.usage, &event, rows[i].count))
            return -1;
    }
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    usage_free(fixture->usage);
    arena_free(fixture->arena);
    return 0;
}

static void totals_count_everything_once(void **state)
{
    const struct fixture *f = *state;
    const struct scope all = scope_everything();
    size_t services;
    struct view_item totals = view_totals(f->arena, f->usage, &all, &services);

    assert_int_equal(services, 4);
    assert_int_equal(totals.requests[USAGE_SYNC], 22);
    assert_int_equal(totals.requests[USAGE_ASYNC], 3);
    assert_int_equal(totals.requests[USAGE_EXPOSED], 8);
    assert_int_equal(totals.user_count, 3);
    assert_true(text_is(totals.users[0], "B") && text_is(totals.users[1], "a1") &&
                text_is(totals.users[2], "b2"));
    assert_int_equal(totals.country_count, 2);
    assert_true(text_is(totals.countries[0].country, "ES") && totals.countries[0].requests == 17);
    assert_true(text_is(totals.countries[1].country, "FR") && totals.countries[1].requests == 7);
}

static void by_service(void **state)
{
    const struct fixture *f = *state;
    const struct scope all = scope_everything();
    struct view view = view_breakdown(f->arena, f->usage, &all, GROUP_BY_SERVICE);

    assert_int_equal(view.count, 4);
    assert_true(text_is(view.items[0].key, "gone") && text_is(view.items[1].key, "nb"));
    assert_int_equal(view.items[1].requests[USAGE_EXPOSED], 7);
    assert_int_equal(view_executions(&view.items[1]), 0);
    assert_int_equal(view.items[1].user_count, 0);
    assert_true(text_is(view.items[2].key, "yolo"));
    assert_int_equal(view.items[2].requests[USAGE_SYNC], 7);
    assert_int_equal(view.items[2].requests[USAGE_ASYNC], 3);
    assert_int_equal(view.items[2].requests[USAGE_EXPOSED], 1);
    assert_int_equal(view.items[2].user_count, 2);
    assert_true(text_is(view.items[2].users[0], "a1") && text_is(view.items[2].users[1], "b2"));
    assert_int_equal(view.items[2].countries[0].requests, 7);
    assert_int_equal(view.items[3].user_count, 0);
}

static void by_user_the_empty_id_has_its_row_and_exposed_requests_none(void **state)
{
    const struct fixture *f = *state;
    const struct scope all = scope_everything();
    struct view view = view_breakdown(f->arena, f->usage, &all, GROUP_BY_USER);

    assert_int_equal(view.count, 4);
    assert_int_equal(view.items[0].key.length, 0);
    assert_int_equal(view_executions(&view.items[0]), 5);
    assert_true(text_is(view.items[1].key, "B") && view_executions(&view.items[1]) == 10);
    assert_true(text_is(view.items[2].key, "a1") && view_executions(&view.items[2]) == 3);
    assert_int_equal(view.items[2].country_count, 1);
    assert_true(text_is(view.items[3].key, "b2") && view_executions(&view.items[3]) == 7);
}

static void by_country_what_is_not_known_is_called_so(void **state)
{
    const struct fixture *f = *state;
    const struct scope all = scope_everything();
    struct view view = view_breakdown(f->arena, f->usage, &all, GROUP_BY_COUNTRY);

    assert_int_equal(view.count, 3);
    assert_true(text_is(view.items[0].key, "ES") && view_executions(&view.items[0]) == 17);
    assert_int_equal(view.items[0].user_count, 2);
    assert_true(text_is(view.items[1].key, "FR") && view_executions(&view.items[1]) == 7);
    assert_int_equal(view.items[1].user_count, 1);
    assert_true(text_is(view.items[2].key, "unknown") && view_executions(&view.items[2]) == 1);
}

static void one_service_has_its_own_numbers_and_an_unknown_one_zeros(void **state)
{
    const struct fixture *f = *state;
    const struct scope all = scope_everything();
    struct view_item yolo = view_service(f->arena, f->usage, &all, TEXT_LITERAL("yolo"));
    struct view_item none = view_service(f->arena, f->usage, &all, TEXT_LITERAL("yol"));

    assert_int_equal(yolo.requests[USAGE_SYNC], 7);
    assert_int_equal(yolo.user_count, 2);
    assert_int_equal(view_executions(&none), 0);
    assert_int_equal(none.user_count, 0);
}

static void a_limited_scope_takes_lines_by_their_namespace_or_the_services(void **state)
{
    const struct fixture *f = *state;
    struct service services[] = {
        {.name = TEXT_LITERAL("yolo"), .namespace = TEXT_LITERAL("oscar-svc")},
        {.name = TEXT_LITERAL("zeta"), .namespace = TEXT_LITERAL("oscar-svc-u1")},
        {.name = TEXT_LITERAL("zeta"), .namespace = TEXT_LITERAL("oscar-svc-u2")},
    };
    const struct inventory inventory = {.services = services, .count = 3};
    const struct scope shared = scope_of_owner(&inventory, TEXT_LITERAL("oscar-svc")),
                       u1 = scope_of_owner(&inventory, TEXT_LITERAL("oscar-svc-u1"));
    size_t count;
    struct view_item totals = view_totals(f->arena, f->usage, &shared, &count);

    assert_int_equal(count, 1);
    assert_int_equal(view_executions(&totals), 9);
    assert_int_equal(totals.requests[USAGE_EXPOSED], 1);
    totals = view_totals(f->arena, f->usage, &u1, &count);
    assert_int_equal(count, 2);
    assert_int_equal(view_executions(&totals),
                     11); /* zeta is active twice: its lines belong to nobody for certain */
}

/* yolo is shown in one of its two namespaces, zeta in its only one, nb nowhere; "gone" has no definition. */
static void a_users_scope_takes_lines_by_the_service_that_runs_where_they_say(void **state)
{
    const struct fixture *f = *state;
    struct service services[] = {
        {.name = TEXT_LITERAL("nb"), .namespace = TEXT_LITERAL("oscar-svc"), .owner = TEXT_LITERAL("x")},
        {.name = TEXT_LITERAL("yolo"), .namespace = TEXT_LITERAL("oscar-svc"), .owner = TEXT_LITERAL("x")},
        {.name = TEXT_LITERAL("yolo"), .namespace = TEXT_LITERAL("oscar-svc-u1"), .owner = TEXT_LITERAL("u")},
        {.name = TEXT_LITERAL("zeta"),
         .namespace = TEXT_LITERAL("oscar-svc"),
         .visibility = VISIBILITY_PUBLIC},
    };
    const struct inventory inventory = {.services = services, .count = COUNT_OF(services)};
    const struct scope_rules rules = {
        .inventory = &inventory, .user = TEXT_LITERAL("u"), .services_namespace = TEXT_LITERAL("oscar-svc")};
    const struct scope scope = scope_of_user(f->arena, &rules);
    size_t count;
    struct view_item totals = view_totals(f->arena, f->usage, &scope, &count);
    struct view_item yolo = view_service(f->arena, f->usage, &scope, TEXT_LITERAL("yolo"));
    struct view by_service = view_breakdown(f->arena, f->usage, &scope, GROUP_BY_SERVICE);
    struct view by_user = view_breakdown(f->arena, f->usage, &scope, GROUP_BY_USER);
    struct view by_country = view_breakdown(f->arena, f->usage, &scope, GROUP_BY_COUNTRY);

    assert_int_equal(count, 2);
    assert_int_equal(totals.requests[USAGE_SYNC], 5);
    assert_int_equal(totals.requests[USAGE_ASYNC], 1);
    assert_int_equal(totals.requests[USAGE_EXPOSED], 0);
    assert_int_equal(totals.user_count, 1);
    assert_true(text_is(totals.users[0], "a1"));
    assert_int_equal(totals.country_count, 1);
    assert_true(text_is(totals.countries[0].country, "FR") && totals.countries[0].requests == 5);
    assert_int_equal(yolo.requests[USAGE_SYNC] + yolo.requests[USAGE_EXPOSED], 0);
    assert_int_equal(yolo.requests[USAGE_ASYNC], 1);
    assert_int_equal(by_service.count, 2);
    assert_true(text_is(by_service.items[0].key, "yolo") && text_is(by_service.items[1].key, "zeta"));
    assert_int_equal(by_user.count, 2);
    assert_true(by_user.items[0].key.length == 0 && text_is(by_user.items[1].key, "a1"));
    assert_int_equal(by_country.count, 2);
    assert_true(text_is(by_country.items[0].key, "FR") && text_is(by_country.items[1].key, "unknown"));
}

/* The pseudonyms are openssl's: printf %s ID | openssl dgst -sha256 -hmac KEY */
static void users_behind_pseudonyms_are_sorted_by_what_is_shown(void **state)
{
    static const char a1[] = "user-cb1afd9cacf9069a4db4c00b9259ab75",
                      b2[] = "user-1f399c410d4612ce7ef3d5b2c8ed76f7",
                      B[] = "user-6e62a537af0c3c140fa914198da053c0";
    const struct fixture *f = *state;
    struct service services[] = {
        {.name = TEXT_LITERAL("gone"),
         .namespace = TEXT_LITERAL("oscar-svc-u1"),
         .owner = TEXT_LITERAL("a1")},
        {.name = TEXT_LITERAL("yolo"), .namespace = TEXT_LITERAL("oscar-svc"), .owner = TEXT_LITERAL("a1")},
        {.name = TEXT_LITERAL("zeta"), .namespace = TEXT_LITERAL("oscar-svc"), .owner = TEXT_LITERAL("a1")},
    };
    const struct inventory inventory = {.services = services, .count = COUNT_OF(services)};
    const struct scope_rules rules = {.inventory = &inventory,
                                      .user = TEXT_LITERAL("a1"),
                                      .pseudonym_key =
                                          TEXT_LITERAL("0123456789abcdef0123456789abcdef0123456789abcdef"),
                                      .services_namespace = TEXT_LITERAL("oscar-svc")};
    const struct scope scope = scope_of_user(f->arena, &rules);
    size_t count;
    struct view_item totals = view_totals(f->arena, f->usage, &scope, &count);
    struct view by_service = view_breakdown(f->arena, f->usage, &scope, GROUP_BY_SERVICE);
    struct view by_user = view_breakdown(f->arena, f->usage, &scope, GROUP_BY_USER);
    struct view by_country = view_breakdown(f->arena, f->usage, &scope, GROUP_BY_COUNTRY);

    assert_int_equal(totals.user_count, 3);
    assert_true(text_is(totals.users[0], "a1") && text_is(totals.users[1], b2) &&
                text_is(totals.users[2], B));
    assert_int_equal(by_service.count, 3);
    assert_true(by_service.items[0].user_count == 1 && text_is(by_service.items[0].users[0], B));
    assert_true(by_service.items[1].user_count == 2 && text_is(by_service.items[1].users[0], "a1") &&
                text_is(by_service.items[1].users[1], b2));
    assert_int_equal(by_user.count, 4);
    assert_true(by_user.items[0].key.length == 0 && view_executions(&by_user.items[0]) == 5);
    assert_true(text_is(by_user.items[1].key, "a1") && view_executions(&by_user.items[1]) == 2);
    assert_true(text_is(by_user.items[2].key, b2) && view_executions(&by_user.items[2]) == 7);
    assert_true(text_is(by_user.items[3].key, B) && view_executions(&by_user.items[3]) == 10);
    assert_true(by_country.count == 2 && text_is(by_country.items[0].key, "ES"));

    /* The admin's reports have no key. */
    totals = view_totals(f->arena, f->usage, &(const struct scope){.kind = SCOPE_ALL}, &count);
    assert_true(text_is(totals.users[0], "B") && !text_is(totals.users[1], a1));
}

static void a_scope_that_nobody_set_shows_nothing(void **state)
{
    const struct fixture *f = *state;
    const struct scope none = {0};
    size_t count;
    struct view_item totals = view_totals(f->arena, f->usage, &none, &count);

    assert_int_equal(count, 0);
    assert_int_equal(view_executions(&totals) + totals.requests[USAGE_EXPOSED], 0);
    assert_int_equal(view_breakdown(f->arena, f->usage, &none, GROUP_BY_USER).count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(totals_count_everything_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_service, set_up, tear_down),
        cmocka_unit_test_setup_teardown(by_user_the_empty_id_has_its_row_and_exposed_requests_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(by_country_what_is_not_known_is_called_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_service_has_its_own_numbers_and_an_unknown_one_zeros, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_limited_scope_takes_lines_by_their_namespace_or_the_services,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_users_scope_takes_lines_by_the_service_that_runs_where_they_say,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(users_behind_pseudonyms_are_sorted_by_what_is_shown, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_scope_that_nobody_set_shows_nothing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
