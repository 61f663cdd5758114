/* The order of become.h: groups while there still is the right to change them, the uid last. */
#include "policy/confine/become.h"

#include <errno.h>
#include <grp.h>
#include <unistd.h>

int bh_become(uid_t uid, gid_t gid, uint32_t n_groups, const gid_t *groups)
{
    gid_t now[BH_BECOME_GROUPS_MAX];

    if (n_groups > BH_BECOME_GROUPS_MAX)
        return -E2BIG;
    if (setgroups(n_groups, groups) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
        return -errno;
    return getgroups(BH_BECOME_GROUPS_MAX, now) == (int)n_groups ? 0 : -EPERM;
}
