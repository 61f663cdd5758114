/*
 * A tree of mounts that is built while the old one still hangs below it: what views (view.c) and sandboxes
 * (workers/exec) are made with.
 *
 * Trust: in = CONFIG; out = CHECKED; called by = view.c, workers/exec
 */
#pragma once

#include <sys/types.h>

#include "policy/confine/confine.h"

#define BH_TREE_OWN_MAX 16

struct bh_tree {
    int old, root;    /* O_PATH: the tree that is left, the tree that is built */
    const char *held; /* where the old root hangs, in the new one */
    uint32_t n_own;
    dev_t own[BH_TREE_OWN_MAX]; /* the tmpfs of the new tree: nothing is ever created elsewhere */
};

#define BH_TREE_INIT                                                                                         \
    {                                                                                                        \
        .old = -1, .root = -1                                                                                \
    }

/*
 * In a mount namespace of the caller's own, none of whose mounts is shared: the new root is an empty tmpfs,
 * or a copy of all that is mounted, with `access` for the whole of it. Either way whoever has started a tree
 * gives it back with bh_tree_close. 0, or -errno; -ENOSYS for a copy before Linux 5.12.
 */
int bh_tree_start(struct bh_tree *ret);
int bh_tree_start_copy(uint32_t access, struct bh_tree *ret);

/* Binds `source` (relative, below the old root) with what is mounted below it at `path` in the new tree. No
 * symlink is followed, on either side. 0, or -errno. */
int bh_tree_bind(const struct bh_tree *tree, const char *source, const char *path, uint32_t access);

/* The place `path` of the new tree, made if it is missing and lies on a tmpfs of the tree's own: a directory,
 * or an empty file if `type` is not S_IFDIR. A descriptor (O_PATH), or -errno. */
int bh_tree_place(const struct bh_tree *tree, const char *path, mode_t type);

/* An empty tmpfs at `path` (made if missing) that counts as the tree's own from now on. `flags` as mount(2)
 * has them, `options` as tmpfs does. 0, or -errno. */
int bh_tree_tmpfs(struct bh_tree *tree, const char *path, unsigned long flags, const char *options);

/* Lets the old root go. 0, or -errno. */
int bh_tree_leave_old(struct bh_tree *tree);

/* The mount at `path` becomes read-only, beside `flags`. 0, or -errno. */
int bh_tree_read_only(const char *path, unsigned long flags);

/* What a mount must have so that `access` and no more is possible: MS_ bits, which mount_setattr shares. */
uint64_t bh_tree_attributes(uint32_t access);

void bh_tree_close(struct bh_tree *tree);
