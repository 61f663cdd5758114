/*
 * Folders of sysfs with one entry per thing, named by a word and a number: cpu0, cpu1, memory32.
 *
 * Trust: in = CONFIG (the kernel's names); out = CHECKED; called by = info, storage
 */
#pragma once

#include <stdint.h>

#include "protocol/base/arena.h"

struct bh_numbers {
    uint64_t *number; /* ascending; in the arena */
    uint32_t n;
};

/*
 * The numbers N of all entries `word`N of the folder `dir`, a descriptor to read from; it is read from its
 * start, whatever was read before. Other names are passed over. 0, -E2BIG for more than `max`, -ENOMEM, or
 * the kernel's -errno.
 */
int bh_numbered_list(int dir, const char *word, uint32_t max, struct bh_arena *arena, struct bh_numbers *ret);
