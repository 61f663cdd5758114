/* Rounds of reaping and killing, until the kernel says that there is no child. */
#include "workers/storage/hook_tree.h"

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
#define STAT_MAX 1024 /* bytes of /proc/PID/stat; what is read stands at its beginning */

/* Reaps all that have ended. True: there is no child, and so nobody below us. */
static bool is_alone(void)
{
    pid_t pid;

    do
        pid = waitpid(-1, NULL, WNOHANG | __WALL);
    while (pid > 0 || (pid < 0 && errno == EINTR));
    return pid < 0;
}

/* "412 (name) S 1 412 ...": the name may hold anything, so its end is the last bracket. */
static bool parse(const char *text, pid_t *ret_parent, pid_t *ret_group)
{
    const char *end = strrchr(text, ')');

    return end && sscanf(end + 1, " %*c %d %d", ret_parent, ret_group) == 2;
}

static bool family_of(int proc, const char *number, pid_t *ret_parent, pid_t *ret_group)
{
    char name[sizeof("4294967295/stat")], text[STAT_MAX];
    _cleanup_close_ int fd = -1;
    ssize_t n;

    if (snprintf(name, sizeof(name), "%s/stat", number) >= (int)sizeof(name))
        return false;
    fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    return parse(text, ret_parent, ret_group);
}

static void kill_child(const char *number, pid_t group)
{
    pid_t pid = (pid_t)strtol(number, NULL, 10);

    if (group > 1 && group != getpgrp())
        (void)kill(-group, SIGKILL);
    if (pid > 1)
        (void)kill(pid, SIGKILL);
}

static void kill_children(void)
{
    DIR *proc = opendir("/proc");
    const struct dirent *entry;
    pid_t parent, group;

    while (proc && (entry = readdir(proc)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
            family_of(dirfd(proc), entry->d_name, &parent, &group) && parent == getpid())
            kill_child(entry->d_name, group);
    if (proc)
        (void)closedir(proc);
}

int bh_hook_tree_end(int patience_ms)
{
    int64_t deadline = bh_clock_ms(CLOCK_MONOTONIC) + patience_ms;

    while (!is_alone()) {
        if ((int64_t)bh_clock_ms(CLOCK_MONOTONIC) >= deadline)
            return -EBUSY;
        kill_children();
        (void)poll(NULL, 0, ROUND_MS);
    }
    return 0;
}
