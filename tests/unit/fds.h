/* Counting open descriptors, so that a test sees a leak. */
#pragma once

#include <fcntl.h>

static inline int count_fds(void)
{
    int n = 0;

    for (int fd = 0; fd < 256; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            n++;
    return n;
}
