/* Stable names in place of people's ids: "user-" and the first 128 bits of the id's HMAC-SHA-256 (RFC 2104)
 * in lower-case hexadecimal digits. The same key gives the same names in every process and after every start;
 * another key gives others. Without the key nobody can find out by trying whose a name is. */
#ifndef OM_REPORT_PSEUDONYM_H
#define OM_REPORT_PSEUDONYM_H

#include "util/text.h"

struct arena;

/* For whom, and by which key. */
struct pseudonyms {
    struct text key; /* empty: ids are shown as they are */
    struct text own; /* the id of the one who reads: it stays */
};

/* What is shown of an id: itself for the reader's own and for what is nobody's (the empty one, and those that
 * the manager logs for no person), else its pseudonym, in the arena. An id that has the form of a pseudonym
 * never stays, the reader's own neither, so that no two ids are shown as one. */
struct text pseudonym_of(const struct pseudonyms *pseudonyms, struct arena *arena, struct text id);

#endif
