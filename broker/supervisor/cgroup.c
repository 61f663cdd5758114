/*
 * Version 2 lets no process sit in a group whose children are limited, so the agent goes into a leaf of its
 * own. What a worker may write belongs to its gid: the kernel gives a new group to the uid and gid that files
 * are made as, and an owner may pass a file on to a group of his own, so no right to change owners is needed.
 *
 * Invariant: nothing is done to a group that was not given to this agent.
 */
#include "broker/supervisor/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "policy/confine/cgroupfs.h"
#include "protocol/base/mem.h"

#define AGENT "agent"
#define OF_ROOT "bulkhead" /* in the root group, which is everybody's, the agent makes itself one */

static int make(int parent, const char *name)
{
    bool made = mkdirat(parent, name, 0755) == 0;
    _cleanup_close_ int fd = -1;

    if (!made && errno != EEXIST)
        return -errno;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (made && fchmod(fd, 0755) < 0)) /* whatever the umask */
        return -errno;
    return bh_take_fd(&fd);
}

/* Attributes by which systemd, or whoever else, says that a group is somebody's own. */
static const char *const signs[] = { "trusted.delegate", "user.delegate" };

static bool is_delegated(int group)
{
    char value[2];

    for (size_t i = 0; i < BH_ARRAY_SIZE(signs); i++)
        if (fgetxattr(group, signs[i], value, sizeof(value)) == 1 && value[0] == '1')
            return true;
    return false;
}

/* In the root, which is everybody's: a group of the agent's own, if there is anything to limit by. */
static int make_of_root(int root)
{
    int group;

    if (bh_cgroup_enable(root) == 0)
        return -ENOENT;
    group = make(root, OF_ROOT);
    if (group >= 0)
        (void)fsetxattr(group, signs[1], "1", 1, 0); /* an agent that restarts itself finds it so */
    return group;
}

/* The group that is the agent's: a descriptor, -ENOENT, or another -errno. */
static int find_group(void)
{
    bool root = false;
    _cleanup_close_ int former = bh_cgroup_beside(AGENT), own = -1;

    if (former >= 0 && is_delegated(former))
        return bh_take_fd(&former);
    own = bh_cgroup_own(&root);
    if (own < 0)
        return own;
    if (root)
        return make_of_root(own);
    return is_delegated(own) ? bh_take_fd(&own) : -ENOENT;
}

int bh_cgroups_start(struct bh_cgroups *ret, const char **ret_step)
{
    _cleanup_close_ int group = -1, leaf = -1;
    int r;

    ret->group = -1;
    *ret_step = "find the agent's control group";
    group = find_group();
    if (group < 0)
        return group == -ENOENT || group == -EROFS || group == -EACCES ? 1 : group;
    *ret_step = "move into a control group";
    leaf = make(group, AGENT);
    r = leaf < 0 ? leaf : bh_cgroup_write(leaf, "cgroup.procs", "0");
    if (r < 0)
        return r;
    (void)bh_cgroup_enable(group);
    ret->group = bh_take_fd(&group);
    return 0;
}

/* To the files that delegation is about. */
static int let_group_write(int group)
{
    static const char *const files[] = { "cgroup.procs", "cgroup.subtree_control", "cgroup.threads" };

    if (fchmod(group, 0775) < 0)
        return -errno;
    for (size_t i = 0; i < BH_ARRAY_SIZE(files); i++)
        if (fchmodat(group, files[i], 0664, 0) < 0)
            return -errno;
    return 0;
}

/* A group of `gid`'s, if it is new. */
static int make_for(int parent, const char *name, gid_t gid)
{
    _cleanup_close_ int group = -1;
    int r;

    (void)setfsgid(gid);
    group = make(parent, name);
    r = group < 0 ? group : let_group_write(group);
    (void)setfsgid(getegid());
    return r < 0 ? r : bh_take_fd(&group);
}

int bh_cgroups_sit(const struct bh_cgroups *groups, const char *name, const char *channel, gid_t gid)
{
    char place_name[64];
    _cleanup_close_ int place = -1, worker = -1;

    if (groups->group < 0)
        return 0;
    (void)snprintf(place_name, sizeof(place_name), "%.16s-%.32s", name, channel);
    place = make_for(groups->group, place_name, gid);
    if (place < 0)
        return place;
    worker = make_for(place, BH_CGROUP_WORKER, gid);
    if (worker < 0)
        return worker;
    (void)bh_cgroup_enable(place);
    return bh_cgroup_write(worker, "cgroup.procs", "0");
}

/* Depth first; a group with processes stays, and so does what is above it. */
static void sweep(int parent, const char *name, int depth)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;

    if (!folder && fd >= 0)
        (void)close(fd);
    while (folder && depth > 0 && (entry = readdir(folder)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            sweep(dirfd(folder), entry->d_name, depth - 1);
    if (folder)
        (void)closedir(folder);
    (void)unlinkat(parent, name, AT_REMOVEDIR);
}

void bh_cgroups_sweep(const struct bh_cgroups *groups)
{
    int copy = groups->group < 0 ? -1 : openat(groups->group, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    const struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.' && strcmp(entry->d_name, AGENT) != 0)
            sweep(groups->group, entry->d_name, 1);
    if (folder)
        (void)closedir(folder);
}
