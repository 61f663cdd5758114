/*
 * Loading a filter that was made at build time.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = self.c, tests
 */
#pragma once

#include "policy/confine/confine.h"

/* For ever. Needs no_new_privs. 0 or -errno. */
int bh_seccomp_load(const struct bh_filter *filter);
