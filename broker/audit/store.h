/*
 * The audit folder, as the supervisor keeps it: segments audit-000001.log, audit-000002.log, ...
 * (0600, only ever appended to), and `keys` (0600): one line "SEGMENT KEY" per run of
 * the agent, the first key of the chain that begins with that segment. Who keeps a
 * copy of that file elsewhere can prove later that nothing was changed.
 *
 * Invariants: a key is on disk before a line is made with it; a segment's name is never
 * used twice; the segment in use is never deleted.
 *
 * Trust: in = CONFIG (the folder is root's, or the starting user's); out = CHECKED;
 *        called by = supervisor
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "broker/audit/state.h"

#define BH_AUDIT_SEGMENTS_KEEP 64u /* newest ones that stay when a new one is made, if there is room */
#define BH_AUDIT_EARLY_MAX 4u      /* segments that may be begun in one window before the last one is full */
#define BH_AUDIT_EARLY_WINDOW_S 3600u

struct bh_log_store;

/*
 * Opens the folder (made if it is missing; its parent must exist), begins a new segment with a fresh key, and
 * fills the audit process's state page: `state_fd` is zeroed memory of BH_AUDIT_STATE_SIZE bytes.
 * 0, or -errno with a sentence in `why`.
 */
int bh_log_store_new(struct bh_log_store **ret, const char *path, int state_fd,
                     const struct bh_audit_names *names, char *why, size_t why_size);
void bh_log_store_free(struct bh_log_store *store);

/* Segments that stay in a file system of so many bytes: the log takes a quarter of it, or two segments. */
unsigned bh_log_store_keep(uint64_t file_system);

/*
 * Begins the next segment and deletes the oldest ones, if the one at hand is full or this was asked seldom.
 * Its descriptor (write, append), which stays the store's, or -errno with a sentence in `why`.
 */
int bh_log_store_next(struct bh_log_store *store, char *why, size_t why_size);

/* What an audit process finds at BH_FD_PEER and BH_FD_POLICY. They stay the store's. */
int bh_log_store_segment_fd(const struct bh_log_store *store);
int bh_log_store_names_fd(const struct bh_log_store *store);

/* Another list of names, for audit processes that are started from now on. 0 or -errno: the old one stays. */
int bh_log_store_rename(struct bh_log_store *store, const struct bh_audit_names *names);

/* For the status file. */
uint64_t bh_log_store_segment(const struct bh_log_store *store);
const char *bh_log_store_path(const struct bh_log_store *store);
