/*
 * The pid file of pidfile.h.
 *
 * The lock is fcntl's, of a process: it ends with it, whatever happens, and a child that
 * inherits the descriptor for a moment does not hold it.
 */
#include "broker/supervisor/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/why.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

#define TEXT_MAX 32 /* bytes of a number and its LF, and more than any has */
#define TRIES 10    /* a file that is removed between open and lock is opened again */

static struct {
    int fd;
    pid_t owner; /* 0: none taken */
    const char *path;
} taken = { .fd = -1 };

static int judge(int fd, const char *path, const struct bh_why *why)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return bh_why_fail(why, -errno, "the pid file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode) || st.st_nlink > 1 || st.st_uid != geteuid() || (st.st_mode & 022))
        return bh_why_fail(
            why, -EPERM,
            "%s is not a pid file of ours (a regular file with one name, of the starting user and "
            "writable by nobody else); remove it, or name another with -f",
            path);
    return 0;
}

static int lock(int fd, const char *path, const struct bh_why *why)
{
    struct flock held = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int error;

    if (fcntl(fd, F_SETLK, &held) == 0)
        return 0;
    error = -errno;
    if (fcntl(fd, F_GETLK, &held) == 0 && held.l_type != F_UNLCK)
        return bh_why_fail(why, error, "%s is held by process %d: an agent runs already; end it first", path,
                           (int)held.l_pid);
    return bh_why_fail(why, error, "%s cannot be locked: %s", path, strerror(-error));
}

/* What a crash left behind is a number; anything else was meant for something else. */
static int judge_text(int fd, const char *path, const struct bh_why *why)
{
    char text[TEXT_MAX + 1] = "";
    ssize_t n = bh_read_file(fd, text, TEXT_MAX);
    size_t digits = strspn(text, "0123456789");

    if (n == 0 || (n > 0 && digits > 0 && (size_t)n == digits + (text[digits] == '\n')))
        return 0;
    return bh_why_fail(why, -EEXIST, "%s holds something else than a process number; name another with -f",
                       path);
}

/* False: the name means another file by now. */
static bool is_at(int fd, const char *path)
{
    struct stat open, named;

    return fstat(fd, &open) == 0 && lstat(path, &named) == 0 && open.st_dev == named.st_dev &&
           open.st_ino == named.st_ino;
}

static int open_locked(const char *path, const struct bh_why *why)
{
    for (int i = 0; i < TRIES; i++) {
        _cleanup_close_ int fd =
            open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
        int r;

        if (fd < 0)
            return bh_why_fail(why, -errno, "the pid file %s cannot be opened: %s", path,
                               errno == ELOOP ? "it is a symbolic link; name the file itself with -f"
                                              : strerror(errno));
        r = judge(fd, path, why);
        if (r == 0)
            r = lock(fd, path, why);
        if (r < 0)
            return r;
        if (is_at(fd, path))
            return bh_take_fd(&fd);
    }
    return bh_why_fail(why, -EAGAIN, "the pid file %s is replaced again and again", path);
}

int bh_pid_file_take(const char *path, char *why_text, size_t why_size)
{
    const struct bh_why why = { why_text, why_size };
    _cleanup_close_ int fd = open_locked(path, &why);
    char text[TEXT_MAX];
    int r = fd < 0 ? fd : judge_text(fd, path, &why);

    if (r < 0)
        return r;
    (void)snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || fchmod(fd, 0600) < 0 ||
        pwrite(fd, text, strlen(text), 0) != (ssize_t)strlen(text))
        return bh_why_fail(&why, errno ? -errno : -EIO, "the pid file %s cannot be written: %s", path,
                           strerror(errno));
    taken.fd = bh_take_fd(&fd);
    taken.owner = getpid();
    taken.path = path;
    return 0;
}

void bh_pid_file_drop(void)
{
    if (taken.owner != getpid())
        return; /* none taken, or a child of the daemon */
    if (is_at(taken.fd, taken.path))
        (void)unlink(taken.path);
    taken.owner = 0;
}
