/*
 * Path resolution of resolve.h. The kernel does it wherever it can; only trusted links are walked by hand,
 * one component at a time, since openat2 knows no such rule.
 */
#include "workers/fs/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "protocol/base/mem.h"

#define LINKS_MAX 40 /* as the kernel */

#ifndef EFIVARFS_MAGIC
#define EFIVARFS_MAGIC 0xde5e81e4
#endif
#define CONFIGFS_MAGIC 0x62656570

int bh_openat_resolve(int dir, const char *path, int flags, unsigned mode, uint64_t resolve)
{
    struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC), .mode = mode, .resolve = resolve };
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

static int open_path(int dir, const char *path, int flags, uint64_t resolve)
{
    return bh_openat_resolve(dir, path, O_PATH | flags, 0, resolve | RESOLVE_NO_MAGICLINKS);
}

struct walk {
    int at; /* the folder reached so far */
    unsigned links;
    char rest[PATH_MAX];
};

static bool is_roots(const struct stat *st)
{
    return st->st_uid == 0 && (S_ISLNK(st->st_mode) || !(st->st_mode & (S_IWGRP | S_IWOTH)));
}

static int set_at(struct walk *walk, int fd)
{
    if (fd < 0)
        return fd;
    (void)close(walk->at);
    walk->at = fd;
    return 0;
}

/* Puts the target of a trusted link before what is left of the path. */
static int follow(struct walk *walk, int link, const struct stat *about, const char *left)
{
    char target[PATH_MAX], joined[PATH_MAX];
    struct stat folder;
    ssize_t n;
    int len;

    if (fstat(walk->at, &folder) < 0)
        return -errno;
    if (!is_roots(about) || !is_roots(&folder) || ++walk->links > LINKS_MAX)
        return -ELOOP;
    n = readlinkat(link, "", target, sizeof(target));
    if (n < 0)
        return -errno;
    if ((size_t)n == sizeof(target))
        return -ENAMETOOLONG;
    len = snprintf(joined, sizeof(joined), "%.*s/%s", (int)n, target, left);
    if (len < 0 || (size_t)len >= sizeof(joined))
        return -ENAMETOOLONG;
    memcpy(walk->rest, joined, (size_t)len + 1);
    return walk->rest[0] == '/' ? set_at(walk, open_path(AT_FDCWD, "/", O_DIRECTORY, 0)) : 0;
}

/* One component on. 1 = there is more. */
static int step(struct walk *walk)
{
    char name[NAME_MAX + 1];
    const char *start = walk->rest + strspn(walk->rest, "/");
    size_t len = strcspn(start, "/");
    _cleanup_close_ int next = -1;
    struct stat st;
    int r;

    if (len == 0)
        return 0;
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, start, len);
    name[len] = '\0';
    next = open_path(walk->at, name, O_NOFOLLOW, 0);
    if (next < 0)
        return next;
    if (fstat(next, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode)) {
        r = follow(walk, next, &st, start + len);
        return r < 0 ? r : 1;
    }
    memmove(walk->rest, start + len, strlen(start + len) + 1);
    r = set_at(walk, bh_take_fd(&next));
    return r < 0 ? r : 1;
}

static int resolve_trusted(const char *path)
{
    struct walk walk = { .at = open_path(AT_FDCWD, path[0] == '/' ? "/" : ".", O_DIRECTORY, 0) };
    int r = 1;

    if (walk.at < 0)
        return walk.at;
    if (path[0] == '\0' || strlen(path) >= sizeof(walk.rest))
        r = path[0] ? -ENAMETOOLONG : -ENOENT;
    else
        strcpy(walk.rest, path);
    while (r > 0)
        r = step(&walk);
    if (r == 0)
        return walk.at;
    (void)close(walk.at);
    return r;
}

int bh_resolve(const char *path, enum bh_symlinks symlinks)
{
    if (symlinks == BH_SYMLINKS_TRUSTED)
        return resolve_trusted(path);
    return open_path(AT_FDCWD, path, 0, symlinks == BH_SYMLINKS_FOLLOW ? 0 : RESOLVE_NO_SYMLINKS);
}

/* File systems whose files are doors into the kernel. */
static bool is_pseudo(int64_t type)
{
    static const uint32_t types[] = {
        PROC_SUPER_MAGIC,   SYSFS_MAGIC,         DEBUGFS_MAGIC,    TRACEFS_MAGIC,
        CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, SECURITYFS_MAGIC, SELINUX_MAGIC,
        EFIVARFS_MAGIC,     BPF_FS_MAGIC,        PSTOREFS_MAGIC,   CONFIGFS_MAGIC,
    };

    for (size_t i = 0; i < BH_ARRAY_SIZE(types); i++)
        if ((uint32_t)type == types[i])
            return true;
    return false;
}

/* The memory of a process, first of all our own: through it a client would run what he likes here. */
static bool is_memory(int64_t type, const char *name)
{
    size_t len = strlen(name);

    return (uint32_t)type == PROC_SUPER_MAGIC && len >= 4 && strcmp(name + len - 4, "/mem") == 0;
}

int bh_object_of(int fd, struct bh_object *ret)
{
    struct statfs fs;
    char link[64];
    ssize_t n;

    if (fstat(fd, &ret->st) < 0 || fstatfs(fd, &fs) < 0)
        return -errno;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, ret->name, sizeof(ret->name));
    if (n < 0)
        return -errno;
    if ((size_t)n == sizeof(ret->name))
        return -ENAMETOOLONG;
    ret->name[n] = '\0';
    if (ret->st.st_nlink == 0 || ret->name[0] != '/')
        return -ENOENT;
    if (is_memory((int64_t)fs.f_type, ret->name))
        return -EACCES;
    ret->regular = S_ISREG(ret->st.st_mode) && ret->st.st_nlink == 1 && !is_pseudo((int64_t)fs.f_type);
    return 0;
}
