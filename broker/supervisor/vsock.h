/*
 * Addresses of virtio sockets: CID:PORT as text, and whose connections are served.
 *
 * Trust: in = CONFIG (text), PEER (a connection's CID, as the kernel tells it); out = CHECKED; called by =
 *        supervisor
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "policy/blob.h"

/* Two decimal numbers of 32 bits and nothing else; CID 4294967295 is any of ours. 0 or -EINVAL. */
int bh_vsock_parse(const char *text, uint32_t *ret_cid, uint32_t *ret_port);

/* May this CID connect? `peers` are bits of enum bh_vsock_peers. */
bool bh_vsock_admits(uint64_t peers, uint32_t cid);
