/* Query templates (PromQL, LogQL): {{name}} is replaced by a value that is escaped for the place where it
 * stands, so that no value ever leaves its string or its regular expression. */
#ifndef OM_SOURCES_TEMPLATE_H
#define OM_SOURCES_TEMPLATE_H

#include <stdbool.h>
#include <stddef.h>

#include "util/text.h"

struct arena;

/* What one placeholder stands for. In a string behind = or != (and |= of LogQL) it is `text`. In one behind
 * =~ or !~ (and |~) it is `text`, each byte meant literally, followed by the regular expression `tail`.
 * With `texts` it stands for any of several: behind =~ and !~ an alternation ("a|b", in a group unless it is
 * the whole string), and nothing behind = and !=. */
struct template_value {
    const char *name;         /* with its braces: "{{service}}" */
    struct text text;         /* any bytes */
    const struct text *texts; /* not NULL: these instead of `text` and `tail`; needs `no_exact` */
    size_t text_count;        /* at least 1 */
    const char *tail;         /* ".*"; NULL: none */
    const char *no_exact;     /* why it cannot stand behind = and !=; NULL: it can */
    bool bare;     /* letters and digits alone: it may also stand outside strings and behind no operator */
    size_t used;   /* out: how often the template has it */
    size_t limits; /* out: how often of these behind an operator that lets only it through: not != and !~ */
    bool exact;    /* out: behind = or != at least once */
};

/* Fills in every placeholder that is in `values`; comments (from # to the end of the line) and other pairs of
 * braces are left as they are. In the arena. NULL when that cannot be done, and *why says it. */
const char *template_fill(struct arena *arena, const char *template, struct template_value *values,
                          size_t count, const char **why);

#endif
