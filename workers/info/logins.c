/* The list of logins.h, and the records of utmp. The session files are read in sessions.c. */
#include "workers/info/logins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utmp.h>

#include "policy/listed.h"
#include "workers/lib/text.h"

#define CHUNK 64 /* records that are read at once */

struct bh_login {
    struct bh_login *next;
    const char *name; /* as it was found; told.user is its text */
    size_t len;
    struct bh_guest_user told;
};

void bh_logins_init(struct bh_logins *logins, struct bh_arena *arena, uint32_t most, bh_shown_fn shown,
                    void *context)
{
    *logins = (struct bh_logins){ .arena = arena, .most = most, .shown = shown, .context = context };
    logins->end = &logins->first;
}

static struct bh_login *find(const struct bh_logins *logins, const char *name, size_t len)
{
    struct bh_login *login = logins->first;

    while (login && (login->len != len || memcmp(login->name, name, len) != 0))
        login = login->next;
    return login;
}

int bh_logins_add(struct bh_logins *logins, const char *name, size_t len, double time)
{
    struct bh_login *login = find(logins, name, len);
    struct bh_str text;

    if (login) {
        login->told.login_time = time < login->told.login_time ? time : login->told.login_time;
        return 0;
    }
    if (!logins->shown(logins->context, name, len))
        return 0;
    text = bh_text_of(logins->arena, name, len);
    if (text.len > BH_USER_MAX)
        return 0;
    if (logins->n == logins->most)
        return -E2BIG;
    login = bh_arena_alloc(logins->arena, sizeof(*login));
    if (!login)
        return -ENOMEM;
    login->name = bh_arena_str(logins->arena, name, len).ptr;
    login->len = len;
    login->told.user = text;
    login->told.login_time = time;
    if (!login->name || !login->told.user.ptr)
        return -ENOMEM;
    *logins->end = login;
    logins->end = &login->next;
    logins->n++;
    return 0;
}

/* The seconds have 32 bits where the file is older than the 64 bits of the kernel, and no sign then. */
static double time_of(const struct utmp *record)
{
    double seconds = sizeof(record->ut_tv.tv_sec) == sizeof(uint32_t) ? (double)(uint32_t)record->ut_tv.tv_sec
                                                                      : (double)record->ut_tv.tv_sec;

    return seconds + (double)record->ut_tv.tv_usec / 1e6;
}

/* A name fills its field without a NUL, or ends at the first one. */
static int take_record(struct bh_logins *logins, const struct utmp *record)
{
    size_t len = strnlen(record->ut_user, sizeof(record->ut_user));

    if (record->ut_type != USER_PROCESS || len == 0)
        return 0;
    return bh_logins_add(logins, record->ut_user, len, time_of(record));
}

int bh_logins_utmp(struct bh_logins *logins, int fd)
{
    struct utmp records[CHUNK];
    uint32_t n = 0;
    int r = 0;

    for (;;) {
        ssize_t got = pread(fd, records, sizeof(records), (off_t)n * (off_t)sizeof(records[0]));
        size_t whole = got < 0 ? 0 : (size_t)got / sizeof(records[0]);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (whole == 0)
            return 0; /* what is left is less than a record: it is being written */
        if (n + whole > BH_SESSIONS_MAX)
            return -E2BIG;
        for (size_t i = 0; i < whole && r == 0; i++)
            r = take_record(logins, &records[i]);
        if (r < 0)
            return r;
        n += (uint32_t)whole;
    }
}

static int by_time(const void *a, const void *b)
{
    const struct bh_guest_user *x = a, *y = b;

    if (x->login_time != y->login_time)
        return x->login_time < y->login_time ? -1 : 1;
    return strcmp(x->user.ptr, y->user.ptr);
}

int bh_logins_tell(const struct bh_logins *logins, bool sorted, struct bh_guest_get_users_ret *ret)
{
    ret->value = bh_arena_array(logins->arena, logins->n, sizeof(*ret->value));
    ret->n_value = 0;
    if (!ret->value)
        return -ENOMEM;
    for (const struct bh_login *login = logins->first; login; login = login->next)
        ret->value[ret->n_value++] = login->told;
    if (sorted)
        qsort(ret->value, ret->n_value, sizeof(*ret->value), by_time);
    return 0;
}
