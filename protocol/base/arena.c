/* The arena of arena.h: a list of blocks, each twice as large as the one before, first one kept. */
#include "protocol/base/arena.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_FIRST 4096u
#define BLOCK_LARGEST (256u * 1024u)
#define ARRAY_FIRST 16u /* elements; a power of two, so that the capacity follows from the count */

struct bh_arena_block {
    struct bh_arena_block *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char data[];
};

void bh_arena_init(struct bh_arena *arena, size_t limit)
{
    *arena = (struct bh_arena){ .limit = limit };
}

void bh_arena_reset(struct bh_arena *arena)
{
    while (arena->blocks && arena->blocks->next) {
        struct bh_arena_block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
    if (arena->blocks)
        arena->blocks->used = 0;
    arena->used = 0;
}

void bh_arena_deinit(struct bh_arena *arena)
{
    bh_arena_reset(arena);
    free(arena->blocks);
    *arena = (struct bh_arena){ 0 };
}

static bool grow(struct bh_arena *arena, size_t need)
{
    size_t size = arena->blocks ? arena->blocks->size * 2 : BLOCK_FIRST;
    struct bh_arena_block *block;

    if (size > BLOCK_LARGEST)
        size = BLOCK_LARGEST;
    if (size < need)
        size = need;
    block = malloc(sizeof(*block) + size);
    if (!block)
        return false;
    *block = (struct bh_arena_block){ .next = arena->blocks, .size = size };
    arena->blocks = block;
    return true;
}

void *bh_arena_alloc(struct bh_arena *arena, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    size_t need;
    void *p;

    if (size > arena->limit || arena->used > arena->limit - size)
        return NULL;
    need = size ? (size + align - 1) & ~(align - 1) : align;
    if (!arena->blocks || arena->blocks->size - arena->blocks->used < need)
        if (!grow(arena, need))
            return NULL;
    p = arena->blocks->data + arena->blocks->used;
    arena->blocks->used += need;
    arena->used += size;
    return memset(p, 0, need);
}

void *bh_arena_array(struct bh_arena *arena, size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total))
        return NULL;
    return bh_arena_alloc(arena, total);
}

void *bh_arena_more(struct bh_arena *arena, void *array, size_t n, size_t size)
{
    void *larger;

    if (n > 0 && (n < ARRAY_FIRST || (n & (n - 1))))
        return array;
    larger = bh_arena_array(arena, n ? 2 * n : ARRAY_FIRST, size);
    if (larger && n > 0)
        memcpy(larger, array, n * size);
    return larger;
}

struct bh_str bh_arena_str(struct bh_arena *arena, const char *text, size_t len)
{
    char *copy = len < UINT32_MAX ? bh_arena_alloc(arena, len + 1) : NULL;

    if (!copy)
        return (struct bh_str){ 0 };
    memcpy(copy, text, len);
    return (struct bh_str){ copy, (uint32_t)len };
}

struct bh_str bh_arena_printf(struct bh_arena *arena, const char *format, ...)
{
    va_list args, again;
    char *text = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    if (len >= 0)
        text = bh_arena_alloc(arena, (size_t)len + 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    va_end(args);
    return (struct bh_str){ text, text ? (uint32_t)len : 0 };
}
