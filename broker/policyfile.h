/*
 * Policy files from the disk: the main file, and the drop-ins in the folder of the same
 * name with ".d" behind it (/etc/bulkhead/policy.d, names ending in .policy), sorted by name.
 *
 * Invariants: a file that governs is root's or the starting user's, regular, not
 * writable by group or others, at most BH_POLICY_FILE_MAX bytes; anything else is an
 * error and not a file left out, for a missing deny would widen the policy.
 *
 * Trust: in = CONFIG; out = CONFIG (bytes of checked origin, not yet parsed); called by =
 *        supervisor, bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "policy/lang/lang.h"

struct bh_policy_files {
    struct bh_pack_file files[BH_POLICY_FILES_MAX];
    size_t count;
};

/* Loads `path` and its drop-ins. 0, or -errno with a sentence in `why` (and nothing to free). */
int bh_policy_files_load(struct bh_policy_files *ret, const char *path, char *why, size_t why_size);

/* Adds one file. 0, or -errno with a sentence in `why`; what is loaded stays. */
int bh_policy_files_add(struct bh_policy_files *files, const char *path, bool drop_in, char *why,
                        size_t why_size);

void bh_policy_files_free(struct bh_policy_files *files);
