/*
 * SHA-256 (FIPS 180-4) and HMAC-SHA-256 (FIPS 198-1), in pieces: the identity of a
 * policy and of programs, and the chain of the audit log.
 *
 * Invariants: no allocation, no system call; a state is a plain struct that may be
 * copied to go on from the same point twice.
 *
 * Trust: in = CHECKED (any bytes); out = CHECKED; called by = policyc, audit, exec, spawn, spool, supervisor,
 *        bulkheadctl
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BH_SHA256_SIZE 32
#define BH_SHA256_TEXT (2 * BH_SHA256_SIZE + 1) /* as text, with the NUL */
#define BH_SHA256_BLOCK 64

struct bh_sha256 {
    uint32_t state[8];
    uint64_t len; /* bytes so far */
    uint8_t block[BH_SHA256_BLOCK];
};

void bh_sha256_init(struct bh_sha256 *sha);
void bh_sha256_update(struct bh_sha256 *sha, const void *data, size_t len);

/* Writes the digest and wipes the state. */
void bh_sha256_final(struct bh_sha256 *sha, uint8_t ret_digest[BH_SHA256_SIZE]);

/* The digest as sha256sum prints it: 64 digits, lower case. */
void bh_sha256_text(const uint8_t digest[BH_SHA256_SIZE], char ret[BH_SHA256_TEXT]);

void bh_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
                    uint8_t ret_digest[BH_SHA256_SIZE]);
