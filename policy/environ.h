/*
 * Names of variables that turn a program into another one: they name what the dynamic linker, the C library,
 * an interpreter or a shell loads or runs. A client never sets them, whatever a rule says, but where it may
 * do everything in any case (`env any` with `sandbox none`).
 *
 * Trust: in = PEER, CONFIG (any bytes); out = CHECKED; called by = policy, bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Is it such a name? */
bool bh_env_is_refused(const char *name, size_t len);

/* Can a rule name it? Letters, digits and '_', no digit first, at most BH_ENV_NAME_MAX bytes. */
bool bh_env_name_ok(const char *name, size_t len);

#define BH_ENV_NAME_MAX 255u
