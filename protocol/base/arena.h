/*
 * One capped arena per request: everything decoded from untrusted bytes is
 * allocated here, charged against one limit, and dies with the request.
 *
 * Invariants: an allocation never moves; `used` never exceeds `limit`; a reset
 * keeps the first block (so that a small request allocates nothing) and frees
 * the rest. Memory is zeroed when it is handed out.
 *
 * Trust: in = CHECKED (sizes may come from a peer; the limit holds anyway);
 *        out = CHECKED; called by = every process
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A string: `len` bytes of checked UTF-8 without an inner NUL, followed by a NUL. Owned by an arena. */
struct bh_str {
    const char *ptr;
    uint32_t len;
};

/* Bytes without a meaning. Owned by an arena. */
struct bh_bytes {
    const uint8_t *ptr;
    uint32_t len;
};

#define BH_STR(literal) ((struct bh_str){ (literal), (uint32_t)sizeof(literal) - 1 })

/* A C string of less than 4 GiB, which stays where it is. */
static inline struct bh_str bh_str_of(const char *text)
{
    return (struct bh_str){ text, (uint32_t)strlen(text) };
}

struct bh_arena_block;

struct bh_arena {
    struct bh_arena_block *blocks; /* newest first; the last one is kept by a reset */
    size_t used;                   /* bytes handed out since the last reset */
    size_t limit;                  /* bytes that may be handed out in all */
};

/* `limit` in bytes. Allocates nothing. */
void bh_arena_init(struct bh_arena *arena, size_t limit);
void bh_arena_reset(struct bh_arena *arena);
void bh_arena_deinit(struct bh_arena *arena);

/* `size` zeroed bytes, aligned for any type; NULL when the limit or the memory is exhausted. size 0 gives a
 * valid pointer. */
void *bh_arena_alloc(struct bh_arena *arena, size_t size);

/* `n` zeroed elements; NULL on overflow too. */
void *bh_arena_array(struct bh_arena *arena, size_t n, size_t size);

/*
 * Room for one element more behind the `n` of a growing array (NULL for n = 0) that only this function has
 * made: the array, or a copy twice as large; the new element is zeroed. NULL as above.
 */
void *bh_arena_more(struct bh_arena *arena, void *array, size_t n, size_t size);

/* A NUL-terminated copy; .ptr is NULL when there is no room. */
struct bh_str bh_arena_str(struct bh_arena *arena, const char *text, size_t len);

/* printf into the arena; .ptr is NULL when there is no room. */
struct bh_str bh_arena_printf(struct bh_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
