/*
 * Running one hook: a program of root's, as root, in an environment of its own, for a limited time.
 *
 * Whatever it does, the caller gets on: output beyond what is kept is read and dropped, and when its first
 * process has ended, or its time is up, everything that it started is killed. So a hook's children end with
 * it, and one that keeps our pipe keeps nobody waiting.
 *
 * Trust: in = CONFIG (path, checked before), PEER (what it prints); out = CHECKED (but `kept`, which is to be
 *        cleaned); called by = hook
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "protocol/wire/record.h"
#include "workers/storage/hook_wire.h"

#define BH_HOOK_KEPT_MAX BH_RECORD_TEXT_MAX /* bytes of output that are kept: as many as a record holds */

struct bh_hook_result {
    enum bh_hook_outcome outcome; /* REFUSED: it could not be started, `status` is the errno */
    int status;
    uint32_t ms;
    uint64_t output; /* bytes that it printed in all */
    size_t kept_len;
    char kept[BH_HOOK_KEPT_MAX]; /* the beginning of it */
};

/* Runs `path` with one argument. The process must be a subreaper without other children. */
void bh_hook_execute(const char *path, const char *argument, uint32_t timeout_ms, struct bh_hook_result *ret);
