/*
 * Tables, and one way to add them up.
 *
 * Invariants: nothing is writable but what is private to the sandbox. A path that the plan names is shown
 * read-only and is optional: what is not there cannot be seen, and the program finds that out by itself.
 */
#include "workers/exec/sandbox_paths.h"

#include <string.h>

#include "protocol/base/mem.h"

#define SEEN (BH_ACCESS_READ | BH_ACCESS_EXECUTE)

static const char *const system_folders[] = { "/usr",   "/bin",   "/sbin",   "/lib",
                                              "/lib32", "/lib64", "/libx32", "/etc" };

/* With the guest's network: names are looked up as the guest does it, but through files only. */
static const char *const resolvers[] = { "/run/systemd/resolve/stub-resolv.conf",
                                         "/run/systemd/resolve/resolv.conf",
                                         "/run/NetworkManager/resolv.conf", "/run/resolvconf/resolv.conf" };

/* Landlock: `diag` of an ordinary user, who has no view without /home, /root and /run. */
static const char *const looked_at[] = { "/boot", "/opt", "/proc", "/srv", "/sys", "/var" };

static const char *const private_folders[] = { "/tmp", "/var/tmp" };
const char *const bh_sandbox_devices[BH_SANDBOX_DEVICES] = { "/dev/null", "/dev/zero", "/dev/full",
                                                             "/dev/random", "/dev/urandom" };

struct list {
    struct bh_view_path *rows;
    uint32_t n;
};

static void add(struct list *list, const char *path, uint32_t access)
{
    list->rows[list->n++] = (struct bh_view_path){ path, access, .optional = true };
}

static void add_all(struct list *list, const char *const *paths, size_t n, uint32_t access)
{
    for (size_t i = 0; i < n; i++)
        add(list, paths[i], access);
}

#define ADD_TABLE(list, table, access) add_all(list, table, BH_ARRAY_SIZE(table), access)

uint32_t bh_sandbox_paths_max(const struct bh_sandbox_plan *plan)
{
    return (uint32_t)(BH_ARRAY_SIZE(system_folders) + BH_ARRAY_SIZE(resolvers) + BH_ARRAY_SIZE(looked_at) +
                      BH_ARRAY_SIZE(private_folders) + BH_SANDBOX_DEVICES + 4) +
           plan->n_paths;
}

/* The folder of `path`; of a program in the root folder, itself. */
static const char *folder_of(const char *path, char folder[static PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (len == 0 || len >= PATH_MAX)
        return path;
    memcpy(folder, path, len);
    folder[len] = '\0';
    return folder;
}

static bool is_root(const char *path)
{
    return path[0] != '/' || path[1] == '\0';
}

/* What the plan names. */
static void add_named(struct list *list, const struct bh_sandbox_plan *plan, char folder[static PATH_MAX])
{
    if (!is_root(plan->program))
        add(list, folder_of(plan->program, folder), SEEN);
    if (!is_root(plan->cwd))
        add(list, plan->cwd, SEEN);
    for (uint32_t i = 0; i < plan->n_paths; i++)
        if (!is_root(plan->paths[i].path))
            add(list, plan->paths[i].path, SEEN);
    if (plan->host_net)
        ADD_TABLE(list, resolvers, BH_ACCESS_READ);
}

uint32_t bh_sandbox_shown(const struct bh_sandbox_plan *plan, char folder[static PATH_MAX],
                          struct bh_view_path *ret)
{
    struct list list = { ret, 0 };

    if (plan->kind == BH_SANDBOX_MINIMAL)
        ADD_TABLE(&list, system_folders, SEEN);
    add_named(&list, plan, folder);
    return list.n;
}

uint32_t bh_sandbox_allowed(const struct bh_sandbox_plan *plan, char folder[static PATH_MAX],
                            struct bh_view_path *ret)
{
    struct list list = { ret, 0 };

    if (plan->privileged) /* the view is what it says */
        add(&list, "/", plan->kind == BH_SANDBOX_DIAG ? SEEN : BH_ACCESS_LIST);
    ADD_TABLE(&list, system_folders, SEEN);
    if (plan->kind == BH_SANDBOX_DIAG)
        ADD_TABLE(&list, looked_at, SEEN);
    add(&list, "/proc", BH_ACCESS_READ);
    add_named(&list, plan, folder);
    ADD_TABLE(&list, bh_sandbox_devices, BH_ACCESS_READ | BH_ACCESS_WRITE);
    if (plan->privileged)
        ADD_TABLE(&list, private_folders, BH_ACCESS_READ | BH_ACCESS_WRITE | BH_ACCESS_OWN);
    return list.n;
}
