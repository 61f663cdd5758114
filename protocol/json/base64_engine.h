/*
 * The inner loops of base64, one set per instruction set. An engine only takes whole
 * quanta of clean characters and may stop early; base64.c does the rest, byte by byte.
 *
 * Trust: in = HOST, PEER; out = CHECKED; called by = base64.c and its test
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_base64_engine {
    const char *name;
    bool (*usable)(void); /* NULL: always */
    /* Decodes from the start of `text`; characters eaten, a multiple of 4. `out` has room for len / 4 * 3
     * bytes. */
    size_t (*decode)(const char *text, size_t len, uint8_t *out);
    /* Encodes from the start of `data`; bytes eaten, a multiple of 3. `out` has room for len / 3 * 4
     * characters. */
    size_t (*encode)(const uint8_t *data, size_t len, char *out);
};

/* All that this build has, best first; the last is the scalar one, which is always usable. */
extern const struct bh_base64_engine bh_base64_engines[];
extern const unsigned bh_base64_n_engines;

/* The one in use: the best usable, found at the first call; a test may set it. */
extern const struct bh_base64_engine *bh_base64_engine;

#ifdef __x86_64__
bool bh_base64_has_avx2(void);
bool bh_base64_has_ssse3(void);
size_t bh_base64_decode_avx2(const char *text, size_t len, uint8_t *out);
size_t bh_base64_encode_avx2(const uint8_t *data, size_t len, char *out);
size_t bh_base64_decode_ssse3(const char *text, size_t len, uint8_t *out);
size_t bh_base64_encode_ssse3(const uint8_t *data, size_t len, char *out);
#endif
