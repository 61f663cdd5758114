/* The execve of restart.h, and what passes through it. */
#include "broker/supervisor/restart.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/log.h"

#define MARK "BULKHEAD_RESTARTED" /* "<process number>:<how often>" */

static struct {
    char program[512], folder[512]; /* "" = not known */
    char **argv;
    uint32_t count;
} own;

/* A mark that was meant for another process, or is none, means nothing. */
static uint32_t take_mark(void)
{
    const char *mark = getenv(MARK);
    uint32_t count = 0;
    int pid = 0;

    if (!mark || sscanf(mark, "%d:%" SCNu32, &pid, &count) != 2 || pid != getpid())
        count = 0;
    (void)unsetenv(MARK);
    return count;
}

void bh_restart_remember(char **argv)
{
    ssize_t n = readlink("/proc/self/exe", own.program, sizeof(own.program) - 1);

    own.program[n < 0 ? 0 : n] = '\0';
    if (!getcwd(own.folder, sizeof(own.folder)))
        own.folder[0] = '\0';
    own.argv = argv;
    own.count = take_mark();
}

uint32_t bh_restart_count(void)
{
    return own.count;
}

int bh_restart_may(const char **ret_path)
{
    *ret_path = own.program;
    return access(own.program, X_OK) < 0 ? -errno : 0;
}

static int set_number(const char *name, int number)
{
    char text[16];

    (void)snprintf(text, sizeof(text), "%d", number);
    return setenv(name, text, 1);
}

/* As the service manager had left it. */
static int hand_over(int inherited)
{
    if (inherited < 0)
        return 0;
    if (fcntl(inherited, F_SETFD, 0) < 0 || set_number("LISTEN_PID", getpid()) < 0 ||
        set_number("LISTEN_FDS", 1) < 0)
        return -errno;
    return 0;
}

int bh_restart_execute(const struct bh_options *options)
{
    char mark[32];
    int r = hand_over(options->inherited);

    (void)snprintf(mark, sizeof(mark), "%d:%" PRIu32, (int)getpid(), own.count + 1);
    if (r == 0 && setenv(MARK, mark, 1) < 0)
        r = -errno;
    if (r < 0)
        return r;
    if (chdir(own.folder) < 0)
        bh_log(BH_LOG_WARNING,
               "the folder that the agent was started in, %s: %s; relative paths may not be found",
               own.folder, strerror(errno));
    (void)execv(own.program, own.argv);
    return -errno;
}
