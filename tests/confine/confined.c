/*
 * A program that is confined like one of ours and then tries one thing, given by its
 * arguments: PROFILE OFF REQUIRED PATHS ATTEMPT [ARGUMENT...]. PATHS is what Landlock
 * lets through, ":"-separated, "+" before a writable one, "=" before one whose folders may be listed.
 *
 * It ends with the errno of the attempt (0: it succeeded), or BH_EXIT_CONFINE.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "policy/confine/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define MIB (1024 * 1024)
#define WRONG 200 /* the attempt itself went wrong, or gave another result than an errno can say */

static const struct {
    const struct bh_profile *profile;
    const struct bh_filter *filter;
} programs[] = {
    { &bh_profile_front, &bh_filter_front },
    { &bh_profile_fs, &bh_filter_fs },
    { &bh_profile_opener, &bh_filter_opener },
    { &bh_profile_thaw, &bh_filter_thaw },
};

static uint32_t fences;
static uint32_t file_limit;

static int try_open(char **args)
{
    int fd = open(args[0], (int)strtol(args[1], NULL, 8), 0600);

    return fd < 0 ? errno : 0;
}

static int try_mkdir(char **args)
{
    return mkdir(args[0], 0700) < 0 ? errno : 0;
}

/* Up and out, by name and by a descriptor of the root. */
static int try_escape(char **args)
{
    char path[PATH_MAX];
    int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (root < 0)
        return WRONG;
    (void)snprintf(path, sizeof(path), "../../../../../../../..%s", args[0]);
    if (open(path, O_RDONLY | O_CLOEXEC) >= 0 || openat(root, path, O_RDONLY | O_CLOEXEC) >= 0)
        return 0;
    if (chroot("..") == 0 && open(path, O_RDONLY | O_CLOEXEC) >= 0)
        return 0;
    return errno;
}

/* Name of an open file, and the file again, through the one part of /proc that is there. */
static int try_reopen(char **args)
{
    char link[64], name[PATH_MAX];
    int fd = open(args[0], O_PATH | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return WRONG;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, name, sizeof(name) - 1);
    if (n < 0)
        return errno;
    name[n] = '\0';
    if (strcmp(name, args[0]))
        return WRONG;
    return open(link, O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int try_write_execute(char **args)
{
    (void)args;
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
                   MAP_FAILED
               ? errno
               : 0;
}

/* Says that it is there, and lives until the other end closes or says go; then opens args[0] if there is one.
 */
static int try_wait(char **args)
{
    char byte = 0;

    if (write(BH_FD_PEER, &fences, sizeof(fences)) != sizeof(fences))
        return WRONG;
    if (read(BH_FD_PEER, &byte, 1) < 0)
        return WRONG;
    if (!args[0])
        return 0;
    return open(args[0], O_RDONLY | O_CLOEXEC) < 0 ? errno : 0;
}

static int try_fork(char **args)
{
    pid_t pid = fork();

    (void)args;
    if (pid == 0)
        _exit(0);
    return pid < 0 ? errno : 0;
}

static int try_grow(char **args)
{
    int fd = open(args[0], O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return WRONG;
    return write(fd, "x", 1) == 1 ? 0 : errno;
}

/* Opens until it may not; right is a failure at exactly the limit. */
static int try_files(char **args)
{
    int fd, last = 0;

    (void)args;
    while ((fd = dup(0)) >= 0)
        last = fd;
    return last == (int)file_limit - 1 ? errno : WRONG;
}

static int try_memory(char **args)
{
    size_t size = (size_t)strtoul(args[0], NULL, 10) * MIB;

    return mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int try_lock_memory(char **args)
{
    static char page[65536];

    (void)args;
    return mlock(page, sizeof(page)) < 0 ? errno : 0;
}

static int try_securebits(char **args)
{
    (void)args;
    return prctl(PR_SET_SECUREBITS, 0) < 0 ? errno : 0;
}

/* All bits fit into an exit status. */
static int try_get_securebits(char **args)
{
    (void)args;
    return prctl(PR_GET_SECUREBITS);
}

static int try_keep_caps(char **args)
{
    (void)args;
    return prctl(PR_SET_KEEPCAPS, 1) < 0 ? errno : 0;
}

static int try_signal(char **args)
{
    return kill((pid_t)strtol(args[0], NULL, 10), 0) < 0 ? errno : 0;
}

static int try_abstract(char **args)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t len = strlen(args[0]);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    memcpy(address.sun_path + 1, args[0], len);
    return connect(fd, (struct sockaddr *)&address,
                   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + len)) < 0
               ? errno
               : 0;
}

static int try_abort(char **args)
{
    (void)args;
    abort();
}

static const struct {
    const char *name;
    int (*run)(char **args);
} attempts[] = {
    { "open", try_open },
    { "mkdir", try_mkdir },
    { "escape", try_escape },
    { "reopen", try_reopen },
    { "wx", try_write_execute },
    { "wait", try_wait },
    { "fork", try_fork },
    { "grow", try_grow },
    { "files", try_files },
    { "memory", try_memory },
    { "mlock", try_lock_memory },
    { "securebits", try_securebits },
    { "keepcaps", try_keep_caps },
    { "signal", try_signal },
    { "abstract", try_abstract },
    { "abort", try_abort },
    { "get-securebits", try_get_securebits },
};

static uint32_t parse_paths(char *text, struct bh_view_path *ret, uint32_t most)
{
    uint32_t n = 0;
    char *path;

    while (n < most && (path = strsep(&text, ":"))) {
        if (*path == '\0')
            continue;
        ret[n].access = *path == '=' ? BH_ACCESS_LIST : BH_ACCESS_READ;
        ret[n].access |= *path == '+' ? BH_ACCESS_WRITE : 0;
        ret[n++].path = path + (*path == '+' || *path == '=');
    }
    return n;
}

static void confine(char **argv)
{
    struct bh_view_path paths[8];
    struct bh_boot boot;
    uint32_t n = parse_paths(argv[4], paths, BH_ARRAY_SIZE(paths));

    if (bh_read_file(BH_FD_BOOT, &boot, sizeof(boot)) != sizeof(boot))
        bh_die(WRONG, "no boot struct");
    for (size_t i = 0; i < BH_ARRAY_SIZE(programs); i++) {
        if (strcmp(programs[i].profile->name, argv[1]))
            continue;
        file_limit = programs[i].profile->max_fds;
        fences = bh_confine_self(programs[i].profile, programs[i].filter, &boot, paths, n,
                                 (uint32_t)strtoul(argv[3], NULL, 10), (uint32_t)strtoul(argv[2], NULL, 10));
        return;
    }
    bh_die(WRONG, "no such profile");
}

int main(int argc, char **argv)
{
    if (argc < 6)
        return WRONG;
    bh_log_init("confined", BH_LOG_DEBUG);
    confine(argv);
    for (size_t i = 0; i < BH_ARRAY_SIZE(attempts); i++)
        if (!strcmp(attempts[i].name, argv[5]))
            return attempts[i].run(argv + 6);
    return WRONG;
}
