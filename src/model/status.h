/* What a source could not see, in the words that the answer carries. */
#ifndef OM_MODEL_STATUS_H
#define OM_MODEL_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#include "caps.h"
#include "util/timestamp.h"

struct arena;

enum status_level { STATUS_OK, STATUS_PARTIAL, STATUS_MISSING };

/* The status of one source in one report. Notes live in the arena given to status_init(). */
struct source_status {
    struct arena *arena;
    const char *name; /* as the contract spells it: "prometheus", "request-logs", ... */
    enum status_level level;
    bool off; /* missing, and nothing but: the settings do not want it */
    bool has_time;
    struct instant last_updated; /* when the oldest of the data was read */
    const char *notes[STATUS_NOTES_MAX];
    bool open[STATUS_NOTES_MAX]; /* for everybody */
    size_t note_count;
};

void status_init(struct source_status *status, struct arena *arena, const char *name);

/* Says why something is not there, and raises the level to at least `level` (never OK; it never falls again).
 * The words are for an operator alone: no secret, no token, no text of a definition. A note said twice is
 * kept once. */
void status_note(struct source_status *status, enum status_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As status_note(), in words for every user: no name of a service, a person, a file or a server, and nothing
 * that somebody else worded. */
void status_note_open(struct source_status *status, enum status_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Nothing is wrong, and nothing is there: the operator has turned this source off. In an answer it is
 * missing, "not configured"; whoever looks after the program is told "off". What is noted besides makes it
 * missing there, too. */
void status_turned_off(struct source_status *status);

/* Leaves only the open notes, and one that says that there were others. The level stays. */
void status_hide_words(struct source_status *status);

/* All that a part of the source says, as if it had been said of the source itself. */
void status_join(struct source_status *status, const struct source_status *part);

/* Data of this source was read at that time; of several the oldest stays. */
void status_read_at(struct source_status *status, struct instant when);

/* "ok", "partial", "missing". */
const char *status_level_name(enum status_level level);

/* The notes as one string, joined by "; ", in the status' arena; NULL when the level is OK. */
const char *status_notes(const struct source_status *status);

#endif
