/*
 * The names in a folder, without stdio and without memory: getdents64 on a descriptor that the caller keeps,
 * so that a folder that is listed often is opened once.
 *
 * Trust: in = CONFIG (the kernel's names); out = CHECKED; called by = workers/lib, storage
 */
#pragma once

/* 0 to go on; anything else ends the listing. */
typedef int (*bh_entry_fn)(void *context, const char *name);

/*
 * Calls `take` with each name of the folder `dir` but "." and "..", in the kernel's order; it is read from
 * its start, whatever was read before. What `take` ended it with, 0 at the end, or the kernel's -errno.
 */
int bh_entries_each(int dir, bh_entry_fn take, void *context);
