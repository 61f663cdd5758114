/* The folder of programdir.h, as the kernel knows it. */
#include "broker/programdir.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int bh_program_dir(char *ret, size_t size)
{
    ssize_t n = readlink("/proc/self/exe", ret, size - 1);

    if (n < 0)
        return -errno;
    if ((size_t)n == size - 1)
        return -ENAMETOOLONG;
    ret[n] = '\0';
    *strrchr(ret, '/') = '\0';
    return 0;
}
