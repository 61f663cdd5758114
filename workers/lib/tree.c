/* Rounds of reaping and killing, until the kernel says that there is no child. */
#include "workers/lib/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

#define ROUND_MS 2
#define REAP_MAX 1024 /* of one round */
#define STAT_MAX 1024 /* bytes of /proc/PID/stat; what is read stands at its beginning */

/* Reaps what has ended, but not for ever what never stops dying. True: there is no child, and so nobody below
 * us. */
static bool is_alone(void)
{
    pid_t pid = 0;

    for (unsigned i = 0; i < REAP_MAX; i++) {
        pid = waitpid(-1, NULL, WNOHANG | __WALL);
        if (pid == 0 || (pid < 0 && errno != EINTR))
            break;
    }
    return pid < 0 && errno != EINTR;
}

/* "412 (name) S 1 412 ...": the name may hold anything, so its end is the last bracket. */
static pid_t parse(const char *text)
{
    const char *end = strrchr(text, ')');
    pid_t parent;

    return end && sscanf(end + 1, " %*c %d", &parent) == 1 ? parent : -1;
}

/* The parent of the process with this number, or -1. */
static pid_t parent_of(int proc, const char *number)
{
    char name[sizeof("4294967295/stat")], text[STAT_MAX];
    _cleanup_close_ int fd = -1;
    ssize_t n;

    if (snprintf(name, sizeof(name), "%s/stat", number) >= (int)sizeof(name))
        return -1;
    fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    return parse(text);
}

/* Kills and reaps, as far as they let themselves be reaped yet. How many children it has found. */
static unsigned kill_children(bh_tree_spared_fn spared, const void *context)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    unsigned n = 0;

    while (proc && (entry = readdir(proc))) {
        pid_t pid =
            entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? (pid_t)strtol(entry->d_name, NULL, 10) : 0;

        if (pid == 0 || parent_of(dirfd(proc), entry->d_name) != getpid() || (spared && spared(context, pid)))
            continue;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, WNOHANG | __WALL);
        n++;
    }
    if (proc)
        (void)closedir(proc);
    return n;
}

int bh_tree_end(int patience_ms)
{
    int64_t deadline = bh_clock_ms(CLOCK_MONOTONIC) + patience_ms;

    while (!is_alone()) {
        if ((int64_t)bh_clock_ms(CLOCK_MONOTONIC) >= deadline)
            return -EBUSY;
        (void)kill_children(NULL, NULL);
        (void)poll(NULL, 0, ROUND_MS);
    }
    return 0;
}

int bh_tree_end_others(bh_tree_spared_fn spared, const void *context, int patience_ms)
{
    int64_t deadline = bh_clock_ms(CLOCK_MONOTONIC) + patience_ms;

    while (kill_children(spared, context) > 0) {
        if ((int64_t)bh_clock_ms(CLOCK_MONOTONIC) >= deadline)
            return -EBUSY;
        (void)poll(NULL, 0, ROUND_MS);
    }
    return 0;
}
