/*
 * The session files of systemd-logind, as plain text: NAME=value lines. The files are root's and
 * replaced by renaming, so each is whole; what is no regular file, too large or gone meanwhile is passed
 * over.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "workers/info/logins.h"

#define MICROSECONDS 1000000u

/* The value of the line NAME=value, the last one counts; .ptr NULL: there is none. */
static struct bh_str value_of(const char *text, size_t len, const char *name)
{
    struct bh_str value = { 0 };
    size_t name_len = strlen(name);

    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t n = end ? (size_t)(end - text) : len;

        if (n > name_len && memcmp(text, name, name_len) == 0 && text[name_len] == '=')
            value = (struct bh_str){ text + name_len + 1, (uint32_t)(n - name_len - 1) };
        text += n + (end ? 1 : 0);
        len -= n + (end ? 1 : 0);
    }
    return value;
}

static bool is(struct bh_str value, const char *word)
{
    return value.ptr && value.len == strlen(word) && memcmp(value.ptr, word, value.len) == 0;
}

/* Sessions of people; the others are greeters, lock screens, services and managers. */
static bool is_users(struct bh_str class)
{
    return is(class, "user") || is(class, "user-early") || is(class, "user-light") ||
           is(class, "user-early-light");
}

static bool microseconds(struct bh_str value, uint64_t *ret)
{
    if (!value.ptr || value.len == 0 || value.len > 18)
        return false;
    *ret = 0;
    for (uint32_t i = 0; i < value.len; i++) {
        if (value.ptr[i] < '0' || value.ptr[i] > '9')
            return false;
        *ret = *ret * 10 + (uint64_t)(value.ptr[i] - '0');
    }
    return true;
}

int bh_logins_session(struct bh_logins *logins, const char *text, size_t len)
{
    struct bh_str user = value_of(text, len, "USER");
    uint64_t since;

    if (user.len == 0 || !is_users(value_of(text, len, "CLASS")) ||
        is(value_of(text, len, "STATE"), "closing"))
        return 0;
    if (!microseconds(value_of(text, len, "REALTIME"), &since))
        return 0;
    return bh_logins_add(logins, user.ptr, user.len,
                         (double)(since / MICROSECONDS) + (double)(since % MICROSECONDS) / MICROSECONDS);
}

static int take_file(struct bh_logins *logins, int folder, const char *name)
{
    _cleanup_close_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    char text[BH_SESSION_FILE_MAX];
    struct stat st;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    n = bh_read_file(fd, text, sizeof(text));
    return n < 0 ? 0 : bh_logins_session(logins, text, (size_t)n);
}

int bh_logins_sessions(struct bh_logins *logins, const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    uint32_t n = 0;
    int r = 0;

    if (!dir)
        return errno == ENOENT ? 0 : -errno;
    while (r == 0 && (entry = readdir(dir))) {
        if (++n > BH_SESSIONS_MAX)
            r = -E2BIG;
        else if (entry->d_name[0] != '.')
            r = take_file(logins, dirfd(dir), entry->d_name);
    }
    (void)closedir(dir);
    return r;
}
