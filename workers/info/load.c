/* guest-get-load: from sysinfo(2), as getloadavg(3) has it: unrounded, and without a file. */
#include <errno.h>
#include <sys/sysinfo.h>

#include "protocol/handlers-info.h"

static double load_of(unsigned long fixed)
{
    return (double)fixed / (1 << SI_LOAD_SHIFT);
}

int bh_do_guest_get_load(struct bh_call *call, struct bh_guest_load *ret)
{
    struct sysinfo info;

    (void)call;
    if (sysinfo(&info) < 0)
        return -errno;
    *ret = (struct bh_guest_load){ .load1m = load_of(info.loads[0]),
                                   .load5m = load_of(info.loads[1]),
                                   .load15m = load_of(info.loads[2]) };
    return 0;
}
