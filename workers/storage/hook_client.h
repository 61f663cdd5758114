/*
 * The storage worker's side of bulkhead-hook.
 *
 * Trust: in = PEER (answers); out = CHECKED; called by = storage, tests
 */
#pragma once

#include <stddef.h>

#include "workers/storage/hook_wire.h"

/*
 * Asks for the freeze hooks or the thaw hooks, and waits at most `timeout_ms` for them. 0 with *ret filled,
 * whatever the outcome; -ETIMEDOUT (they may still run; what is asked next is answered nevertheless), -EPIPE:
 * bulkhead-hook is gone, -EPROTO, other -errno: close the socket.
 */
int bh_hook_run(int socket, enum bh_hook_op which, int timeout_ms, struct bh_hook_reply *ret);

/* An outcome that is not BH_HOOK_DONE, in a sentence for the client; cut at a character if it is too long. */
void bh_hook_say(const struct bh_hook_reply *reply, char *ret, size_t size);
