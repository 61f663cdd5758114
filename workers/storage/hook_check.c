/* The rules of hook_check.h, one part of the path after the other. */
#include "workers/storage/hook_check.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/mem.h"
#include "workers/storage/hook_text.h"

#define SHOWN 512 /* bytes of a path that a sentence shows */
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

/* The path up to the part that is judged, as sentences show it. */
struct part {
    char shown[SHOWN];
    struct stat st;
    char *why;
};

#define REFUSE(part, error, ...) (bh_hook_printf((part)->why, BH_HOOK_WHY_MAX, __VA_ARGS__), (error))

static int judge_folder(const struct part *part)
{
    if (S_ISLNK(part->st.st_mode))
        return REFUSE(part, -ELOOP,
                      "%s is a symbolic link; name hooks by the folder that it leads to, since links are not "
                      "followed",
                      part->shown);
    if (!S_ISDIR(part->st.st_mode))
        return REFUSE(part, -ENOTDIR, "%s is not a folder", part->shown);
    if (part->st.st_uid != 0)
        return REFUSE(part, -EPERM,
                      "the folder %s belongs to uid %u, who could put another hook in the place of one; run: "
                      "chown root %s",
                      part->shown, part->st.st_uid, part->shown);
    if (part->st.st_mode & OTHERS_WRITE)
        return REFUSE(
            part, -EPERM,
            "others than root may write to the folder %s, and could put another hook in the place of "
            "one; run: chmod go-w %s, or keep hooks elsewhere",
            part->shown, part->shown);
    return 0;
}

static int judge_file(const struct part *part)
{
    if (S_ISLNK(part->st.st_mode))
        return REFUSE(part, -ELOOP,
                      "the hook %s is a symbolic link; put the program itself there, since links are not "
                      "followed",
                      part->shown);
    if (!S_ISREG(part->st.st_mode))
        return REFUSE(part, -EINVAL, "the hook %s is not a regular file; remove it", part->shown);
    if (part->st.st_uid != 0)
        return REFUSE(part, -EPERM, "the hook %s belongs to uid %u; run: chown root %s", part->shown,
                      part->st.st_uid, part->shown);
    if (part->st.st_mode & OTHERS_WRITE)
        return REFUSE(part, -EPERM, "others than root may write to the hook %s; run: chmod go-w %s",
                      part->shown, part->shown);
    if (!(part->st.st_mode & S_IXUSR))
        return REFUSE(part, -EACCES, "the hook %s is not executable; run: chmod u+x %s, or remove it",
                      part->shown, part->shown);
    return 0;
}

/* Opens the part that ends at `end` from the folder `at`, without following it. */
static int open_part(int at, const char *path, const char *begin, const char *end, struct part *part)
{
    char name[NAME_MAX + 1];
    size_t len = (size_t)(end - begin);
    int fd = -1;

    (void)bh_hook_clean(path, (size_t)(end - path), part->shown, sizeof(part->shown));
    errno = ENAMETOOLONG;
    if (len < sizeof(name)) {
        memcpy(name, begin, len);
        name[len] = '\0';
        fd = openat(at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd >= 0 && fstat(fd, &part->st) == 0)
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return errno == ENOENT ? REFUSE(part, -ENOENT, "%s does not exist", part->shown)
                           : REFUSE(part, -errno, "%s cannot be opened: %s", part->shown, strerror(errno));
}

/* Judges the root, then each folder on the way; the last part's descriptor, unjudged, or -errno. */
static int walk(const char *path, struct part *part)
{
    _cleanup_close_ int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    const char *begin = path + strspn(path, "/");

    strcpy(part->shown, "/");
    if (path[0] != '/')
        return REFUSE(part, -EINVAL, "a hook is named by its absolute path");
    if (at < 0 || fstat(at, &part->st) < 0)
        return REFUSE(part, -errno, "/ cannot be opened: %s", strerror(errno));
    while (*begin) {
        const char *end = begin + strcspn(begin, "/");
        int r = judge_folder(part), fd;

        if (r < 0)
            return r;
        fd = open_part(at, path, begin, end, part);
        if (fd < 0)
            return fd;
        (void)close(at);
        at = fd;
        begin = end + strspn(end, "/");
    }
    return bh_take_fd(&at);
}

int bh_hook_check(const char *path, char why[BH_HOOK_WHY_MAX])
{
    struct part part = { .why = why };
    _cleanup_close_ int fd = walk(path, &part);

    return fd < 0 ? fd : judge_file(&part);
}

int bh_hook_check_folder(const char *path, char why[BH_HOOK_WHY_MAX])
{
    struct part part = { .why = why };
    _cleanup_close_ int fd = walk(path, &part);
    int r = fd < 0 ? fd : judge_folder(&part);

    if (r < 0)
        return r;
    r = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return r >= 0 ? r
                  : REFUSE(&part, -errno, "the folder %s cannot be read: %s", part.shown, strerror(errno));
}
