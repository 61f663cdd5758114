/* The folder of hook-fixture.h. */
#include "tests/unit/hook-fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];

const char *in_hooks(const char *name)
{
    static char paths[8][PATH_MAX];
    static unsigned next;
    char *ret = paths[next++ % 8];

    (void)snprintf(ret, PATH_MAX, "%s/%s", folder, name);
    return ret;
}

int hooks_make(void **state)
{
    (void)state;
    strcpy(folder, "/root/bh-hooks-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)st;
    (void)kind;
    (void)walk;
    return remove(path);
}

int hooks_remove(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void hook_bytes(const char *name, const char *bytes, mode_t mode)
{
    const char *path = in_hooks(name);
    int fd;

    (void)unlink(path); /* the same file might still be running */
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    if (fd < 0 || write(fd, bytes, strlen(bytes)) != (ssize_t)strlen(bytes) || fchmod(fd, mode) < 0)
        abort();
    (void)close(fd);
}

void hook_file(const char *name, const char *script, mode_t mode)
{
    static char text[8192];

    (void)snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);
    hook_bytes(name, text, mode);
}
