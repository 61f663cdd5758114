/*
 * A folder of hooks, made by a test: below /root, since every folder above a hook must be root's, and /tmp is
 * everybody's.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests/unit
 */
#pragma once

#include <sys/types.h>

/* cmocka's setup and teardown. */
int hooks_make(void **state);
int hooks_remove(void **state);

/* The path of a name in it; eight are valid at a time. */
const char *in_hooks(const char *name);

/* A shell script with this text, or a file with these bytes, and exactly this mode. */
void hook_file(const char *name, const char *script, mode_t mode);
void hook_bytes(const char *name, const char *bytes, mode_t mode);
