/*
 * The fs worker's side of its openers: asks for a file, starts an opener when there is
 * none, ends one that does not answer.
 *
 * Trust: in = PEER (answers); out = CHECKED; called by = fs
 */
#pragma once

#include "workers/fs/open.h"

/* As bh_open_file, by the opener of open->user. */
int bh_opener_ask(struct bh_open *open, struct bh_opened *ret);

/* Another policy numbers its users anew: whoever was asked so far is asked no more. */
void bh_opener_forget(void);
