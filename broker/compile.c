/* Starting the compiler of compile.h, waiting for it, and sealing what it wrote. */
#include "broker/compile.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/blob.h"
#include "policy/confine/confine.h"
#include "policy/confine/profiles.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define DIAGNOSTICS_MAX 65536u /* bytes kept of what the compiler says */
#define ABOVE_FD 64            /* where descriptors wait for their fixed number */

/* All that one run holds. */
struct run {
    int pack, bundle, boot, null, program;
    int said[2]; /* pipe: the compiler's descriptor 2 */
    pid_t pid;
};

static void end_run(struct run *run)
{
    int fds[] = { run->pack, run->bundle, run->boot, run->null, run->program, run->said[0], run->said[1] };

    for (size_t i = 0; i < BH_ARRAY_SIZE(fds); i++)
        bh_close_p(&fds[i]);
    if (run->pid > 0) {
        (void)kill(run->pid, SIGKILL);
        (void)waitpid(run->pid, NULL, 0);
    }
}

static int make_pack(const struct bh_pack_file *files, size_t n)
{
    size_t size = bh_pack_size(files, n);
    _cleanup_free_ void *data = size ? malloc(size) : NULL;
    _cleanup_close_ int fd = -1;
    int r;

    if (!data)
        return size ? -ENOMEM : -E2BIG;
    bh_pack_write(files, n, data);
    fd = bh_memfd_new("bulkhead-policy-text", data, size);
    r = fd < 0 ? fd : bh_memfd_seal(fd);
    return r < 0 ? r : bh_take_fd(&fd);
}

static int make_run(struct run *run, const char *program_dir, const struct bh_pack_file *files, size_t n)
{
    _cleanup_free_ char *path = NULL;

    run->pack = make_pack(files, n);
    if (run->pack < 0)
        return run->pack;
    run->bundle = bh_memfd_new("bulkhead-policy", NULL, 0);
    run->boot = bh_memfd_new("bulkhead-boot", NULL, 0);
    if (run->bundle < 0 || run->boot < 0)
        return -EMFILE;
    run->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (run->null < 0 || pipe2(run->said, O_CLOEXEC) < 0)
        return -errno;
    if (asprintf(&path, "%s/%s", program_dir, bh_profile_policyc.program) < 0)
        return -ENOMEM;
    run->program = open(path, O_PATH | O_CLOEXEC);
    return run->program < 0 ? -errno : 0;
}

/* In the child: every descriptor to its fixed number, through a place above all of them. */
static void place(const struct run *run)
{
    int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    int fds[BH_FD_LAST + 1];

    for (int i = 0; i <= BH_FD_LAST; i++)
        fds[i] = run->null;
    fds[STDERR_FILENO] = run->said[1];
    fds[BH_FD_BOOT] = run->boot;
    fds[BH_FD_POLICY] = run->pack;
    fds[BH_FD_PEER] = run->bundle;
    fds[BH_FD_STATUS] = status;
    for (int i = 0; i <= BH_FD_LAST; i++)
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, ABOVE_FD);
    for (int i = 0; i <= BH_FD_LAST; i++)
        if (fds[i] < 0 || dup2(fds[i], i) < 0)
            _exit(BH_EXIT_CONFINE);
}

static _Noreturn void become(const struct run *run, pid_t parent)
{
    const struct bh_profile *profile = &bh_profile_policyc;
    const struct bh_identity identity = { .uid = profile->uid, .gid = profile->uid, .caps = profile->caps };
    const struct bh_view view = { .kind = profile->view,
                                  .n_paths = profile->n_paths,
                                  .paths = profile->paths };
    char *argv[] = { (char *)(uintptr_t)profile->program, NULL }, *environment[] = { NULL };
    int program = fcntl(run->program, F_DUPFD_CLOEXEC, 2 * ABOVE_FD);
    struct bh_boot boot = { .magic = BH_BOOT_MAGIC };
    const char *step = "";
    sigset_t none;
    int r;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    place(run);
    bh_log_init(profile->program, BH_LOG_NOTICE);
    bh_log_style(false, false); /* its lines are findings, not lines of our log */
    bh_log_echo(-1);
    bh_log_hold(NULL);
    r = bh_confine_before_exec(profile, &identity, &view, 0, parent, program, &boot, &step);
    if (r < 0)
        bh_die(BH_EXIT_CONFINE, "cannot be confined: %s: %s", step, strerror(-r));
    r = bh_write_all(BH_FD_BOOT, &boot, sizeof(boot));
    if (r == 0)
        r = bh_memfd_seal(BH_FD_BOOT);
    if (r == 0)
        (void)syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
    bh_die(BH_EXIT_CONFINE, "cannot start: %s", strerror(r < 0 ? -r : errno));
}

/* Reads the findings until the compiler has closed them. 0, -ETIMEDOUT or -errno. */
static int listen_to(int fd, uint64_t until, char *text)
{
    size_t len = 0;

    for (;;) {
        struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
        int64_t left = until - bh_clock_ms(CLOCK_MONOTONIC);
        char beyond[512];
        int ready = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;
        ssize_t n;

        if (ready == 0)
            return -ETIMEDOUT;
        if (ready < 0 && errno == EINTR)
            continue;
        n = len < DIAGNOSTICS_MAX ? read(fd, text + len, DIAGNOSTICS_MAX - len)
                                  : read(fd, beyond, sizeof(beyond));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        if (n > 0 && len < DIAGNOSTICS_MAX)
            len += (size_t)n;
    }
}

/* Its end follows that of its words at once; a compiler that goes on without them has been taken over. */
static int await_end(struct run *run, uint64_t until, int *ret_status)
{
    pid_t pid;

    while ((pid = waitpid(run->pid, ret_status, WNOHANG)) == 0) {
        if (bh_clock_ms(CLOCK_MONOTONIC) >= until)
            return -ETIMEDOUT;
        (void)poll(NULL, 0, 1);
    }
    if (pid < 0)
        return -errno;
    run->pid = 0;
    return 0;
}

static int take_bundle(struct run *run, int status, int *ret_bundle)
{
    struct stat st;
    int r;

    if (!WIFEXITED(status) || WEXITSTATUS(status) > BH_COMPILE_REFUSED)
        return -EPROTO;
    if (WEXITSTATUS(status) == BH_COMPILE_REFUSED)
        return BH_COMPILE_REFUSED;
    if (fstat(run->bundle, &st) < 0 || st.st_size <= 0 || st.st_size > (off_t)BH_POLICY_SIZE_MAX)
        return -EPROTO;
    r = bh_memfd_seal(run->bundle);
    if (r == 0)
        *ret_bundle = bh_take_fd(&run->bundle);
    return r;
}

int bh_compile(const char *program_dir, const struct bh_pack_file *files, size_t n, int *ret_bundle,
               char **ret_diagnostics)
{
    BH_CLEANUP(end_run) struct run run = { -1, -1, -1, -1, -1, { -1, -1 }, 0 };
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + BH_COMPILE_TIMEOUT_MS;
    pid_t parent = getpid();
    int r, status;

    *ret_diagnostics = calloc(1, DIAGNOSTICS_MAX + 1);
    if (!*ret_diagnostics)
        return -ENOMEM;
    r = make_run(&run, program_dir, files, n);
    if (r < 0)
        return r;
    run.pid = fork();
    if (run.pid < 0)
        return -errno;
    if (run.pid == 0)
        become(&run, parent);
    (void)close(bh_take_fd(&run.said[1]));
    r = listen_to(run.said[0], until, *ret_diagnostics);
    if (r == 0)
        r = await_end(&run, until, &status);
    return r < 0 ? r : take_bundle(&run, status, ret_bundle);
}
