/*
 * The keys file of the audit folder: for each run of the agent its first segment and
 * the first key of its chain.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = bulkheadctl audit verify
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/audit/chain.h"

struct ctl_key {
    uint64_t segment;
    uint8_t key[BH_SHA256_SIZE];
};

struct ctl_keys {
    struct ctl_key *keys; /* in the order of the file: ascending segments */
    size_t n;
};

/* Lines that are no key (torn by a crash) are passed over. 0, or -errno. */
int ctl_keys_read(struct ctl_keys *ret, int dir, const char *path);
void ctl_keys_free(struct ctl_keys *keys);

/* The key of the run that this segment belongs to, or NULL. */
const struct ctl_key *ctl_keys_find(const struct ctl_keys *keys, uint64_t segment);
