/*
 * Stands in place of a process that was taken over and does one thing for ever. As bulkhead-front: refuses to
 * be ended by SIGTERM and floods the supervisor with requests. As bulkhead-audit: asks for one log segment
 * after the other. As bulkhead-fs: asks to be replaced. Which of them, its name tells. Executed in an empty
 * view, hence static.
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

static unsigned request_of(const char *name)
{
    if (strcmp(name, "bulkhead-audit") == 0)
        return BH_CONTROL_SEGMENT;
    return strcmp(name, "bulkhead-fs") == 0 ? BH_CONTROL_LEAVE : BH_CONTROL_START;
}

int main(int argc, char **argv)
{
    uint16_t request = (uint16_t)request_of(argc > 0 ? argv[0] : "");
    struct pollfd readable = { .fd = BH_FD_CONTROL, .events = POLLIN };
    sigset_t all;

    sigfillset(&all);
    (void)sigprocmask(SIG_BLOCK, &all, NULL);
    for (;;) {
        (void)bh_control_send(BH_FD_CONTROL, request, 0, -1);
        if (poll(&readable, 1, 0) > 0 && (readable.revents & POLLHUP))
            return 0;
        if (request == BH_CONTROL_SEGMENT && (readable.revents & POLLIN))
            take_answer();
    }
}
