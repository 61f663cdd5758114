/* Two ends of a packet socket, open while a test runs: setup calls pair_open, teardown is pair_close. */
#pragma once

#include <sys/socket.h>
#include <unistd.h>

static int ours, theirs;

static inline int pair_open(int flags)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0, pair) < 0)
        return -1;
    ours = pair[0];
    theirs = pair[1];
    return 0;
}

static inline int pair_close(void **state)
{
    (void)state;
    (void)close(ours);
    (void)close(theirs);
    return 0;
}
