/* Making anonymous files: the supervisor and bulkheadctl do, for others. Apart from fd.c, so that no confined
 * process links it. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

int bh_memfd_new(const char *name, const void *data, size_t size)
{
    _cleanup_close_ int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    int r;

    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) < 0)
        return -errno;
    r = data ? bh_write_all(fd, data, size) : 0;
    if (r < 0)
        return r;
    return bh_take_fd(&fd);
}

int bh_memfd_seal_size(int fd)
{
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0 ? -errno : 0;
}
