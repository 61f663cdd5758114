/*
 * Characters and clean runs: what the lexer reads strings with and bh_out_string writes them with.
 *
 * Trust: in = HOST, PEER; out = CHECKED; called by = lib_json
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that a character beginning with `lead` takes (1..4), or 0 if no character begins with it. */
unsigned bh_utf8_need(unsigned char lead);

/* The character at `p` (`len` > 0 bytes are there); bytes it takes, or 0 if it is cut, overlong or a
 * surrogate. */
unsigned bh_utf8_decode(const char *p, size_t len, uint32_t *ret_char);

/* Writes the UTF-8 form of `c` (<= 0x10FFFF); bytes written, at most 4. */
unsigned bh_utf8_encode(uint32_t c, char out[4]);

/* Code points that Unicode promises never to give a meaning; the protocol refuses them. */
bool bh_utf8_is_nonchar(uint32_t c);

/*
 * How many bytes at `p` may be copied as they are: ASCII from 0x20 on, without '"', '\' and `stop` (one more
 * byte that ends the run). Runs at memory speed.
 */
size_t bh_clean_run(const char *p, size_t len, char stop);
