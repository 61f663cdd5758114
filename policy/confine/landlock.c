/*
 * Everything that this kernel's Landlock can take away is taken away, then the listed
 * paths are given back.
 *
 * The constants are ours: the kernel's header of the build machine may be older than
 * the kernel that runs.
 */
#include "policy/confine/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "policy/confine/mountapi.h"
#include "protocol/base/mem.h"

#define CREATE_RULESET_VERSION 1u
#define RULE_PATH_BENEATH 1

#define FS_EXECUTE (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE (UINT64_C(1) << 2)
#define FS_READ_DIR (UINT64_C(1) << 3)
#define FS_MAKE_REG (UINT64_C(1) << 8)
#define FS_MAKE_CHAR (UINT64_C(1) << 6)
#define FS_MAKE_BLOCK (UINT64_C(1) << 11)
#define FS_TRUNCATE (UINT64_C(1) << 14)
#define FS_IOCTL_DEV (UINT64_C(1) << 15)
#define FS_ALL ((UINT64_C(1) << 16) - 1)
#define FS_FOR_FILES (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)

#define NET_TCP 3u    /* bind, connect */
#define SCOPES_ALL 3u /* abstract unix sockets, signals */

struct ruleset_attr {
    uint64_t handled_fs, handled_net, scoped;
};

struct path_beneath_attr {
    uint64_t allowed;
    int32_t parent_fd;
} __attribute__((packed));

/* What each version of the interface (1, 2, ...) can restrict. Versions above the last row add nothing that
 * we use. */
static const struct ruleset_attr by_version[] = {
    { (UINT64_C(1) << 13) - 1, 0, 0 },                /* 5.13 */
    { (UINT64_C(1) << 14) - 1, 0, 0 },                /* 5.19: moving files between directories */
    { (UINT64_C(1) << 15) - 1, 0, 0 },                /* 6.2: truncate */
    { (UINT64_C(1) << 15) - 1, NET_TCP, 0 },          /* 6.7 */
    { (UINT64_C(1) << 16) - 1, NET_TCP, 0 },          /* 6.10: ioctl of devices */
    { (UINT64_C(1) << 16) - 1, NET_TCP, SCOPES_ALL }, /* 6.12 */
};

static uint64_t granted(uint32_t access)
{
    uint64_t rights = 0;

    if (access & BH_ACCESS_READ)
        rights |= FS_READ_FILE | FS_READ_DIR;
    if (access & BH_ACCESS_LIST)
        rights |= FS_READ_DIR;
    if (access & BH_ACCESS_WRITE)
        rights |= FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG;
    if (access & BH_ACCESS_OWN)
        rights |= FS_ALL & ~(FS_EXECUTE | FS_IOCTL_DEV | FS_MAKE_CHAR | FS_MAKE_BLOCK);
    if (access & (BH_ACCESS_ANY | BH_ACCESS_EXECUTE))
        rights |= FS_EXECUTE;
    if (access & BH_ACCESS_ANY)
        rights |= FS_IOCTL_DEV;
    return rights;
}

static int give_back(int ruleset, const struct bh_view_path *path, uint64_t handled)
{
    _cleanup_close_ int fd =
        bh_openat2(AT_FDCWD, path->path, O_PATH | O_CLOEXEC, RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    struct path_beneath_attr rule = { .allowed = granted(path->access) & handled, .parent_fd = fd };
    struct stat st;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode))
        rule.allowed &= FS_FOR_FILES;
    if (rule.allowed == 0)
        return 0;
    return syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
}

int bh_landlock_make(const struct bh_view_path *paths, uint32_t n_paths, bool tcp)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, CREATE_RULESET_VERSION);
    struct ruleset_attr attr;
    _cleanup_close_ int ruleset = -1;

    if (version <= 0)
        return -ENOSYS;
    if ((size_t)version > BH_ARRAY_SIZE(by_version))
        version = (long)BH_ARRAY_SIZE(by_version);
    attr = by_version[version - 1];
    if (tcp)
        attr.handled_net = 0;
    ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (ruleset < 0)
        return -errno;
    for (uint32_t i = 0; i < n_paths; i++) {
        int r = give_back(ruleset, &paths[i], attr.handled_fs);

        if (r < 0)
            return r;
    }
    return bh_take_fd(&ruleset);
}

int bh_landlock_enforce(int ruleset)
{
    return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int bh_landlock_restrict(const struct bh_view_path *paths, uint32_t n_paths)
{
    _cleanup_close_ int ruleset = bh_landlock_make(paths, n_paths, false);

    if (ruleset < 0)
        return ruleset == -ENOSYS ? 1 : ruleset;
    return bh_landlock_enforce(ruleset);
}
