/* guest-get-host-name: from uname, which needs no privilege and no file. */
#include <errno.h>
#include <string.h>
#include <sys/utsname.h>

#include "protocol/handlers-info.h"
#include "workers/lib/worker.h"

int bh_do_guest_get_host_name(struct bh_call *call, struct bh_guest_host_name *ret)
{
    struct utsname names;

    if (uname(&names) < 0)
        return -errno;
    ret->host_name = bh_arena_str(call->arena, names.nodename, strlen(names.nodename));
    return ret->host_name.ptr ? 0 : -ENOMEM;
}
