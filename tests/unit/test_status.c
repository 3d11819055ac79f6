/* Notes: what everybody may read of them, and what the operator alone. */
#include "unit.h"

#include <stdio.h>

#include "model/status.h"
#include "util/arena.h"

static void the_operators_words_are_hidden_and_the_level_stays(void **state)
{
    struct arena *arena = arena_new();
    struct source_status status;

    (void)state;
    status_init(&status, arena, "request-logs");
    status_note(&status, STATUS_PARTIAL, "cannot read %s", "/secret/a.log");
    status_note_open(&status, STATUS_PARTIAL, "logs begin at %s", "2026-05-01T00:00:00Z");
    assert_string_equal(status_notes(&status),
                        "cannot read /secret/a.log; logs begin at 2026-05-01T00:00:00Z");
    status_hide_words(&status);
    assert_int_equal(status.level, STATUS_PARTIAL);
    assert_string_equal(status_notes(&status),
                        "logs begin at 2026-05-01T00:00:00Z; could not be read in full: the "
                        "administrator's report says what is missing");
    arena_free(arena);
}

static void what_is_for_everybody_stays_as_it_is(void **state)
{
    struct arena *arena = arena_new();
    struct source_status status;

    (void)state;
    status_init(&status, arena, "prometheus");
    status_hide_words(&status);
    assert_int_equal(status.level, STATUS_OK);
    assert_int_equal(status.note_count, 0);
    status_note_open(&status, STATUS_MISSING, "not configured");
    status_hide_words(&status);
    assert_string_equal(status_notes(&status), "not configured");
    arena_free(arena);
}

/* Those behind the eighth are only counted: nobody knows whose words they were. */
static void more_notes_than_are_kept_are_hidden_too(void **state)
{
    struct arena *arena = arena_new();
    struct source_status status;

    (void)state;
    status_init(&status, arena, "request-logs");
    for (int i = 0; i < 20; i++)
        status_note(&status, STATUS_MISSING, "cannot read %d.log", i);
    status_hide_words(&status);
    assert_string_equal(status_notes(&status), "could not be read: the administrator's report says why");
    arena_free(arena);
}

static void eight_notes_are_told_and_the_others_counted(void **state)
{
    struct arena *arena = arena_new();
    struct source_status status;

    (void)state;
    status_init(&status, arena, "request-logs");
    for (int i = 1; i <= STATUS_NOTES_MAX; i++)
        status_note(&status, STATUS_PARTIAL, "%d", i);
    assert_string_equal(status_notes(&status), "1; 2; 3; 4; 5; 6; 7; 8");
    status_note(&status, STATUS_PARTIAL, "9");
    assert_string_equal(status_notes(&status), "1; 2; 3; 4; 5; 6; 7; 8; and 1 more");
    arena_free(arena);
}

static void a_long_note_is_cut(void **state)
{
    static char words[STATUS_NOTE_MAX_BYTES + 1];
    struct arena *arena = arena_new();
    struct source_status status;

    (void)state;
    memset(words, 'w', STATUS_NOTE_MAX_BYTES);
    status_init(&status, arena, "request-logs");
    for (int i = 0; i < STATUS_NOTES_MAX; i++) {
        words[0] = (char)('0' + i);
        status_note(&status, STATUS_PARTIAL, "%s", words);
    }
    for (int i = 0; i < STATUS_NOTES_MAX; i++) {
        assert_int_equal(strlen(status.notes[i]), STATUS_NOTE_MAX_BYTES - 1);
        assert_int_equal(status.notes[i][0], '0' + i);
    }
    assert_int_equal(strlen(status_notes(&status)),
                     STATUS_NOTES_MAX * (STATUS_NOTE_MAX_BYTES - 1) + 2 * (STATUS_NOTES_MAX - 1));
    arena_free(arena);
}

/* Whoever looks after the program is not alarmed by it, unless something else is wrong with it. */
static void what_is_turned_off_is_missing_and_nothing_is_wrong(void **state)
{
    struct arena *arena = arena_new();
    struct source_status status, other;

    (void)state;
    status_init(&status, arena, "prometheus");
    assert_false(status.off);
    status_turned_off(&status);
    assert_true(status.off);
    assert_int_equal(status.level, STATUS_MISSING);
    assert_string_equal(status_notes(&status), "not configured");
    status_hide_words(&status);
    assert_true(status.off);
    assert_string_equal(status_notes(&status), "not configured");
    status_init(&other, arena, "part");
    status_join(&status, &other);
    assert_true(status.off);
    status_note(&other, STATUS_PARTIAL, "half of it");
    status_join(&status, &other);
    assert_false(status.off);
    status_turned_off(&other);
    assert_false(other.off);
    status_init(&other, arena, "prometheus");
    status_turned_off(&other);
    status_note(&other, STATUS_PARTIAL, "half of it");
    assert_false(other.off);
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_operators_words_are_hidden_and_the_level_stays),
        cmocka_unit_test(what_is_for_everybody_stays_as_it_is),
        cmocka_unit_test(more_notes_than_are_kept_are_hidden_too),
        cmocka_unit_test(eight_notes_are_told_and_the_others_counted),
        cmocka_unit_test(a_long_note_is_cut),
        cmocka_unit_test(what_is_turned_off_is_missing_and_nothing_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
