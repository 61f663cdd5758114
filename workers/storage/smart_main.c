/*
 * bulkhead-smart: asks NVMe disks for their health logs.
 *
 * The kernel takes any command for a disk's controller or none: no filter sees which one it is. So whoever
 * may ask for a log may as well erase the disk, and that power is in a process that does nothing else, sees
 * nothing but the nodes of NVMe disks, is started for one list of disks and only if the policy says
 * `set nvme-smart yes`.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/confine/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/smart.h"
#include "workers/lib/loop.h"

#define GET_LOG_PAGE 0x02
#define ALL_NAMESPACES 0xffffffffu /* the log of the controller */
#define HEALTH_LOG 0x02u
#define RETAIN_EVENTS (1u << 15) /* what the log warns of is still reported to the kernel's driver */
#define WORDS (BH_SMART_LOG_BYTES / 4u)

static int open_disk(const char *name)
{
    char path[sizeof("/dev/") + BH_SMART_NAME_MAX];
    _cleanup_close_ int fd = -1;
    struct stat st;

    (void)snprintf(path, sizeof(path), "/dev/%s", name);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    return S_ISBLK(st.st_mode) ? bh_take_fd(&fd) : -ENOTBLK;
}

/* With the kernel's own time limit: after a shorter one it would reset the controller of a busy disk. */
static int read_log(const char *name, uint8_t log[BH_SMART_LOG_BYTES])
{
    struct nvme_admin_cmd command = { .opcode = GET_LOG_PAGE,
                                      .nsid = ALL_NAMESPACES,
                                      .addr = (uintptr_t)log,
                                      .data_len = BH_SMART_LOG_BYTES,
                                      .cdw10 = (WORDS - 1) << 16 | RETAIN_EVENTS | HEALTH_LOG };
    _cleanup_close_ int fd = open_disk(name);
    int r;

    if (fd < 0)
        return fd;
    r = ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command);
    return r < 0 ? -errno : r > 0 ? -EIO : 0; /* more than 0: the disk's own refusal */
}

/* What ends the process, or 0. */
static int answer(const struct bh_smart_request *request)
{
    struct bh_smart_reply reply = { .magic = BH_SMART_MAGIC };
    int r;

    if (request->magic != BH_SMART_MAGIC || !bh_smart_name_ok(request->name))
        return -EPROTO;
    reply.error = read_log(request->name, reply.log);
    r = bh_fd_send(BH_FD_PEER, &reply, sizeof(reply), -1);
    return r == -EAGAIN ? 0 : r; /* nobody takes the answers */
}

int main(void)
{
    const struct bh_boot *boot;
    struct bh_state *state;
    struct bh_smart_request request;
    int r = 0;

    bh_log_init("bulkhead-smart", BH_LOG_NOTICE);
    boot = bh_boot_map();
    state = bh_state_map();
    state->fences = bh_confine_self(&bh_profile_smart, &bh_filter_smart, boot, bh_profile_smart.paths,
                                    bh_profile_smart.n_paths, boot->required, boot->off);
    while (r == 0) {
        _cleanup_close_ int fd = -1;

        r = bh_fd_recv(BH_FD_PEER, &request, sizeof(request), &fd);
        if (r <= 0)
            break;
        r = fd < 0 ? answer(&request) : -EPROTO;
        state->requests++;
    }
    _exit(r == -EPROTO ? BH_EXIT_PROTOCOL : EXIT_SUCCESS);
}
