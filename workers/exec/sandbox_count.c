/*
 * The processes of an execution, counted. The keeper is pid 1 of their namespace, or their subreaper:
 * everything of its tree has a chain of parents that ends at it. One pass over /proc reads who is whose
 * child; then what is known to belong grows until nothing more does.
 */
#include "workers/exec/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/mem.h"

#define COUNT_MAX 131072
#define STAT_MAX 512 /* bytes of /proc/PID/stat, beyond what is read of it here */

struct process {
    int pid, parent;
    bool belongs;
};

struct processes {
    struct process *rows;
    int n;
};

/* "PID (NAME) STATE PARENT ...", and a name may hold anything. */
static int parent_of(int proc, const char *pid)
{
    char path[64], text[STAT_MAX];
    _cleanup_close_ int fd = -1;
    const char *end;
    ssize_t n;

    (void)snprintf(path, sizeof(path), "%.32s/stat", pid);
    fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n <= 0)
        return -1;
    text[n] = '\0';
    end = strrchr(text, ')');
    return end && strlen(end) > 4 ? (int)strtol(end + 4, NULL, 10) : -1;
}

static int read_all(struct processes *all)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;

    if (!proc)
        return -errno;
    while (all->n < COUNT_MAX && (entry = readdir(proc)))
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            all->rows[all->n++] = (struct process){ (int)strtol(entry->d_name, NULL, 10),
                                                    parent_of(dirfd(proc), entry->d_name), false };
    (void)closedir(proc);
    return 0;
}

static int by_pid(const void *a, const void *b)
{
    const struct process *x = a, *y = b;

    return (x->pid > y->pid) - (x->pid < y->pid);
}

static bool is_of_tree(const struct processes *all, int parent)
{
    const struct process key = { .pid = parent };
    const struct process *row;

    if (parent == getpid())
        return true;
    row = bsearch(&key, all->rows, (size_t)all->n, sizeof(key), by_pid);
    return row && row->belongs;
}

/* How many more belong, now that some do. */
static int grow(struct processes *all)
{
    int more = 0;

    for (int i = 0; i < all->n; i++)
        if (!all->rows[i].belongs && is_of_tree(all, all->rows[i].parent)) {
            all->rows[i].belongs = true;
            more++;
        }
    return more;
}

int bh_sandbox_count(void)
{
    _cleanup_free_ struct process *rows = calloc(COUNT_MAX, sizeof(*rows));
    struct processes all = { rows, 0 };
    int r = rows ? read_all(&all) : -ENOMEM, n = 0, more;

    if (r < 0)
        return r;
    qsort(all.rows, (size_t)all.n, sizeof(*all.rows), by_pid); /* a child mostly comes after its parent */
    while ((more = grow(&all)))
        n += more;
    return n;
}
