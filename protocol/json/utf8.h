/*
 * What the lexer and bh_out_string need of UTF-8 beyond reading it (protocol/wire/utf8.h): writing a
 * character, and runs that are copied as they are.
 *
 * Trust: in = HOST, PEER; out = CHECKED; called by = lib_json
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes the UTF-8 form of `c` (<= 0x10FFFF); bytes written, at most 4. */
unsigned bh_utf8_encode(uint32_t c, char out[4]);

/* Code points that Unicode promises never to give a meaning; the protocol refuses them. */
bool bh_utf8_is_nonchar(uint32_t c);

/*
 * How many bytes at `p` may be copied as they are: ASCII from 0x20 on, without '"', '\' and `stop` (one more
 * byte that ends the run). Runs at memory speed.
 */
size_t bh_clean_run(const char *p, size_t len, char stop);
