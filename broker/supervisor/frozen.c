/*
 * The frozen page's memory (protocol/wire/frozen.h): made once, before the first child, and kept to the end,
 * so that what it says outlives whoever writes it.
 *
 * Invariants: its size is sealed; children but the guard get a descriptor that can only be read, and may not
 * open it again to write.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/audit/state.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/frozen.h"

#define QUIET_MS 100 /* for a write of the audit process to end; it is one line, or BH_AUDIT_PIECE */

int bh_boot_id(char ret[BH_FROZEN_BOOT_ID_MAX + 1])
{
    _cleanup_close_ int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -errno : bh_read_file(fd, ret, BH_FROZEN_BOOT_ID_MAX);

    if (n < 0)
        return (int)n;
    ret[n] = '\0';
    return 0;
}

/* The same memory, to be read only. */
static int open_to_read(int fd)
{
    char path[64];
    int again;

    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    again = open(path, O_RDONLY | O_CLOEXEC);
    return again < 0 ? -errno : again;
}

int bh_frozen_page_make(struct bh_supervisor *s)
{
    _cleanup_close_ int fd = bh_memfd_new("bulkhead-frozen", NULL, sizeof(struct bh_frozen));
    char boot_id[BH_FROZEN_BOOT_ID_MAX + 1];
    void *page;
    int r = fd < 0 ? fd : bh_memfd_seal_size(fd);

    if (r == 0 && fchmod(fd, 0400) < 0)
        r = -errno;
    if (r == 0)
        r = bh_boot_id(boot_id);
    if (r < 0)
        return r;
    s->frozen_read_fd = open_to_read(fd);
    if (s->frozen_read_fd < 0)
        return s->frozen_read_fd;
    page = mmap(NULL, sizeof(struct bh_frozen), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    s->frozen = page;
    bh_frozen_init(s->frozen, boot_id);
    bh_log_hold(&s->frozen->state);
    s->frozen_fd = bh_take_fd(&fd);
    return 0;
}

int bh_frozen_await_quiet(const struct bh_supervisor *s)
{
    const uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + QUIET_MS;

    while (s->processes[0].pid && bh_audit_state_writes(s->audit_state)) {
        if (bh_clock_ms(CLOCK_BOOTTIME) >= until)
            return -EBUSY;
        (void)poll(NULL, 0, 1);
    }
    return 0;
}
