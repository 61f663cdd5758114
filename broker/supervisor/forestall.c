/*
 * What has to be thawed before this agent can start. One that was killed as a whole may have left frozen what
 * its own folders lie on, and whoever makes a file there, or opens one to write, waits until somebody thaws.
 * So this comes first, makes nothing, and opens only to read.
 *
 * Invariants: nothing is thawed here unless the record says that an own folder is held; then nothing can be
 * held for longer, whatever the policy says, and the guard thaws the rest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/places.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define FOLDERS_MAX 4u

struct folders {
    int fds[FOLDERS_MAX];
    unsigned n;
};

/* The folder that this is, or in which it is, or would be made. `name`: absolute; is cut. */
static int open_nearest(char *name)
{
    for (;;) {
        int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char *slash = strrchr(name, '/');

        if (fd >= 0 || name[1] == '\0')
            return fd;
        slash[slash == name] = '\0';
    }
}

static void add_folder(struct folders *folders, const char *path)
{
    char name[PATH_MAX];
    int fd;

    if (!path || path[0] != '/' || snprintf(name, sizeof(name), "%s", path) >= (int)sizeof(name))
        return;
    fd = open_nearest(name);
    if (fd >= 0)
        folders->fds[folders->n++] = fd;
}

/* NULL: it is in the state folder. An agent without privilege, whose log is there too, can have frozen
 * nothing. */
static const char *audit_dir(const struct bh_options *options)
{
    if (options->audit_dir)
        return options->audit_dir;
    return options->own_state_dir ? NULL : BH_AUDIT_DIR_DEFAULT;
}

static void own_folders(const struct bh_supervisor *s, struct folders *ret)
{
    const struct bh_options *options = &s->options;

    *ret = (struct folders){ 0 };
    add_folder(ret, options->state_dir);
    add_folder(ret, audit_dir(options));
    add_folder(ret, options->log_file);
    add_folder(ret, options->daemon ? options->pid_file : NULL);
}

static bool holds_any(const struct bh_frozen *left, const struct folders *folders)
{
    for (unsigned i = 0; i < folders->n; i++)
        if (bh_frozen_holds(left, folders->fds[i]))
            return true;
    return false;
}

/* The last that was frozen comes first. An own folder comes in any case: the record ends where the file
 * system that it lies on was frozen, and what came behind that is not in it. */
static void thaw(const struct bh_frozen *left, const struct folders *folders)
{
    for (uint32_t i = left->n_mounts; i-- > 0;) {
        _cleanup_close_ int fd = open(left->mounts[i].path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0 && left->mounts[i].fate != BH_MOUNT_SKIPPED)
            (void)ioctl(fd, FITHAW, 0);
    }
    for (unsigned i = 0; i < folders->n; i++)
        (void)ioctl(folders->fds[i], FITHAW, 0);
}

static bool read_record(const struct bh_supervisor *s, struct bh_frozen *left)
{
    char path[PATH_MAX], boot_id[BH_FROZEN_BOOT_ID_MAX + 1];
    _cleanup_close_ int fd = -1;
    struct stat st;

    (void)snprintf(path, sizeof(path), "%.480s/bulkhead/frozen", s->options.state_dir);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid())
        return false;
    bh_freeze_await_guard(fd);
    return pread(fd, left, sizeof(*left), 0) > 0 && bh_boot_id(boot_id) == 0 &&
           bh_frozen_check(left, boot_id) && left->state != BH_THAWED;
}

void bh_freeze_forestall(struct bh_supervisor *s)
{
    _cleanup_free_ struct bh_frozen *left = calloc(1, sizeof(*left));
    struct folders folders;

    if (!left || !read_record(s, left))
        return;
    own_folders(s, &folders);
    s->frozen_forestalled = holds_any(left, &folders);
    if (s->frozen_forestalled) {
        thaw(left, &folders);
        bh_log(
            BH_LOG_WARNING,
            "the last agent left its own folders frozen: all that it froze is thawed before this one starts");
    }
    for (unsigned i = 0; i < folders.n; i++)
        (void)close(folders.fds[i]);
}
