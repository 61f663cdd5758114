/* The order of hook_list.h: by bytes, the same under every locale. */
#include "workers/storage/hook_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "workers/storage/hook_text.h"

#define NAME_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static int add(struct bh_hooks *hooks, const char *folder, const char *name, char why[BH_HOOK_WHY_MAX])
{
    if (hooks->n == BH_HOOKS_MAX) {
        bh_hook_printf(why, BH_HOOK_WHY_MAX, "there are more than %u freeze hooks; put some into one file",
                       BH_HOOKS_MAX);
        return -E2BIG;
    }
    if (snprintf(hooks->paths[hooks->n], PATH_MAX, "%s/%s", folder, name) >= PATH_MAX) {
        bh_hook_printf(why, BH_HOOK_WHY_MAX, "the path of the freeze hook %s is longer than %d bytes", name,
                       PATH_MAX - 1);
        return -ENAMETOOLONG;
    }
    hooks->n++;
    return 0;
}

static int add_folder(struct bh_hooks *hooks, const char *folder, DIR *dir, char why[BH_HOOK_WHY_MAX])
{
    const struct dirent *entry;
    int r = 0;

    while (r == 0 && (errno = 0, entry = readdir(dir))) {
        const char *name = entry->d_name;

        if (!strcmp(name, ".") || !strcmp(name, ".."))
            continue;
        if (name[strspn(name, NAME_CHARACTERS)] == '\0')
            r = add(hooks, folder, name, why);
        else if (hooks->passed_over)
            hooks->passed_over(name);
    }
    if (r == 0 && errno != 0) {
        r = -errno;
        bh_hook_printf(why, BH_HOOK_WHY_MAX, "the folder %.512s cannot be read: %s", folder, strerror(-r));
    }
    return r;
}

int bh_hooks_gather(struct bh_hooks *hooks, const struct bh_hook_config *config, char why[BH_HOOK_WHY_MAX])
{
    uint32_t first;
    DIR *dir;
    int fd, r;

    hooks->n = 0;
    if (config->file[0])
        strcpy(hooks->paths[hooks->n++], config->file);
    first = hooks->n;
    if (!config->folder[0])
        return 0;
    fd = bh_hook_check_folder(config->folder, why);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd;
    dir = fdopendir(fd);
    if (!dir) {
        (void)close(fd);
        bh_hook_printf(why, BH_HOOK_WHY_MAX, "there is no memory to read the folder of hooks");
        return -ENOMEM;
    }
    r = add_folder(hooks, config->folder, dir, why);
    (void)closedir(dir);
    qsort(hooks->paths[first], hooks->n - first, sizeof(hooks->paths[0]), by_name);
    return r;
}
