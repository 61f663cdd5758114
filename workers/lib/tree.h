/*
 * Ending everything that a process has started and left, daemons included: the process is a subreaper
 * (PR_SET_CHILD_SUBREAPER), so whatever loses its parent below it becomes its child.
 *
 * Only children are signalled, and only this process reaps them, so a number cannot be another process's by
 * then; grandchildren become children as their parents die.
 *
 * Trust: in = CHECKED (the kernel's numbers); out = CHECKED; called by = hook, keepers, exec, spawn
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define BH_TREE_KILL_MS 2000 /* how long it is tried: what is stuck in the kernel cannot be killed */

/* Kills and reaps every process below this one. 0: nobody is left; -EBUSY: somebody is after `patience_ms`.
 */
int bh_tree_end(int patience_ms);

/* Is this child none of those that are to be ended? */
typedef bool (*bh_tree_spared_fn)(const void *context, pid_t pid);

/* The same for all children but those that are spared, and what was below a child that is gone. */
int bh_tree_end_others(bh_tree_spared_fn spared, const void *context, int patience_ms);
