/*
 * Stands in place of bulkhead-storage, confined as that one is, and says of some paths whether it can open
 * them for reading. It opens nothing else and serves nobody. Then it asks for bulkhead-smart, asks that what
 * it may not, and keeps the next one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "policy/confine/profiles.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/control.h"
#include "protocol/wire/smart.h"
#include "workers/lib/loop.h"

static const char *const paths[] = { "/", "/root", "/etc", "/proc/self", "/sys/class/block",
                                     "/sys/devices/system/cpu/online",
                                     /* What it has no use for. */
                                     "/etc/passwd", "/etc/shadow", "/etc/hostname", "/proc/self/environ",
                                     "/proc/self/mem", "/proc/1/environ", "/dev/null", "/dev/zero",
                                     "/dev/vda", "/sys/kernel/notes", "/proc/kcore", "/usr/bin/env" };

static int start_smart(void)
{
    int fd = bh_control_start(BH_FD_CONTROL, BH_PEER_SMART, 5000);

    bh_log(BH_LOG_NOTICE, "asked for smart: %s", fd < 0 ? strerror(-fd) : "given");
    return fd;
}

static void ask_smart(int socket, const char *name)
{
    struct bh_smart_request request = { .magic = BH_SMART_MAGIC };
    struct bh_smart_reply reply;
    int fd, r;

    memcpy(request.name, name, strlen(name));
    r = bh_fd_send(socket, &request, sizeof(request), -1);
    if (r == 0)
        r = bh_fd_await(socket, &reply, sizeof(reply), bh_clock_ms(CLOCK_MONOTONIC) + 5000, &fd);
    bh_log(BH_LOG_NOTICE, "smart says of %s: %s", name, strerror(r < 0 ? -r : -reply.error));
}

int main(void)
{
    static const struct bh_worker_main rogue = { .profile = &bh_profile_storage,
                                                 .filter = &bh_filter_storage };
    static struct bh_worker worker;
    struct pollfd control = { .fd = BH_FD_CONTROL };
    int smart;

    bh_worker_start(&worker, &rogue);
    for (size_t i = 0; i < BH_ARRAY_SIZE(paths); i++) {
        int fd = open(paths[i], O_RDONLY | O_NONBLOCK | O_CLOEXEC);

        bh_log(BH_LOG_NOTICE, "tried %s: %s", paths[i], fd < 0 ? strerror(errno) : "opened");
        if (fd >= 0)
            (void)close(fd);
    }
    smart = start_smart();
    if (smart >= 0) {
        ask_smart(smart, "nvme999n1");
        ask_smart(smart, "null");
        (void)close(smart);
        (void)start_smart();
    }
    bh_log(BH_LOG_NOTICE, "tried all");
    while (!(control.revents & POLLHUP))
        (void)poll(&control, 1, -1);
    return 0;
}
