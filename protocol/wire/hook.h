/*
 * Which freeze hooks there are: what the supervisor leaves for bulkhead-hook at BH_FD_POLICY, and how it says
 * that a predecessor died in debt.
 *
 * Trust: in = CONFIG; out = CHECKED (by bulkhead-hook, when it starts); called by = supervisor, hook
 */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "protocol/wire/boot.h"

#define BH_HOOK_CONFIG_MAGIC 0x484f4f4bu
#define BH_HOOK_OWED 1u                 /* struct bh_boot, user: a predecessor died with thaw hooks owed */
#define BH_HOOK_TIMEOUT_MS 60000u       /* of each hook, unless somebody says otherwise */
#define BH_HOOK_TIMEOUT_MAX_MS 3600000u /* a time limit of more than an hour is none */

/* Sealed, exactly this size. Paths are absolute and end in a NUL. */
struct bh_hook_config {
    uint32_t magic;      /* BH_HOOK_CONFIG_MAGIC */
    uint32_t timeout_ms; /* of each hook: 1..BH_HOOK_TIMEOUT_MAX_MS */
    uint32_t unrecorded; /* 1: freeze hooks run although the audit queue is full (`set audit-failure
                            continue`) */
    char channel[BH_CHANNEL_NAME_MAX]; /* whose freeze it is, for the records; may be empty */
    char file[PATH_MAX];               /* -F, which must exist; "": none */
    char folder[PATH_MAX];             /* which need not exist; "": none */
};
