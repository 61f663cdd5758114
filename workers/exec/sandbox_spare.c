/*
 * A walk down every folder above a secret in /etc, and no other: some two hundred entries, most of them in
 * /etc itself. A link among the entries is granted nothing by Landlock (landlock.h), what it leads to stands
 * for itself.
 */
#include "workers/exec/sandbox_spare.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/mem.h"
#include "workers/exec/sandbox_mask.h"

#define DEPTH_MAX 8 /* folders: deeper than any secret of the table */

static int add(struct bh_spared *spared, const char *path, uint32_t access)
{
    struct bh_view_path *rows = spared->rows;
    char *copy;

    if (spared->n == spared->cap) {
        spared->cap = spared->cap ? spared->cap * 2 : 256;
        rows = reallocarray(rows, spared->cap, sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        spared->rows = rows;
    }
    copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    rows[spared->n++] = (struct bh_view_path){ copy, access, .optional = true };
    return 0;
}

static int walk(struct bh_spared *spared, const char *path, uint32_t access, int depth);

/* Each entry by itself; of the folder nothing but the list of them. */
static int take_apart(struct bh_spared *spared, const char *path, DIR *folder, uint32_t access, int depth)
{
    const char *gap = path[1] ? "/" : "";
    const struct dirent *entry;
    char below[PATH_MAX];
    int r = add(spared, path, BH_ACCESS_LIST);

    while (r == 0 && (entry = readdir(folder))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        if (snprintf(below, sizeof(below), "%s%s%s", path, gap, entry->d_name) < (int)sizeof(below))
            r = walk(spared, below, access, depth - 1);
    }
    return r;
}

/* Where files are replaced while they are in use. The table's folders elsewhere come and go with whole
 * services. */
static bool is_edited(const char *path)
{
    return !strcmp(path, "/") || !strcmp(path, "/etc") || !strncmp(path, "/etc/", 5);
}

static int walk(struct bh_spared *spared, const char *path, uint32_t access, int depth)
{
    enum bh_secret secret = bh_sandbox_secret(path);
    DIR *folder;
    int r;

    if (secret == BH_SECRET) /* what is seen is its mask, unless it came just now */
        return 0;
    if (secret == BH_SECRET_NOT || !is_edited(path) || depth == 0)
        return add(spared, path, access);
    folder = opendir(path);
    if (!folder) /* not there, or not a folder */
        return add(spared, path, access);
    r = take_apart(spared, path, folder, access, depth);
    (void)closedir(folder);
    return r;
}

int bh_sandbox_spare(const struct bh_view_path *rows, uint32_t n_rows, bool apart, struct bh_spared *ret)
{
    int r = 0;

    *ret = (struct bh_spared){ 0 };
    for (uint32_t i = 0; i < n_rows && r == 0; i++)
        r = apart && rows[i].access & BH_ACCESS_READ ? walk(ret, rows[i].path, rows[i].access, DEPTH_MAX)
                                                     : add(ret, rows[i].path, rows[i].access);
    return r;
}

void bh_spared_free(struct bh_spared *spared)
{
    for (uint32_t i = 0; i < spared->n; i++)
        free((void *)(uintptr_t)spared->rows[i].path);
    free(spared->rows);
    *spared = (struct bh_spared){ 0 };
}
