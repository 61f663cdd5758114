/*
 * UTF-8 after RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. NUL is a
 * character here.
 *
 * Trust: in = HOST, PEER, CONFIG; out = CHECKED; called by = every process
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes that a character beginning with `lead` takes (1..4), or 0 if no character begins with it. */
unsigned bh_utf8_need(unsigned char lead);

/* The character at `p` (`len` > 0 bytes are there); bytes it takes, or 0 if it is cut or malformed. */
unsigned bh_utf8_decode(const char *p, size_t len, uint32_t *ret_char);

/* True if `len` bytes are well-formed. */
bool bh_utf8_valid(const char *text, size_t len);
