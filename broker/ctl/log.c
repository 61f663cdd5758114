/* Opening the audit folder of log.h. */
#include "broker/ctl/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/ctl/statusfile.h"
#include "broker/places.h"
#include "protocol/base/mem.h"

static char *find_folder(const struct ctl *ctl, const char *path)
{
    char *found = path ? strdup(path) : ctl_status_audit_dir(ctl);

    return found ? found : strdup(BH_AUDIT_DIR_DEFAULT);
}

int ctl_log_open(struct ctl_log *log, const struct ctl *ctl, const char *path)
{
    ssize_t n;

    *log = (struct ctl_log){ .dir = -1, .path = find_folder(ctl, path) };
    if (!log->path)
        return ctl_fail(CTL_FAILED, "out of memory");
    log->dir = open(log->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (log->dir < 0)
        return ctl_fail(
            CTL_FAILED,
            "the audit folder %s cannot be opened: %s; name it with --dir, or the agent's -t folder with "
            "--state-dir",
            log->path, strerror(errno));
    n = bh_segment_list(log->dir, &log->segments);
    if (n < 0)
        return ctl_fail(CTL_FAILED, "the audit folder %s cannot be read: %s", log->path, strerror((int)-n));
    log->n = (size_t)n;
    return CTL_OK;
}

void ctl_log_close(struct ctl_log *log)
{
    bh_close_p(&log->dir);
    free(log->path);
    free(log->segments);
}

FILE *ctl_log_segment(const struct ctl_log *log, uint64_t segment)
{
    char name[BH_SEGMENT_NAME_MAX];
    FILE *file;
    int fd;

    bh_segment_name(segment, name);
    fd = openat(log->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    file = fdopen(fd, "r");
    if (!file)
        (void)close(fd);
    return file;
}
