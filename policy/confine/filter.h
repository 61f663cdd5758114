/*
 * Loading a filter that was made at build time.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = self.c, workers/exec, tests
 */
#pragma once

#include "policy/confine/confine.h"

/* For ever. Needs no_new_privs, or SYS_ADMIN. -EACCES: has neither. 0 or -errno. */
int bh_seccomp_load(const struct bh_filter *filter);
