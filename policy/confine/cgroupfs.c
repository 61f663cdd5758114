/* /proc/self/cgroup has a line "0::/PATH" for version 2, which is mounted in one of two places. */
#include "policy/confine/cgroupfs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

#define CGROUP2_MAGIC 0x63677270

static int open_mount(void)
{
    static const char *const places[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

    for (size_t i = 0; i < BH_ARRAY_SIZE(places); i++) {
        _cleanup_close_ int fd = open(places[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct statfs fs;

        if (fd >= 0 && fstatfs(fd, &fs) == 0 && (uint32_t)fs.f_type == CGROUP2_MAGIC)
            return bh_take_fd(&fd);
    }
    return -ENOENT;
}

/* The path of this process's group, without its leading '/'. */
static int read_path(char ret[static PATH_MAX])
{
    _cleanup_fclose_ FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX + 8];

    if (!file)
        return -errno;
    while (fgets(line, sizeof(line), file)) {
        size_t len = strcspn(line, "\n");

        if (strncmp(line, "0::/", 4) != 0 || line[len] != '\n')
            continue;
        line[len] = '\0';
        (void)snprintf(ret, PATH_MAX, "%.*s", PATH_MAX - 1, line + 4);
        return 0;
    }
    return -ENOENT;
}

static int open_below(int mount, const char *path)
{
    int fd = openat(mount, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : fd;
}

int bh_cgroup_own(bool *ret_root)
{
    _cleanup_close_ int mount = open_mount();
    char path[PATH_MAX];
    int r = mount < 0 ? mount : read_path(path);

    if (r < 0)
        return r;
    *ret_root = path[0] == '\0';
    return open_below(mount, path);
}

int bh_cgroup_beside(const char *name)
{
    _cleanup_close_ int mount = open_mount();
    char path[PATH_MAX], *slash;
    int r = mount < 0 ? mount : read_path(path);

    if (r < 0)
        return r;
    slash = strrchr(path, '/');
    if (!slash || strcmp(slash + 1, name) != 0)
        return -ENOENT;
    *slash = '\0';
    return open_below(mount, path);
}

int bh_cgroup_write(int group, const char *name, const char *text)
{
    _cleanup_close_ int fd = openat(group, name, O_WRONLY | O_CLOEXEC);

    return fd < 0 ? -errno : bh_write_all(fd, text, strlen(text));
}

uint32_t bh_cgroup_enable(int group)
{
    static const struct {
        const char *text;
        uint32_t bit;
    } all[] = { { "+memory", BH_CGROUP_MEMORY }, { "+pids", BH_CGROUP_PIDS }, { "+cpu", BH_CGROUP_CPU } };
    uint32_t enabled = 0;

    for (size_t i = 0; i < BH_ARRAY_SIZE(all); i++)
        if (bh_cgroup_write(group, "cgroup.subtree_control", all[i].text) == 0)
            enabled |= all[i].bit;
    return enabled;
}
