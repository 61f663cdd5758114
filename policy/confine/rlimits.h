/*
 * Resource limits of a profile. Hard and soft are the same; a limit that is already
 * lower stays. FSIZE is set in the process itself, because the supervisor's child
 * still writes the boot struct; NPROC is set after the uid change, because an execve
 * fails if the change found the new uid over it.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = confine.c, self.c
 */
#pragma once

#include "policy/confine/confine.h"

/* Open files, memory, locked memory, core files. 0 or -errno. */
int bh_rlimits_set(const struct bh_profile *profile);

/* No new process. */
int bh_rlimits_no_fork(void);

/* File size. Beyond it a write fails with EFBIG; it does not kill. */
int bh_rlimits_filesize(const struct bh_profile *profile);

/* NULL if every limit is at most what the profile says, else the name of one that is not. */
const char *bh_rlimits_differ(const struct bh_profile *profile);
