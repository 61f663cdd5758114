/* The comparison of stale.h: two lists of folders, as sets. The capability follows from the same rules. */
#include "workers/fs/stale.h"

#include <string.h>

#include "policy/match.h"

struct folders {
    uint32_t n;
    struct bh_view_path rows[BH_PATHS_MAX];
    char storage[BH_PATHS_STORAGE];
};

static struct folders seen;
static bool stale;

static void list(struct folders *ret, const struct bh_policy *policy)
{
    ret->n = bh_policy_paths(policy, BH_NO_USER, ret->rows, BH_PATHS_MAX, ret->storage, sizeof(ret->storage));
}

static bool has(const struct folders *folders, const struct bh_view_path *row)
{
    for (uint32_t i = 0; i < folders->n; i++)
        if (folders->rows[i].access == row->access && strcmp(folders->rows[i].path, row->path) == 0)
            return true;
    return false;
}

uint32_t bh_stale_init(const struct bh_policy *policy, const struct bh_view_path **ret)
{
    list(&seen, policy);
    stale = false;
    *ret = seen.rows;
    return seen.n;
}

void bh_stale_renew(const struct bh_policy *policy)
{
    static struct folders wanted; /* large */

    list(&wanted, policy); /* each folder stands there once */
    stale = wanted.n != seen.n;
    for (uint32_t i = 0; i < wanted.n && !stale; i++)
        stale = !has(&seen, &wanted.rows[i]);
}

bool bh_is_stale(void)
{
    return stale;
}

bool bh_is_out_of_sight(const struct bh_str *path)
{
    for (uint32_t i = 0; i < seen.n; i++)
        if (bh_path_match(BH_PATH_BENEATH, seen.rows[i].path, strlen(seen.rows[i].path), path->ptr,
                          path->len))
            return false;
    return stale;
}
