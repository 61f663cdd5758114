/*
 * Secrets once more, for Landlock. A mask (sandbox_mask.h) hides a file that is there; if the guest replaces
 * that file while a program runs, as every change of a password does, the kernel takes the mask away with the
 * old file. So nothing is granted on a folder that holds a secret, but on each thing in it that is none: a
 * file that comes later is not among them. That is for uid 0 only: from others the mode of such a file keeps
 * it.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = sandbox.c
 */
#pragma once

#include "policy/confine/confine.h"

struct bh_spared {
    struct bh_view_path *rows; /* with their paths the owner's, until bh_spared_free */
    uint32_t n, cap;
};

/* The rows, with folders that hold secrets taken apart if `apart`. 0 or -errno; either way *ret is to be
 * freed. */
int bh_sandbox_spare(const struct bh_view_path *rows, uint32_t n_rows, bool apart, struct bh_spared *ret);
void bh_spared_free(struct bh_spared *spared);
