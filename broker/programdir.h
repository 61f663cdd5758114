/*
 * The folder of the running program: the other programs of this build lie in it.
 *
 * Trust: in = CONFIG (where we were started from); out = CHECKED; called by = supervisor, bulkheadctl
 */
#pragma once

#include <stddef.h>

/* The folder without a slash at its end ("" for the root). 0 or -errno. */
int bh_program_dir(char *ret, size_t size);
