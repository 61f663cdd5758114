/*
 * Which loop devices have something in them. Most guests have eight of them and use none, and to ask each for
 * its size is most of what a list of disks costs; /proc/partitions lists in one piece those that have a size.
 * (It is asked for nothing else: kernels before 5.17 leave CD drives out.)
 *
 * Trust: in = CONFIG (the kernel's text; bounded and checked anyway); out = CHECKED; called by = storage
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "protocol/base/arena.h"

#define BH_LOOPS_MAX 4096u

struct bh_loops {
    bool known; /* false: it could not be read, or there are more; then each is worth a look */
    uint64_t *number;
    uint32_t n;
};

/* From a file like /proc/partitions. 0 or -ENOMEM. */
int bh_loops_read(int dir, const char *file, struct bh_arena *arena, struct bh_loops *ret);

/* Is `name` a loop device that is known to be empty? */
bool bh_loops_is_empty(const struct bh_loops *loops, const char *name);
