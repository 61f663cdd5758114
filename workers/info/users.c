/*
 * guest-get-users: from utmp if the guest has it, else from systemd-logind's session files; nobody if it has
 * neither.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/handlers-info.h"
#include "workers/info/logins.h"
#include "workers/lib/procfile.h"
#include "workers/lib/worker.h"

#define UTMP "/run/utmp"
#define SESSIONS "/run/systemd/sessions"

/* 1 = taken, 0 = the guest has no utmp, -errno. */
static int take_utmp(struct bh_logins *logins)
{
    _cleanup_close_ int fd = open(UTMP, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    int r;

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode)) /* whatever it is, nobody is told of in it */
        return 0;
    r = bh_logins_utmp(logins, fd);
    return r < 0 ? r : 1;
}

int bh_do_guest_get_users(struct bh_call *call, struct bh_guest_get_users_ret *ret)
{
    struct bh_logins logins;
    int from_utmp, r;

    bh_logins_init(&logins, call->arena, bh_most_items(call), bh_listing_shown, call);
    from_utmp = take_utmp(&logins);
    r = from_utmp == 0 ? bh_logins_sessions(&logins, SESSIONS) : from_utmp;
    if (r == -E2BIG)
        return bh_fail(call->error, BH_E_REPLY_TOO_LARGE,
                       "more than %u users or %u sessions are there: let the policy hide some with `users`",
                       bh_most_items(call), BH_SESSIONS_MAX);
    return r < 0 ? r : bh_logins_tell(&logins, from_utmp == 0, ret);
}
