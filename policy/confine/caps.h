/*
 * Capability sets and securebits, in the four moves that the order in confine.c needs.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = confine.c, workers/exec, supervisor (keep), bulkheadctl
 * (name)
 */
#pragma once

#include <stdint.h>

/* Bits that hold once bh_caps_lock is done: uid 0 means nothing, nothing is gained by a uid change or later
 * raised. */
#define BH_SECUREBITS                                                                                        \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |         \
     SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* Makes uid 0 meaningless and keeps capabilities through the uid change; nothing is locked yet. 0 or -errno.
 */
int bh_caps_unroot(void);

/* The bounding set becomes `caps`. Needs SETPCAP. */
int bh_caps_bound(uint64_t caps);

/* Inheritable and ambient become `caps`; permitted and effective keep SETPCAP beside them for the lock. */
int bh_caps_carry(uint64_t caps);

/* Locks the securebits; needs SETPCAP, so it comes before bh_caps_finish. */
int bh_caps_lock(void);

/* Permitted, effective and inheritable become exactly `caps`. */
int bh_caps_finish(uint64_t caps);

/* For who goes on as the uid that it has: permitted and effective become `caps`, nothing is inheritable or
 * ambient. What it starts may have as much as its bounding set. 0 or -errno. */
int bh_caps_keep(uint64_t caps);

/* The bounding set of the calling process. */
uint64_t bh_caps_bounding(void);

/* Before a program of the guest gets the uid of an ordinary login: uid 0 means what it always did, nothing is
 * inheritable or ambient, permitted and effective become `caps`. Needs SETPCAP. 0 or -errno. */
int bh_caps_ordinary(uint64_t caps);

/* "dac_read_search" for a capability's number; NULL for an unknown one. */
const char *bh_caps_name(unsigned capability);
