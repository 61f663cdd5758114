/*
 * Which hooks there are, in the order in which they freeze: the file of -F, then those of the folder by name.
 *
 * Trust: in = CONFIG; out = CHECKED (every folder on the way is root's; the files are judged before each
 * run); called by = hook
 */
#pragma once

#include <stdbool.h>

#include "protocol/wire/hook.h"
#include "workers/storage/hook_check.h"

#define BH_HOOKS_MAX 64u /* hooks of one freeze, -F included */

struct bh_hooks {
    uint32_t n;
    char paths[BH_HOOKS_MAX][PATH_MAX];
    /* Told of each name in the folder that is passed over. May be NULL. */
    void (*passed_over)(const char *name);
};

/*
 * Names of the folder are [A-Za-z0-9_-]+; others (drafts, copies of package managers) are passed over. 0, or
 * -errno with a sentence in `why`: then the list holds what was found nevertheless.
 */
int bh_hooks_gather(struct bh_hooks *hooks, const struct bh_hook_config *config, char why[BH_HOOK_WHY_MAX]);
