/*
 * guest-get-timezone: the zone in use now, as the C library finds it in TZ or /etc/localtime. tzset each
 * time: it reads the file again only if it has changed, and localtime_r alone need not look.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "protocol/handlers-info.h"
#include "protocol/wire/utf8.h"
#include "workers/lib/worker.h"

int bh_do_guest_get_timezone(struct bh_call *call, struct bh_guest_timezone *ret)
{
    time_t now = time(NULL);
    struct tm local;

    tzset();
    if (!localtime_r(&now, &local))
        return -errno;
    ret->offset = local.tm_gmtoff;
    if (!local.tm_zone || !*local.tm_zone || !bh_utf8_valid(local.tm_zone, strlen(local.tm_zone)))
        return 0;
    ret->has_zone = true;
    ret->zone = bh_arena_str(call->arena, local.tm_zone, strlen(local.tm_zone));
    return ret->zone.ptr ? 0 : -ENOMEM;
}
