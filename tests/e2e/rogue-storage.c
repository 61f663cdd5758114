/*
 * Stands in place of bulkhead-storage, confined as that one is, and says of some paths whether it can open
 * them for reading. It opens nothing else and serves nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "policy/confine/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "workers/lib/loop.h"

static const char *const paths[] = { "/", "/root", "/etc", "/proc/self", "/sys/class/block",
                                     "/sys/devices/system/cpu/online",
                                     /* What it has no use for. */
                                     "/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/self/environ",
                                     "/proc/self/mem", "/proc/1/environ", "/dev/null", "/dev/zero",
                                     "/dev/vda", "/sys/kernel/notes", "/proc/kcore", "/usr/bin/env" };

int main(void)
{
    static const struct bh_worker_main rogue = { .profile = &bh_profile_storage,
                                                 .filter = &bh_filter_storage };
    static struct bh_worker worker;
    struct pollfd control = { .fd = BH_FD_CONTROL };

    bh_worker_start(&worker, &rogue);
    for (size_t i = 0; i < BH_ARRAY_SIZE(paths); i++) {
        int fd = open(paths[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        bh_log(BH_LOG_NOTICE, "tried %s: %s", paths[i], fd < 0 ? strerror(errno) : "opened");
        if (fd >= 0)
            (void)close(fd);
    }
    bh_log(BH_LOG_NOTICE, "tried all");
    while (!(control.revents & POLLHUP))
        (void)poll(&control, 1, -1);
    return 0;
}
