/* One open and one dup2: standard error is never without a file. */
#include "broker/supervisor/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/log.h"
#include "protocol/base/mem.h"

/* Not to block: a log may be a terminal or a pipe, and nobody waits for who reads that. */
#define FLAGS (O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)

/* /dev/stderr is a link, and an administrator may have made one. */
static bool link_is_ours(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && (st.st_uid == 0 || st.st_uid == geteuid());
}

int bh_log_file_open(const char *path)
{
    _cleanup_close_ int fd = open(path, FLAGS | O_NOFOLLOW, 0600);

    if (fd < 0 && errno == ELOOP) {
        if (!link_is_ours(path))
            return -ELOOP;
        fd = open(path, FLAGS, 0600);
    }
    return fd < 0 || dup2(fd, STDERR_FILENO) < 0 ? -errno : 0;
}

const char *bh_log_file_fault(int error)
{
    return error == -ELOOP ? "it is a symbolic link that somebody else made; name the file itself with -l"
                           : strerror(-error);
}

void bh_log_file_reopen(const char *path)
{
    int r = bh_log_file_open(path);

    if (r < 0)
        bh_log(BH_LOG_ERROR, "the log file %s cannot be opened anew, the old one stays: %s", path,
               bh_log_file_fault(r));
}
