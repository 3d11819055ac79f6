/* Levels and notes. */
#include "model/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "caps.h"
#include "util/arena.h"
#include "util/buf.h"

enum { NOTES_SIZE = 32 * 1024 }; /* fits all that are kept */

static const char *const level_names[] = {
    [STATUS_OK] = "ok",
    [STATUS_PARTIAL] = "partial",
    [STATUS_MISSING] = "missing",
};

void status_init(struct source_status *status, struct arena *arena, const char *name)
{
    *status = (struct source_status){.arena = arena, .name = name};
}

static bool has_note(const struct source_status *status, const char *note)
{
    for (size_t i = 0; i < status->note_count && i < STATUS_NOTES_MAX; i++)
        if (strcmp(status->notes[i], note) == 0)
            return true;
    return false;
}

static void add_note(struct source_status *status, bool open, const char *note)
{
    if (has_note(status, note))
        return;
    if (status->note_count < STATUS_NOTES_MAX) {
        status->notes[status->note_count] = arena_string(status->arena, text_of(note));
        status->open[status->note_count] = open;
    }
    status->note_count++;
}

__attribute__((format(printf, 4, 0))) static void note(struct source_status *status, enum status_level level,
                                                       bool open, const char *format, va_list args)
{
    char words[STATUS_NOTE_MAX_BYTES];

    if (level > status->level)
        status->level = level;
    status->off = false;
    vsnprintf(words, sizeof(words), format, args);
    add_note(status, open, words);
}

void status_note(struct source_status *status, enum status_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(status, level, false, format, args);
    va_end(args);
}

void status_note_open(struct source_status *status, enum status_level level, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    note(status, level, true, format, args);
    va_end(args);
}

void status_turned_off(struct source_status *status)
{
    bool alone = status->level == STATUS_OK;

    status_note_open(status, STATUS_MISSING, "not configured");
    status->off = alone;
}

void status_join(struct source_status *status, const struct source_status *part)
{
    if (part->level > status->level)
        status->level = part->level;
    if (part->level != STATUS_OK)
        status->off = false;
    for (size_t i = 0; i < part->note_count && i < STATUS_NOTES_MAX; i++)
        add_note(status, part->open[i], part->notes[i]);
    if (part->note_count > STATUS_NOTES_MAX)
        status->note_count += part->note_count - STATUS_NOTES_MAX;
    if (part->has_time)
        status_read_at(status, part->last_updated);
}

void status_hide_words(struct source_status *status)
{
    size_t said = status->note_count, kept = 0;

    for (size_t i = 0; i < said && i < STATUS_NOTES_MAX; i++)
        if (status->open[i]) {
            status->open[kept] = true;
            status->notes[kept++] = status->notes[i];
        }
    status->note_count = kept;
    if (kept < said)
        add_note(status, true,
                 status->level == STATUS_MISSING
                     ? "could not be read: the administrator's report says why"
                     : "could not be read in full: the administrator's report says what is missing");
}

void status_read_at(struct source_status *status, struct instant when)
{
    if (!status->has_time || instant_compare(when, status->last_updated) < 0)
        status->last_updated = when;
    status->has_time = true;
}

const char *status_level_name(enum status_level level)
{
    return level_names[level];
}

const char *status_notes(const struct source_status *status)
{
    struct buf joined;
    const char *out;

    if (status->level == STATUS_OK)
        return NULL;
    buf_init(&joined, NOTES_SIZE);
    for (size_t i = 0; i < status->note_count && i < STATUS_NOTES_MAX; i++) {
        if (i > 0)
            buf_add_string(&joined, "; ");
        buf_add_utf8(&joined, text_of(status->notes[i]));
    }
    if (status->note_count > STATUS_NOTES_MAX)
        buf_format(&joined, "; and %zu more", status->note_count - STATUS_NOTES_MAX);
    out = arena_string(status->arena, buf_text(&joined));
    buf_free(&joined);
    return out;
}
