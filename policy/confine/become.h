/*
 * Another user, for good.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = confine.c, workers/exec
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#define BH_BECOME_GROUPS_MAX 64

/* Supplementary groups, then all gids, then all uids; looks whether the groups are what was asked for.
 * Capabilities are the caller's affair: a change from one uid to another, neither of them 0, keeps them. 0;
 * -E2BIG; or -errno. */
int bh_become(uid_t uid, gid_t gid, uint32_t n_groups, const gid_t *groups);
