/*
 * The forward-secure chain that makes history of the audit log hard to change.
 *
 *   mac(i)   = HMAC-SHA-256(key(i), mac(i-1) || body of line i)
 *   key(i+1) = SHA-256("bulkhead next key" || key(i))
 *
 * A key is used for one line and then forgotten, so whoever takes over the audit
 * process later cannot make macs for earlier lines. The first key of a run lies in a
 * file that only root reads; the audit process never sees that file.
 *
 * A line of the log is its body, then ,"mac":"<64 hex digits>"} and a line feed.
 *
 * Invariants: pure functions; the log's writer and `bulkheadctl audit verify` share them.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = audit, supervisor (store), bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/sha256.h"

#define BH_CHAIN_ROOM BH_SHA256_SIZE      /* bytes in front of a body, see bh_chain_step */
#define BH_CHAIN_HEX (2 * BH_SHA256_SIZE) /* digits of a key or mac */
#define BH_CHAIN_TAIL                                                                                        \
    (sizeof(",\"mac\":\"") - 1 + BH_CHAIN_HEX + 3) /* bytes behind the body: mac, "}, line feed */

/* Where the chain stands: the key of the next line, the mac of the last one, how many lines this run has
 * made. */
struct bh_chain {
    uint8_t key[BH_SHA256_SIZE];
    uint8_t mac[BH_SHA256_SIZE];
    uint64_t steps;
};

/*
 * One line. `room` is BH_CHAIN_ROOM bytes to write in, with the `len` bytes of the body right behind them:
 * one stretch of memory, so that nothing is copied. `chain` and `ret_next` are different objects.
 */
void bh_chain_step(const struct bh_chain *chain, uint8_t *room, size_t len, struct bh_chain *ret_next);

/* Moves only the key, `steps` times: for a log whose beginning has been deleted by age. */
void bh_chain_skip(struct bh_chain *chain, uint64_t steps);

/* Writes what follows the body: BH_CHAIN_TAIL bytes, no NUL. */
void bh_chain_tail(const uint8_t mac[BH_SHA256_SIZE], char out[BH_CHAIN_TAIL]);

/* Takes a complete line (with its line feed) apart. True: the body is line[0..*ret_body), `ret_mac` is set.
 */
bool bh_chain_split(const char *line, size_t len, size_t *ret_body, uint8_t ret_mac[BH_SHA256_SIZE]);

/* Lower-case digits, no NUL; and back: true if all are digits. */
void bh_chain_hex(const uint8_t *data, size_t len, char *out);
bool bh_chain_unhex(const char *text, size_t len, uint8_t *out);
