/*
 * Who is logged in: one entry per name, with the start of the earliest session. Two sources: the utmp file,
 * or, where there is none, the files that systemd-logind keeps, one per session.
 *
 * Trust: in = PEER (files that programs of the guest write); out = CHECKED; called by = info
 */
#pragma once

#include "protocol/types.h"
#include "workers/info/listing.h"

#define BH_SESSIONS_MAX 65536u    /* records of utmp, or session files, that are looked at */
#define BH_SESSION_FILE_MAX 8192u /* bytes of a session file; a larger one is passed over */

struct bh_login;

struct bh_logins {
    struct bh_arena *arena;
    bh_shown_fn shown;
    void *context;
    struct bh_login *first, **end;
    uint32_t n, most; /* users; how many may be told */
};

void bh_logins_init(struct bh_logins *logins, struct bh_arena *arena, uint32_t most, bh_shown_fn shown,
                    void *context);

/* A session of `name` (any bytes, not empty) since `time` (seconds); passed over if as text it is longer than
 * the name of a user can be. 0, -ENOMEM, -E2BIG (more than may be told). */
int bh_logins_add(struct bh_logins *logins, const char *name, size_t len, double time);

/* Takes the logins of utmp behind `fd`. 0, -errno of the read, or as above; -E2BIG for too many records as
 * well. */
int bh_logins_utmp(struct bh_logins *logins, int fd);

/* Takes one session file of systemd-logind: only a user's, and only one that is not being closed. As above.
 */
int bh_logins_session(struct bh_logins *logins, const char *text, size_t len);

/* Takes the session files in this folder; none if it does not exist. As above. */
int bh_logins_sessions(struct bh_logins *logins, const char *folder);

/* The users in order of arrival, or (`sorted`) of login, as the answer has them. 0 or -ENOMEM. */
int bh_logins_tell(const struct bh_logins *logins, bool sorted, struct bh_guest_get_users_ret *ret);
