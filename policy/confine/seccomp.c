/* One call; the filter is a constant of the program. */
#include "policy/confine/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

int bh_seccomp_load(const struct bh_filter *filter)
{
    struct sock_fprog program = { .len = filter->len,
                                  .filter = (struct sock_filter *)(uintptr_t)filter->code };

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0 ? -errno : 0;
}
