/* Who a provider says that a user is, and in which groups. */
#include "unit.h"

#include <string.h>

#include "auth/remembered.h"
#include "auth/userinfo.h"
#include "util/arena.h"

static const struct {
    enum userinfo_kind kind;
    const char *members;
    const char *groups; /* each with a comma behind it */
    int line;
} group_rows[] = {
    {USERINFO_OTHER, "", "", __LINE__},
    {USERINFO_OTHER, ",\"group_membership\":[\"/a\",\"b c\",\"A\"]", "/a,b c,A,", __LINE__},
    {USERINFO_OTHER, ",\"group_membership\":[]", "", __LINE__},
    {USERINFO_OTHER, ",\"group_membership\":\"a\"", "", __LINE__},
    {USERINFO_OTHER, ",\"group_membership\":{\"a\":\"a\"}", "", __LINE__},
    {USERINFO_OTHER, ",\"group_membership\":null", "", __LINE__},
    {USERINFO_OTHER, ",\"group_membership\":[7,null,[\"a\"],{\"a\":1},true,\"\",\"b\"]", "b,", __LINE__},
    {USERINFO_OTHER, ",\"entitlements\":[\"urn:mace:egi.eu:group:a:x\"],\"realm_access\":{\"roles\":[\"a\"]}",
     "", __LINE__},
    {USERINFO_AI4EOSC, ",\"realm_access\":{\"roles\":[\"a\",\"b\"]}", "a,b,", __LINE__},
    {USERINFO_AI4EOSC, ",\"realm_access\":[\"a\"]", "", __LINE__},
    {USERINFO_AI4EOSC, ",\"realm_access\":null", "", __LINE__},
    {USERINFO_AI4EOSC, ",\"realm_access\":{\"roles\":\"a\"}", "", __LINE__},
    {USERINFO_AI4EOSC, ",\"realm_access.roles\":[\"a\"],\"roles\":[\"b\"],\"group_membership\":[\"c\"]", "",
     __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\"urn:mace:egi.eu:group:vo.one:role=member#aai.egi.eu\"]", "vo.one,",
     __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\"URN:MACE:EGI.EU:GROUP:VO.One:Sub:role=vm_operator#aai\"]", "vo.one,",
     __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\"urn:mace:egi.eu:group:vo.one\"]", "vo.one,", __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\"urn:mace:egi.eu:group:\",\"urn:mace:egi.eu:group::x\"]", "",
     __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\"urn:mace:egi.eu:group\",\"urn:mace:egi.eu\",\"\"]", "", __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\"urn:mace:egi.eu:groups:a:b\",\"urn:mace:egi.eu.evil:group:a:b\"]",
     "", __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\" urn:mace:egi.eu:group:a:b\",\"xurn:mace:egi.eu:group:a:b\"]", "",
     __LINE__},
    {USERINFO_EGI, ",\"entitlements\":\"urn:mace:egi.eu:group:a:b\"", "", __LINE__},
    {USERINFO_EGI, ",\"entitlements\":[\"a\"],\"group_membership\":[\"a\"]", "", __LINE__},
};

static void groups(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(group_rows); i++) {
        const char *body = arena_format(arena, "{\"sub\":\"u\"%s}", group_rows[i].members), *found = "";
        struct userinfo user;

        if (!userinfo_read(arena, text_of(body), group_rows[i].kind, &user))
            fail_msg("line %d", group_rows[i].line);
        for (size_t k = 0; k < user.group_count; k++)
            found = arena_format(arena, "%s%s,", found, arena_string(arena, user.groups[k]));
        if (strcmp(found, group_rows[i].groups) != 0)
            fail_msg("line %d: %s", group_rows[i].line, found);
    }
    arena_free(arena);
}

static void subjects(void **state)
{
    static const struct {
        const char *body;
        bool is_read, has_subject;
        int line;
    } rows[] = {
        {"{\"sub\":\"u\"}", true, true, __LINE__},
        {"{}", true, false, __LINE__},
        {"{\"sub\":7}", true, false, __LINE__},
        {"{\"sub\":null}", true, false, __LINE__},
        {"{\"sub\":[\"u\"]}", true, false, __LINE__},
        {"{\"sub\":\"u\",\"sub\":\"v\"}", false, false, __LINE__},
        {"", false, false, __LINE__},
        {"null", false, false, __LINE__},
        {"[{\"sub\":\"u\"}]", false, false, __LINE__},
        {"\"u\"", false, false, __LINE__},
        {"{\"sub\":\"u\"} x", false, false, __LINE__},
        {"{\"sub\":\"\xff\"}", false, false, __LINE__},
        {"eyJhbGciOiJub25lIn0.e30.", false, false, __LINE__},
    };
    struct arena *arena = arena_new();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct userinfo user;

        if (userinfo_read(arena, text_of(rows[i].body), USERINFO_OTHER, &user) != rows[i].is_read ||
            text_is(user.subject, "u") != rows[i].has_subject)
            fail_msg("line %d", rows[i].line);
    }
    arena_free(arena);
}

static void one_group_of_the_list_is_enough(void **state)
{
    static const struct {
        bool any_case;
        const char *list;
        bool is_in;
        int line;
    } rows[] = {
        {false, "vo.one", true, __LINE__},       {false, "x, vo.one ,y", true, __LINE__},
        {false, ",,vo.one", true, __LINE__},     {false, "", false, __LINE__},
        {false, ",", false, __LINE__},           {false, "vo.on", false, __LINE__},
        {false, "vo.one.more", false, __LINE__}, {false, "VO.one", false, __LINE__},
        {true, "VO.one", true, __LINE__},        {false, "vo one", false, __LINE__},
        {false, "two words", true, __LINE__},    {false, " ", false, __LINE__},
    };
    const struct text groups[] = {TEXT_LITERAL("other"), TEXT_LITERAL("vo.one"), TEXT_LITERAL("two words"),
                                  TEXT_LITERAL("")};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct remembered user = {.any_case = rows[i].any_case};
        struct remembered *kept = remembered_new(&user, groups, COUNT_OF(groups));

        if (remembered_is_in(kept, text_of(rows[i].list)) != rows[i].is_in)
            fail_msg("line %d", rows[i].line);
        cache_value_release(&kept->value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups),
        cmocka_unit_test(subjects),
        cmocka_unit_test(one_group_of_the_list_is_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
