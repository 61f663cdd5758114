/*
 * Stands in place of a process that was taken over and does one thing for ever. As bulkhead-front: refuses to
 * be ended by SIGTERM and floods the supervisor with requests. As bulkhead-audit: asks for one log segment
 * after the other. Which of them, its name tells. Executed in an empty view, hence static.
 */
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/wire/control.h"

static void take_answer(void)
{
    struct bh_control message;
    int fd = -1;

    if (bh_control_recv(BH_FD_CONTROL, &message, &fd) > 0 && fd >= 0)
        (void)close(fd);
}

int main(int argc, char **argv)
{
    bool audit = argc > 0 && strcmp(argv[0], "bulkhead-audit") == 0;
    struct pollfd readable = { .fd = BH_FD_CONTROL, .events = POLLIN };
    sigset_t all;

    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        (void)bh_control_send(BH_FD_CONTROL, audit ? BH_CONTROL_SEGMENT : BH_CONTROL_START, 0, -1);
        if (poll(&readable, 1, 0) > 0 && (readable.revents & POLLHUP))
            return 0;
        if (audit && (readable.revents & POLLIN))
            take_answer();
    }
}
