/*
 * From a row of the table to a confined process: sockets and boot page, fork, the
 * fixed descriptor numbers, confinement, exec of a program that was opened at start.
 *
 * Invariants: the parent's side of every pair is close-on-exec and non-blocking; the
 * child sees nothing of the supervisor but what is put at a fixed number; a child that
 * cannot be confined says why on the log and ends with BH_EXIT_CONFINE.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "broker/audit/store.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define FRAME_QUEUE_BYTES (512 * 1024) /* between worker and front: several frames */
#define SCRATCH_FD 64                  /* above every fixed number: where descriptors wait for their place */

/* What the child finds at the fixed numbers; /dev/null where it has no use for one. */
struct seats {
    int fds[BH_FD_LAST + 1];
};

void bh_send_buffer(int socket, int bytes)
{
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) < 0)
        (void)setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)); /* as much as we may */
}

static int make_pair(int ret[2], int bytes)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) < 0)
        return -errno;
    for (int i = 0; i < 2 && bytes; i++)
        bh_send_buffer(ret[i], bytes);
    if (fcntl(ret[0], F_SETFL, O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

/* Moves every descriptor to its number, through a place above all of them. */
static void take_seats(struct seats *seats)
{
    for (int i = 0; i <= BH_FD_LAST; i++) {
        seats->fds[i] = fcntl(seats->fds[i], F_DUPFD_CLOEXEC, SCRATCH_FD);
        if (seats->fds[i] < 0)
            bh_die(BH_EXIT_CONFINE, "cannot set up descriptor %d: %s", i, strerror(errno));
    }
    for (int i = 0; i <= BH_FD_LAST; i++)
        if (dup2(seats->fds[i], i) < 0)
            bh_die(BH_EXIT_CONFINE, "cannot set up descriptor %d: %s", i, strerror(errno));
}

static void reset_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_IGN); /* a dead peer is an error of the write, not a death */
}

/* The few variables that a child may see: where the answers to get-osinfo and get-timezone come from. */
static char **child_environment(enum bh_role role)
{
    static const char *const names[] = { "QGA_OS_RELEASE", "TZ" };
    static char *environment[BH_ARRAY_SIZE(names) + 1];
    size_t n = 0;

    for (size_t i = 0; role == BH_ROLE_INFO && i < BH_ARRAY_SIZE(names); i++) {
        const char *value = getenv(names[i]);

        if (value && asprintf(&environment[n], "%s=%s", names[i], value) > 0)
            n++;
    }
    environment[n] = NULL;
    return environment;
}

/* What it runs can be limited then. Without, it is limited less. */
static void sit(const struct bh_supervisor *s, const struct bh_process *process, const struct bh_boot *boot,
                gid_t gid)
{
    int r = 0;

    if (process->role == BH_ROLE_EXEC || process->role == BH_ROLE_SPAWN)
        r = bh_cgroups_sit(&s->cgroups, bh_roster[process->role].profile->name, boot->channel, gid);
    if (r < 0)
        bh_log(BH_LOG_WARNING, "has no control group: %s", strerror(-r));
}

static _Noreturn void become(struct bh_supervisor *s, struct bh_process *process, struct bh_boot *boot,
                             struct bh_sight *sight, struct seats *seats, pid_t parent)
{
    const struct bh_profile *profile = bh_roster[process->role].profile;
    char *argv[] = { (char *)(uintptr_t)profile->program, NULL };
    char **environment = child_environment(process->role);
    int program = fcntl(s->program_fds[process->role], F_DUPFD_CLOEXEC, 2 * SCRATCH_FD);
    const char *step = "";
    int r;

    bh_log_init(profile->program, BH_LOG_NOTICE);
    bh_log_style(s->options.verbose, s->options.log_file);
    if (process->role != BH_ROLE_HOOK)
        seats->fds[BH_FD_STATUS] = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    sit(s, process, boot, sight->identity.gid);
    take_seats(seats);
    reset_signals();
    r = bh_confine_before_exec(profile, &sight->identity, &sight->view, sight->off, parent, program, boot,
                               &step);
    if (r < 0)
        bh_die(BH_EXIT_CONFINE, "cannot be confined: %s: %s", step, strerror(-r));
    r = bh_write_all(BH_FD_BOOT, boot, sizeof(*boot));
    if (r == 0)
        r = bh_memfd_seal(BH_FD_BOOT);
    if (r == 0) {
        (void)syscall(SYS_execveat, program, "", argv, environment, AT_EMPTY_PATH);
        r = -errno;
    }
    bh_die(BH_EXIT_CONFINE, "cannot start: %s", strerror(-r));
}

static int boot_of(struct bh_supervisor *s, struct bh_process *process, struct bh_boot *ret)
{
    const uint64_t *settings = bh_any_policy(s)->slice->settings;

    *ret = (struct bh_boot){ .magic = BH_BOOT_MAGIC,
                             .source = process->source,
                             .required = (uint32_t)settings[BH_SET_FENCES_REQUIRED],
                             .off = (uint32_t)settings[BH_SET_FENCES_OFF],
                             .log_verbose = s->options.verbose,
                             .log_stamped = s->options.log_file != NULL };
    if (process->user != BH_NO_USER)
        ret->user = process->user;
    if (process->channel >= 0) {
        struct bh_channel_row *channel = &s->channels[process->channel];

        memcpy(ret->channel, channel->policy.slice->channel, sizeof(ret->channel));
        ret->edition = process->edition = process->state->edition = channel->edition;
        if (process->role == BH_ROLE_FRONT)
            ret->epoch = ++channel->epoch;
    }
    return bh_memfd_new("bulkhead-boot", NULL, 0);
}

/* The descriptors that depend on the role: what stands at POLICY and PEER. */
static int seat_role(struct bh_supervisor *s, struct bh_process *process, struct seats *seats,
                     int ret_pair[2])
{
    int r;

    if (process->role == BH_ROLE_AUDIT) {
        bh_sources_renew(s);
        if (s->sources_changed)
            return -ENOMEM; /* under an older list it would tell records under the names of former owners */
        seats->fds[BH_FD_POLICY] = bh_log_store_names_fd(s->store);
        seats->fds[BH_FD_PEER] = bh_log_store_segment_fd(s->store);
        return 0;
    }
    seats->fds[BH_FD_AUDIT] = process->records_in;
    if (process->role == BH_ROLE_THAW) {
        seats->fds[BH_FD_PEER] = s->frozen_record;
        seats->fds[BH_FD_FROZEN] = s->frozen_fd;
        return 0;
    }
    if (process->role == BH_ROLE_HOOK) {
        seats->fds[BH_FD_POLICY] = s->hook_config;
        seats->fds[BH_FD_STATUS] = s->hook_record;
    } else if (process->role != BH_ROLE_SMART) {
        seats->fds[BH_FD_POLICY] = s->channels[process->channel].slice_fd;
    }
    if (process->role == BH_ROLE_FRONT)
        return 0;
    r = make_pair(ret_pair, FRAME_QUEUE_BYTES);
    seats->fds[BH_FD_PEER] = ret_pair[1];
    return r;
}

static void forget(int *fd)
{
    if (*fd >= 0)
        (void)close(bh_take_fd(fd));
}

/* Every queue; those of former owners first. */
static void send_sources(struct bh_supervisor *s, int control)
{
    (void)bh_sources_settled(s);
    for (unsigned i = 0; i < s->n_processes; i++) {
        const struct bh_process *process = &s->processes[i];

        if (process->former_out >= 0)
            (void)bh_control_send(control, BH_CONTROL_SOURCE, BH_SOURCES_MAX + process->source,
                                  process->former_out);
        if (process->records_out >= 0)
            (void)bh_control_send(control, BH_CONTROL_SOURCE, process->source, process->records_out);
    }
}

static void note_started(struct bh_supervisor *s, struct bh_process *process, pid_t pid, int control,
                         int peer)
{
    forget(&process->control);
    forget(&process->peer);
    process->pid = pid;
    process->control = control;
    process->peer = peer;
    process->wanted = false;
    bh_budget_started(&process->budget, bh_finished(s, process));
    bh_log(BH_LOG_DEBUG, "started %s as process %d", process->label, (int)pid);
    if (process->role == BH_ROLE_AUDIT)
        send_sources(s, control);
}

int bh_launch(struct bh_supervisor *s, struct bh_process *process)
{
    static struct bh_sight sight; /* large; the supervisor starts one process at a time */
    struct seats seats;
    int control[2] = { -1, -1 }, peer[2] = { -1, -1 };
    struct bh_boot boot;
    _cleanup_close_ int boot_fd = boot_of(s, process, &boot);
    pid_t parent = getpid(), pid = -1;
    int r = boot_fd < 0 ? boot_fd : bh_sight(s, process, &sight);

    for (int i = 0; i <= BH_FD_LAST; i++)
        seats.fds[i] = s->dev_null;
    seats.fds[STDERR_FILENO] = STDERR_FILENO;
    if (r == 0)
        r = make_pair(control, 0);
    seats.fds[BH_FD_FROZEN] = s->frozen_read_fd;
    if (r == 0)
        r = seat_role(s, process, &seats, peer);
    seats.fds[BH_FD_CONTROL] = control[1];
    seats.fds[BH_FD_BOOT] = boot_fd;
    seats.fds[BH_FD_STATE] = process->state_fd;
    if (r == 0 && (pid = fork()) < 0)
        r = -errno;
    if (pid == 0)
        become(s, process, &boot, &sight, &seats, parent);
    forget(&control[1]);
    forget(&peer[1]);
    if (r == 0) {
        note_started(s, process, pid, control[0], peer[0]);
        return 0;
    }
    forget(&control[0]);
    forget(&peer[0]);
    bh_log(BH_LOG_ERROR, "cannot start %s: %s", process->label, strerror(-r));
    return r;
}
