/*
 * guest-get-osinfo: uname, and os-release from $QGA_OS_RELEASE or else from the two places where it may lie.
 *
 * The file's bytes are kept while its identity (device, inode, size, times) is the same, so that a request
 * costs one stat and no read.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "protocol/handlers-info.h"
#include "protocol/wire/utf8.h"
#include "workers/info/osrelease.h"
#include "workers/lib/worker.h"

static struct {
    const char *path; /* NULL: nothing is kept */
    struct stat st;
    size_t len;
    char text[BH_OS_RELEASE_MAX];
} kept;

static bool is_kept(const char *path, const struct stat *st)
{
    return kept.path == path && kept.st.st_dev == st->st_dev && kept.st.st_ino == st->st_ino &&
           kept.st.st_size == st->st_size && kept.st.st_mtim.tv_sec == st->st_mtim.tv_sec &&
           kept.st.st_mtim.tv_nsec == st->st_mtim.tv_nsec && kept.st.st_ctim.tv_sec == st->st_ctim.tv_sec &&
           kept.st.st_ctim.tv_nsec == st->st_ctim.tv_nsec;
}

/* True if `kept` holds the file now. A file that is not text in UTF-8 is as good as none. */
static bool load(const char *path)
{
    struct stat st;
    _cleanup_close_ int fd = -1;
    ssize_t n;

    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    if (is_kept(path, &st))
        return true;
    kept.path = NULL;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return false;
    n = bh_read_file(fd, kept.text, sizeof(kept.text));
    if (n < 0 || memchr(kept.text, '\0', (size_t)n) || !bh_utf8_valid(kept.text, (size_t)n))
        return false;
    kept.path = path;
    kept.st = st;
    kept.len = (size_t)n;
    return true;
}

static bool load_any(void)
{
    const char *named = getenv("QGA_OS_RELEASE");

    if (named && *named)
        return load(named);
    return load("/etc/os-release") || load("/usr/lib/os-release");
}

static int set(struct bh_arena *arena, const char *text, bool *ret_has, struct bh_str *ret)
{
    *ret = bh_arena_str(arena, text, strlen(text));
    *ret_has = ret->ptr != NULL;
    return ret->ptr ? 0 : -ENOMEM;
}

int bh_do_guest_get_osinfo(struct bh_call *call, struct bh_guest_os_info *ret)
{
    struct bh_arena *arena = call->arena;
    struct utsname names;
    int r;

    if (uname(&names) < 0)
        return -errno;
    r = set(arena, names.release, &ret->has_kernel_release, &ret->kernel_release);
    if (r == 0)
        r = set(arena, names.version, &ret->has_kernel_version, &ret->kernel_version);
    if (r == 0)
        r = set(arena, names.machine, &ret->has_machine, &ret->machine);
    if (r == 0 && load_any())
        r = bh_os_release_parse(kept.text, kept.len, arena, ret);
    return r;
}
