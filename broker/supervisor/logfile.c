/* One open and one dup2: standard error is never without a file. */
#include "broker/supervisor/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "protocol/base/mem.h"

int bh_log_file_open(const char *path)
{
    /* Not to block: a log may be a terminal or a pipe, and nobody waits for who reads that. */
    _cleanup_close_ int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);

    if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
        return -errno;
    return 0;
}
