/*
 * Signals of bulkheadctl exec: counted when they come, and passed on between two requests. One that comes
 * before a wait begins is seen when that ends, which it soon does.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "broker/ctl/exec.h"
#include "protocol/base/mem.h"

#define PATIENCE 3 /* so many, and nobody waits for the agent any more */

static const int caught[] = { SIGINT, SIGQUIT, SIGTERM, SIGHUP };
static volatile sig_atomic_t came[BH_ARRAY_SIZE(caught)], total;

static void leave(void)
{
    static const char text[] = "bulkheadctl: left; what was started may still run: bulkheadctl exec --list\n";
    ssize_t n = write(STDERR_FILENO, text, sizeof(text) - 1);

    (void)n;
    _exit(CTL_EXEC_OWN);
}

static void note(int signal)
{
    int error = errno;

    for (size_t i = 0; i < BH_ARRAY_SIZE(caught); i++)
        if (caught[i] == signal)
            came[i] = 1;
    total = total + 1;
    if (total >= PATIENCE)
        leave();
    errno = error;
}

void ctl_signals_catch(void)
{
    struct sigaction action = { .sa_handler = note }, old;

    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < BH_ARRAY_SIZE(caught); i++) {
        if (sigaction(caught[i], NULL, &old) == 0 && old.sa_handler == SIG_IGN)
            continue;
        (void)sigaction(caught[i], &action, NULL);
    }
}

int ctl_signals_next(void)
{
    for (size_t i = 0; i < BH_ARRAY_SIZE(caught); i++) {
        if (!came[i])
            continue;
        came[i] = 0;
        return caught[i];
    }
    return 0;
}
