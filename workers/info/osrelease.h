/*
 * os-release(5): assignments in a shell-like syntax, without a shell.
 *
 * Trust: in = CONFIG (a file of the guest's root; bounded and checked anyway);
 *        out = CHECKED; called by = info
 */
#pragma once

#include "protocol/base/arena.h"
#include "protocol/types.h"

#define BH_OS_RELEASE_MAX 65536u /* bytes of the file that are looked at; a larger file is not read */

/*
 * Fills the members that the text has; the last assignment of a name counts. Values may be bare, in single or
 * in double quotes (where \" \' \$ \\ \` stand for the character). A line that is none of that is passed
 * over. 0 or -ENOMEM.
 */
int bh_os_release_parse(const char *text, size_t len, struct bh_arena *arena, struct bh_guest_os_info *info);
