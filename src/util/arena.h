/* The memory of one request: taken in pieces, given back all at once. One thread at a time. */
#ifndef OM_UTIL_ARENA_H
#define OM_UTIL_ARENA_H

#include <stddef.h>

#include "util/text.h"

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena); /* NULL is allowed */
void arena_reset(struct arena *arena);
size_t arena_bytes(const struct arena *arena); /* that it has taken */

/* Zeroed, aligned for any type, never NULL; lives until the next reset. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);
#define ARENA_NEW(arena, type)          ((type *)arena_alloc((arena), 1, sizeof(type)))
#define ARENA_ARRAY(arena, count, type) ((type *)arena_alloc((arena), (count), sizeof(type)))

/* Copies, with a NUL behind them that the length does not count. */
struct text arena_text(struct arena *arena, struct text text);
const char *arena_string(struct arena *arena, struct text text);
const char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
