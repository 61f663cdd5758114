/*
 * The self-check: what the kernel says of this process against what it should be.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = self.c
 */
#pragma once

#include <sys/prctl.h>

#include "policy/confine/confine.h"

/* prctl of Linux 6.3, which older headers do not have. */
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif
#define BH_MDWE_REFUSE_EXEC_GAIN 1

#define BH_DIFFERENCE_MAX 128 /* bytes of the sentence part, with the NUL */

/* By prctl and getrlimit; before the filter, which allows neither. 0, or 1 with `ret` saying what differs. */
int bh_check_attributes(const struct bh_profile *profile, uint32_t fences, char ret[BH_DIFFERENCE_MAX]);

/* By the open /proc/self/status; after the filter, so that the filter is seen too. Reads `fd` to its end. */
int bh_check_status(int fd, const struct bh_boot *boot, uint32_t fences, char ret[BH_DIFFERENCE_MAX]);
