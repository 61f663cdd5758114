/*
 * What the commands about CPUs, memory blocks and disks read, apart from where: each takes its folder
 * or its file from the caller, so that tests have their own.
 *
 * All of them write their result only on success; lists lie in the arena. -E2BIG = more than `max` elements.
 * Lines of a shape that is not known here are passed over.
 *
 * Trust: in = CONFIG (the kernel's text; bounded and checked anyway);
 *        out = CHECKED; called by = info
 */
#pragma once

#include "protocol/base/arena.h"
#include "protocol/types.h"

#define BH_VCPUS_KEPT 32u /* CPUs whose file stays open */

/* What stays open between two calls; begins as { .folder = a descriptor }. */
struct bh_vcpus {
    int folder;
    int online[BH_VCPUS_KEPT]; /* of the CPU with this number; 0 = not open */
};

/* From a folder like /sys/devices/system/cpu. */
int bh_vcpus_read(struct bh_vcpus *vcpus, uint32_t max, struct bh_arena *arena,
                  struct bh_guest_get_vcpus_ret *ret);

/* From a folder like /sys/devices/system/memory. -EBADMSG if a block or the size is described in other words.
 */
int bh_memory_blocks_read(int folder, uint32_t max, struct bh_arena *arena,
                          struct bh_guest_get_memory_blocks_ret *ret);
int bh_memory_block_size_read(int folder, const char *name, uint64_t *ret);

/* From a file like /proc/stat; it counts in ticks, `per_second` of them a second. Reads up to the CPUs' last
 * line: what follows is long and not asked for. */
int bh_cpustats_read(int folder, const char *name, uint64_t per_second, uint32_t max, struct bh_arena *arena,
                     struct bh_guest_get_cpustats_ret *ret);

/* From a file like /proc/diskstats. */
int bh_diskstats_read(int folder, const char *name, uint32_t max, struct bh_arena *arena,
                      struct bh_guest_get_diskstats_ret *ret);
