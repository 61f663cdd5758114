/*
 * What nobody in a sandbox reads, though it lies in a folder that is shown: keys, passwords, the agent's own
 * files. The uid of the program does not always keep it away: a rule may say `user root`, and uid 0 without
 * any capability still owns root's files.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = sandbox_view.c, sandbox_spare.c
 */
#pragma once

#include "policy/confine/tree.h"

/* After all else is mounted, /proc too. Uses and removes `scratch`, a folder on a tmpfs of the tree's own
 * that is made for it. 0, or -errno. */
int bh_sandbox_mask(struct bh_tree *tree, const char *scratch);

enum bh_secret {
    BH_SECRET_NOT,
    BH_SECRET_BELOW, /* a folder that may hold one */
    BH_SECRET,
};

/* What the table says of an absolute, clean path. */
enum bh_secret bh_sandbox_secret(const char *path);
