/* Blocks in a list, filled from the front; a large piece gets a block of its own. */
#include "util/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/memory.h"

enum { BLOCK_SIZE = 32 * 1024 };

struct block {
    struct block *next;
    size_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *blocks; /* the first is the one being filled */
};

struct arena *arena_new(void)
{
    return memory_new(1, sizeof(struct arena));
}

void arena_reset(struct arena *arena)
{
    struct block *block = arena->blocks;

    while (block) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
}

void arena_free(struct arena *arena)
{
    if (arena == NULL)
        return;
    arena_reset(arena);
    free(arena);
}

size_t arena_bytes(const struct arena *arena)
{
    size_t bytes = sizeof(*arena);

    for (const struct block *block = arena->blocks; block; block = block->next)
        bytes += sizeof(*block) + block->size;
    return bytes;
}

static struct block *add_block(struct arena *arena, size_t size)
{
    struct block *block = memory_new(1, sizeof(*block) + size);

    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t count, size_t size)
{
    const size_t align = alignof(max_align_t);
    size_t bytes;
    struct block *block = arena->blocks;

    if (__builtin_mul_overflow(count, size, &bytes) || bytes > SIZE_MAX / 2)
        abort();
    bytes = (bytes + align - 1) / align * align;
    if (bytes > BLOCK_SIZE / 4) {
        /* A large piece stands alone, behind the block that is being filled. */
        struct block *alone = add_block(arena, bytes);
        alone->used = bytes;
        if (block) {
            arena->blocks = block;
            alone->next = block->next;
            block->next = alone;
        }
        return alone->bytes;
    }
    if (block == NULL || block->size - block->used < bytes)
        block = add_block(arena, BLOCK_SIZE);
    block->used += bytes;
    return block->bytes + block->used - bytes;
}

struct text arena_text(struct arena *arena, struct text text)
{
    char *copy = arena_alloc(arena, text.length + 1, 1);

    if (text.length)
        memcpy(copy, text.data, text.length);
    return (struct text){copy, text.length};
}

const char *arena_string(struct arena *arena, struct text text)
{
    return arena_text(arena, text).data;
}

const char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list args;
    char *out;
    int length;

    va_start(args, format);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0)
        return "";
    out = arena_alloc(arena, (size_t)length + 1, 1);
    va_start(args, format);
    vsnprintf(out, (size_t)length + 1, format, args);
    va_end(args);
    return out;
}
