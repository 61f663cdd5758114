/* The supervisor's part of launch.h, as small as it can be. */
#include "tests/confine/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

#define SCRATCH_FD 64

struct left_out *launch_left_out;
static int program_fd = -1;

void launch_init(void)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    char *slash;

    assert_true(n > 0);
    path[n] = '\0';
    slash = strrchr(path, '/');
    strcpy(slash + 1, "confined");
    program_fd = open(path, O_PATH | O_CLOEXEC);
    assert_true(program_fd >= 0);
    launch_left_out =
        mmap(NULL, sizeof(*launch_left_out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(launch_left_out != MAP_FAILED);
}

struct launch launch_begin(const struct bh_profile *profile, uint32_t off)
{
    struct launch launch = { .profile = profile, .off = off };

    if (geteuid() != 0) {
        print_message("# needs root\n");
        skip();
    }
    launch.identity = (struct bh_identity){ .uid = LAUNCH_UID, .gid = LAUNCH_UID };
    launch.view.kind = BH_VIEW_EMPTY;
    return launch;
}

static void note_left_out(const char *path, int error)
{
    uint32_t n = launch_left_out->n++;

    if (n >= LAUNCH_LEFT_OUT_MAX)
        return;
    (void)snprintf(launch_left_out->rows[n].path, sizeof(launch_left_out->rows[n].path), "%s", path);
    launch_left_out->rows[n].error = error;
}

static void forbid_mount_setattr(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mount_setattr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { BH_ARRAY_SIZE(code), code };

    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
        _exit(LAUNCH_BEFORE_FAILED + 1);
}

static void take_seats(int peer, int boot)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    int status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    int fds[BH_FD_LAST + 1];

    for (int i = 0; i <= BH_FD_LAST; i++) {
        int from = i == STDERR_FILENO  ? STDERR_FILENO
                   : i == BH_FD_BOOT   ? boot
                   : i == BH_FD_PEER   ? peer
                   : i == BH_FD_STATUS ? status
                                       : null;

        fds[i] = fcntl(from, F_DUPFD_CLOEXEC, SCRATCH_FD);
    }
    for (int i = 0; i <= BH_FD_LAST; i++)
        if (dup2(fds[i], i) < 0)
            _exit(LAUNCH_BEFORE_FAILED + 2);
}

static _Noreturn void become(const struct launch *launch, int peer, int boot_fd, pid_t parent)
{
    struct bh_boot boot = { .magic = BH_BOOT_MAGIC };
    struct bh_view view = launch->view;
    char off[16], required[16];
    const char *argv[] = { "confined",
                           launch->profile->name,
                           off,
                           required,
                           launch->landlock ? launch->landlock : "",
                           launch->args[0],
                           launch->args[1],
                           launch->args[2],
                           launch->args[3],
                           NULL };
    char *environment[] = { NULL };
    const char *step = "";
    int program = fcntl(program_fd, F_DUPFD_CLOEXEC, 2 * SCRATCH_FD), r;

    (void)snprintf(off, sizeof(off), "%u", launch->off);
    (void)snprintf(required, sizeof(required), "%u", launch->required);
    take_seats(peer, boot_fd);
    if (launch->no_mount_setattr)
        forbid_mount_setattr();
    if (launch->start_as && (setgid(launch->start_as) < 0 || setuid(launch->start_as) < 0))
        _exit(LAUNCH_BEFORE_FAILED + 3);
    view.left_out = note_left_out;
    r = bh_confine_before_exec(launch->profile, &launch->identity, &view, launch->off, parent, program, &boot,
                               &step);
    if (r < 0) {
        (void)fprintf(stderr, "step failed: %s: %s\n", step, strerror(-r));
        _exit(LAUNCH_BEFORE_FAILED);
    }
    if (launch->lie)
        launch->lie(&boot);
    if (bh_write_all(BH_FD_BOOT, &boot, sizeof(boot)) < 0)
        _exit(LAUNCH_BEFORE_FAILED + 4);
    (void)syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
    _exit(LAUNCH_BEFORE_FAILED + 5);
}

void launch_start(const struct launch *launch, struct running *ret)
{
    int pair[2], boot = bh_memfd_new("boot", NULL, 0);
    pid_t parent = getpid();

    assert_true(boot >= 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    memset(launch_left_out, 0, sizeof(*launch_left_out));
    ret->peer = pair[0];
    ret->pid = fork();
    assert_true(ret->pid >= 0);
    if (ret->pid == 0)
        become(launch, pair[1], boot, parent);
    (void)close(pair[1]);
    (void)close(boot);
}

void launch_start_waiting(struct launch *launch, struct running *ret)
{
    launch->args[0] = "wait";
    launch_start(launch, ret);
    assert_int_equal(read(ret->peer, &ret->fences, sizeof(ret->fences)), sizeof(ret->fences));
}

int launch_end(struct running *running)
{
    int status;

    (void)close(bh_take_fd(&running->peer));
    assert_int_equal(waitpid(running->pid, &status, 0), running->pid);
    return WIFSIGNALED(status) ? LAUNCH_SIGNALLED + WTERMSIG(status) : WEXITSTATUS(status);
}

int launch_run(const struct launch *launch)
{
    struct running running;

    launch_start(launch, &running);
    return launch_end(&running);
}

int launch_try(struct launch *launch, const char *name, const char *first, const char *second)
{
    launch->args[0] = name;
    launch->args[1] = first;
    launch->args[2] = second;
    return launch_run(launch);
}
