/*
 * The health log of an NVMe disk, as the storage worker has it from bulkhead-smart.
 *
 * Trust: in = PEER (answers; any bytes are a log); out = CHECKED; called by = storage
 */
#pragma once

#include <stdbool.h>

#include "protocol/types.h"
#include "protocol/wire/smart.h"

/* Who is asked about the disks of one list. */
struct bh_smart {
    bool wanted;       /* the policy says so; false from the first failure on: nobody is waited for twice */
    int socket;        /* -1: not asked for yet */
    uint64_t until_ms; /* CLOCK_MONOTONIC: for all disks of the list; set when the first is asked */
};

/* True: `ret` is what the disk tells. Any other name than a whole NVMe disk's is nobody's to ask about. */
bool bh_smart_tell(struct bh_smart *smart, const char *name, struct bh_guest_nvme_smart *ret);

/* No more is asked: bulkhead-smart ends. */
void bh_smart_end(struct bh_smart *smart);

/* The page's numbers. Any bytes have a meaning. */
void bh_smart_decode(const uint8_t log[BH_SMART_LOG_BYTES], struct bh_guest_nvme_smart *ret);
