/*
 * The inner loop of SHA-256, once in C and once with the processor's own instructions for it.
 *
 * Trust: in = CHECKED (any bytes); out = CHECKED; called by = sha256.c and its test
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern const uint32_t bh_sha256_k[64]; /* the standard's constants */

/* `n` whole blocks go into the state. */
typedef void (*bh_sha256_blocks_fn)(uint32_t state[8], const uint8_t *data, size_t n);

void bh_sha256_blocks_c(uint32_t state[8], const uint8_t *data, size_t n);

/* The one in use; NULL until the first bytes came. A test may set it. */
extern bh_sha256_blocks_fn bh_sha256_blocks;

/* True if this build and this machine have the other one. */
bool bh_sha256_has_x86(void);
void bh_sha256_blocks_x86(uint32_t state[8], const uint8_t *data, size_t n);
