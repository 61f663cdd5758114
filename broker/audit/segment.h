/*
 * Names of segments, and how one ends: what the supervisor's store and `bulkheadctl
 * audit` know of the folder alike.
 *
 * Trust: in = CONFIG (names and bytes found in the audit folder); out = CHECKED;
 *        called by = supervisor (store), bulkheadctl
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "broker/audit/state.h"

#define BH_SEGMENT_NAME_MAX 40u
#define BH_KEYS_NAME "keys"

/* "audit-000012.log"; numbers beyond six digits take the digits they need. */
void bh_segment_name(uint64_t segment, char ret[BH_SEGMENT_NAME_MAX]);

/* The number in such a name; 0 if it is another name. */
uint64_t bh_segment_number(const char *name);

/* The numbers of all segments in a folder, ascending; `ret` is the caller's to free. Their count, or -errno.
 */
ssize_t bh_segment_list(int dir, uint64_t **ret);

/* Size of a segment and mac of its last complete line (zeros if it has none). 0 or -errno. */
int bh_segment_end(int fd, struct bh_audit_previous *ret);
