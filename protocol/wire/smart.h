/*
 * The messages between a storage worker and bulkhead-smart: the name of a disk, and its health log as the
 * disk has sent it. One question at a time, one answer each.
 *
 * Trust: in = PEER (either may have been taken over; the log's bytes are the disk's); out = CHECKED;
 *        called by = storage, smart, supervisor (which names it looks for)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BH_SMART_MAGIC 0x534d5254u
#define BH_SMART_NAME_MAX 32 /* bytes with the NUL */
#define BH_SMART_LOG_BYTES 512

struct bh_smart_request {
    uint32_t magic;
    char name[BH_SMART_NAME_MAX]; /* "nvme0n1" */
};

struct bh_smart_reply {
    uint32_t magic;
    int32_t error; /* negative errno, or 0 */
    uint8_t log[BH_SMART_LOG_BYTES];
};

/* Is it what the kernel calls a whole NVMe disk: nvme<digits>n<digits>, and no longer than `name` is? */
bool bh_smart_name_ok(const char *name);
