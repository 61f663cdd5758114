/*
 * Is what this process can see still what its policy speaks of? Its view, its capability
 * and Landlock were set for the policy that it started with, and cannot grow; nor do they
 * shrink. A worker whose policy speaks of other folders now is stale: it serves the files
 * that are open, and is replaced when none is.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = fs
 */
#pragma once

#include <stdbool.h>

#include "policy/paths.h"

/* The folders that it starts with, for Landlock and for later. Returns their number. */
uint32_t bh_stale_init(const struct bh_policy *policy, const struct bh_view_path **ret);

/* The policy is another one now. */
void bh_stale_renew(const struct bh_policy *policy);

bool bh_is_stale(void);

/* True if it is stale, and `path` lies in none of the folders that it can see. */
bool bh_is_out_of_sight(const struct bh_str *path);
