/*
 * The canonical text that the lexer writes: a growing buffer with a hard limit.
 *
 * Invariants: len <= BH_TEXT_MAX; there is always room for a NUL behind the text. A put
 * that does not fit changes nothing and returns false.
 *
 * Trust: in = HOST (characters of strings, any); out = CHECKED; called by = lexer
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_canon {
    char *data;
    uint32_t len;
    uint32_t cap; /* usable bytes; one more is there for the NUL */
};

void bh_canon_deinit(struct bh_canon *canon);

/* Empties it, and gives the memory back if a large request needed much. */
void bh_canon_reset(struct bh_canon *canon);

/* Makes room for `more` bytes; false if the limit or the memory is exhausted. */
bool bh_canon_reserve(struct bh_canon *canon, size_t more);

bool bh_canon_put(struct bh_canon *canon, const char *text, size_t len);

/* One character of a string, escaped if JSON demands it. */
bool bh_canon_put_char(struct bh_canon *canon, uint32_t c);

/*
 * Appends a copy of the string `at`, `len` with its escapes undone, behind the NUL of the finished text;
 * `ret_len` its length. The copy does not count against the limit.
 */
bool bh_canon_undo_escapes(struct bh_canon *canon, uint32_t at, uint32_t len, uint32_t *ret_at,
                           uint32_t *ret_len);

static inline bool bh_canon_put_byte(struct bh_canon *canon, char c)
{
    if (canon->len == canon->cap && !bh_canon_reserve(canon, 1))
        return false;
    canon->data[canon->len++] = c;
    return true;
}
