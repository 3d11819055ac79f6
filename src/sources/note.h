/* What strangers wrote (a backend's error, a file's name), made fit to stand in a note. */
#ifndef OM_SOURCES_NOTE_H
#define OM_SOURCES_NOTE_H

#include "util/text.h"

struct arena;

/* A copy with a space for each control character and U+FFFD for each byte that is no UTF-8; cut after about
 * `max_bytes`, between characters, with "..." in the place of the rest. */
const char *note_words(struct arena *arena, struct text text, size_t max_bytes);

#endif
