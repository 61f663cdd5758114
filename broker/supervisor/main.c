/*
 * bulkhead, the supervisor: the root process. It opens channels, starts, confines and
 * restarts the others, and keeps for them what must outlive them. It never reads a byte
 * from the host and never a message body: signals, exit statuses, root-owned
 * configuration, and eight-byte control messages are all it takes in.
 *
 * One poll loop, no threads. Without an event nothing wakes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/audit/store.h"
#include "broker/places.h"
#include "broker/programdir.h"
#include "broker/supervisor/daemon.h"
#include "broker/supervisor/lists.h"
#include "broker/supervisor/restart.h"
#include "broker/supervisor/supervisor.h"
#include "broker/supervisor/way.h"
#include "policy/confine/caps.h"
#include "policy/eval.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

#define START_GRACE_MS 10000 /* for what keeps running to be confined, before a daemon is said to serve */

static struct bh_supervisor supervisor;

static int block_signals(void)
{
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    sigaddset(&set, SIGIO);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        bh_die(1, "cannot block signals: %s", strerror(errno));
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        bh_die(1, "cannot watch signals: %s", strerror(errno));
    return fd;
}

/* The other programs lie beside this one. They are opened once: what runs later is what was there at the
 * start. */
static void open_programs(struct bh_supervisor *s)
{
    int r = bh_program_dir(s->program_dir, sizeof(s->program_dir));

    if (r < 0)
        bh_die(1, "cannot find the own program: %s", strerror(-r));
    for (int role = 0; role < BH_ROLE_COUNT; role++) {
        char path[sizeof(s->program_dir) + 64];

        (void)snprintf(path, sizeof(path), "%s/%s", s->program_dir, bh_roster[role].profile->program);
        s->program_fds[role] = open(path, O_PATH | O_CLOEXEC);
        if (s->program_fds[role] < 0)
            bh_die(1, "cannot open %s: %s; it belongs beside bulkhead", path, strerror(errno));
    }
}

static void prepare_home(struct bh_supervisor *s)
{
    time_t now = time(NULL);
    struct tm tm;
    struct stat st;

    if (stat(s->options.state_dir, &st) < 0 || (st.st_uid != 0 && st.st_uid != geteuid()) ||
        ((st.st_mode & 022) && !(st.st_mode & S_ISVTX)))
        bh_die(1, "%s must belong to root or the starting user, and nobody else may rename what is in it",
               s->options.state_dir);
    (void)snprintf(s->home, sizeof(s->home), "%.480s/bulkhead", s->options.state_dir);
    if (mkdir(s->home, 0700) < 0 && errno != EEXIST)
        bh_die(1, "cannot make %s: %s", s->home, strerror(errno));
    if (lstat(s->home, &st) < 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
        bh_die(1, "%s must be a folder that belongs to the starting user and that no other may write to",
               s->home);
    if (!getcwd(s->cwd, sizeof(s->cwd)))
        (void)snprintf(s->cwd, sizeof(s->cwd), "/");
    if (gmtime_r(&now, &tm))
        (void)strftime(s->started, sizeof(s->started), "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/*
 * Root, but no more of it than starting the others takes: users, groups, bounding sets, mounts and
 * namespaces, signals, socket buffers, files of other users in the folders it was told, and what it passes
 * on.
 */
static uint64_t own_capabilities(void)
{
    uint64_t caps = 1ull << CAP_SETUID | 1ull << CAP_SETGID | 1ull << CAP_SETPCAP | 1ull << CAP_SYS_ADMIN |
                    1ull << CAP_KILL | 1ull << CAP_NET_ADMIN | 1ull << CAP_DAC_OVERRIDE;

    for (int role = 0; role < BH_ROLE_COUNT; role++)
        caps |= bh_roster[role].profile->caps;
    return caps;
}

static void keep_capabilities(void)
{
    int r = bh_caps_keep(own_capabilities());

    if (r < 0)
        bh_die(1, "cannot give up capabilities: %s", strerror(-r));
}

/* What a hook starts may need any of root's, and so may programs of rules that say so: nobody else's children
 * do. */
static void bound_children(struct bh_supervisor *s)
{
    int r = 0;

    s->bounded = s->privileged && !s->hooks;
    for (unsigned i = 0; i < s->n_channels; i++)
        if (bh_policy_runs_as_anybody(&s->channels[i].policy))
            s->bounded = false;
    if (s->bounded)
        r = bh_caps_bound(own_capabilities());
    if (r < 0)
        bh_die(1, "cannot give up capabilities for good: %s", strerror(-r));
}

/* Children start in another folder and see little: a file that the environment names is named in full. */
static void settle_environment(void)
{
    const char *name = "QGA_OS_RELEASE", *value = getenv(name);
    _cleanup_free_ char *path = value ? realpath(value, NULL) : NULL;

    if (path)
        (void)setenv(name, path, 1);
}

static void open_channels(struct bh_supervisor *s)
{
    char why[512];

    for (unsigned i = 0; i < s->n_channels; i++)
        if (bh_channel_open(s, &s->channels[i], why, sizeof(why)) < 0)
            bh_die(1, "%s", why);
}

/* Without them limits are rlimits. */
static void join_cgroups(struct bh_supervisor *s)
{
    const char *step;
    int r = bh_cgroups_start(&s->cgroups, &step);

    if (r < 0)
        bh_log(BH_LOG_WARNING, "executions are not limited by control groups: %s: %s", step, strerror(-r));
}

static void prepare(struct bh_supervisor *s, int argc, char **argv)
{
    int r;

    bh_restart_remember(argv);
    bh_options_parse(&s->options, argc, argv);
    settle_environment();
    bh_freeze_forestall(s);
    bh_daemon_start(&s->options);
    (void)prctl(PR_SET_NAME, "bulkhead"); /* however it was called: bulkheadctl knows it by this */
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)umask(077);
    s->privileged = geteuid() == 0;
    s->hooks = s->options.hook || access(BH_HOOK_DIR_DEFAULT, F_OK) == 0;
    if (s->privileged)
        keep_capabilities();
    join_cgroups(s);
    s->dev_null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (s->dev_null < 0)
        bh_die(1, "cannot open /dev/null: %s", strerror(errno));
    r = bh_frozen_page_make(s);
    if (r < 0)
        bh_die(1, "cannot make the page of what is frozen: %s", strerror(-r));
    open_programs(s);
    prepare_home(s);
    bh_supervisor_load_policy(s);
    bound_children(s);
    r = bh_table_init(s);
    if (r < 0)
        bh_die(1, "cannot set up the process table: %s", strerror(-r));
    open_channels(s);
}

/* The log must be there before anything can be decided: without one, nothing starts. */
static void open_log(struct bh_supervisor *s)
{
    static struct bh_audit_names names;
    const char *dir = s->options.audit_dir;
    char below_home[600], why[512];

    bh_sources_name(s, &names);
    s->sources_changed = false;
    (void)snprintf(below_home, sizeof(below_home), "%s/audit", s->home);
    if (!dir)
        dir = s->options.own_state_dir || !s->privileged ? below_home : BH_AUDIT_DIR_DEFAULT;
    if (bh_log_store_new(&s->store, dir, s->processes[0].state_fd, &names, why, sizeof(why)) < 0)
        bh_die(1, "%s", why);
}

static void serve_signals(struct bh_supervisor *s, int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            bh_stop(s, 0);
            break;
        case SIGHUP:
            bh_reload(s);
            break;
        case SIGUSR2:
            bh_restart(s);
            break;
        case SIGUSR1:
            bh_reap(s); /* nobody who is dead is shown alive */
            bh_status_write(s);
            break;
        case SIGIO: /* of a port whose host was away */
            bh_channels_signalled(s);
            break;
        default: /* SIGCHLD: reaped in every round */
            break;
        }
    }
}

static int sooner(int a, int b)
{
    if (a < 0 || b < 0)
        return a < 0 ? b : a;
    return a < b ? a : b;
}

/* Channels say which fronts are wanted, and starting those may serve a channel. Returns milliseconds until
 * there is something to do, or -1. */
static int do_what_is_due(struct bh_supervisor *s)
{
    int next;

    bh_log_flush();
    bh_channels_step(s);
    next = sooner(bh_start_wanted(s), bh_log_held() ? BH_LOG_LOOK_MS : -1);
    return sooner(next, bh_channels_due(s));
}

/* One round: what is to be watched, wait, serve. */
static void round_of(struct bh_supervisor *s, int signals)
{
    struct pollfd fds[1 + BH_CHANNELS_MAX + BH_PROCESSES_MAX] = { { .fd = signals, .events = POLLIN } };
    struct pollfd *listeners = fds + 1, *controls = fds + 1 + BH_CHANNELS_MAX;
    int timeout = do_what_is_due(s);
    const unsigned n_channels = s->n_channels, n_processes = s->n_processes; /* a reload may add some */

    if (s->over)
        bh_stop(s, 0);
    for (unsigned i = 0; i < BH_CHANNELS_MAX; i++)
        listeners[i] = (struct pollfd){ .fd = i < n_channels ? bh_channel_watched(s, &s->channels[i]) : -1,
                                        .events = POLLIN };
    for (unsigned i = 0; i < n_processes; i++)
        controls[i] = (struct pollfd){ .fd = s->processes[i].control, .events = POLLIN };
    if (poll(fds, 1 + BH_CHANNELS_MAX + n_processes, timeout) < 0)
        return; /* EINTR: nothing is lost, the next round looks again */
    serve_signals(s, signals);
    for (unsigned i = 0; i < n_processes; i++)
        if (controls[i].revents && controls[i].fd == s->processes[i].control)
            bh_requests_serve(s, &s->processes[i]);
    bh_reap(s);
    for (unsigned i = 0; i < n_channels; i++)
        if (listeners[i].revents)
            bh_channel_readable(s, &s->channels[i]);
}

/* The guard of what the last agent of this boot left frozen is among the first to be started. */
static void see_to_frozen(struct bh_supervisor *s)
{
    int r = bh_freeze_load(s);

    if (r < 0)
        bh_die(1, "%s/frozen cannot be opened: %s", s->home, strerror(-r));
    for (unsigned i = 0; i < s->n_processes; i++)
        s->processes[i].wanted |= bh_freeze_wants(s, &s->processes[i]);
}

static void say_start(struct bh_supervisor *s)
{
    bh_journal(s, "started: version %s, protocol %s, policy %s (%s)%s%s", BH_VERSION, BH_PROTOCOL_LEVEL,
               s->policy_source, s->policy_state, s->policy_message[0] ? ": " : "", s->policy_message);
    if (!s->privileged)
        bh_log(BH_LOG_WARNING,
               "started by an ordinary user: fences that need root are missing; see bulkheadctl status");
    for (unsigned i = 0; i < s->n_channels; i++)
        bh_log(BH_LOG_NOTICE, "channel %s: %s %s (%s), under %s", s->channels[i].row->name,
               s->channels[i].way->name, s->channels[i].path, bh_channel_host(&s->channels[i]),
               s->policy_source);
    bh_lists_say(s);
}

/* What keeps running runs, is confined and waits for its work. */
static bool is_up(const struct bh_supervisor *s)
{
    for (unsigned i = 0; i < s->n_processes; i++) {
        const struct bh_process *process = &s->processes[i];

        if ((process->wanted || process->pid) && (!process->pid || !bh_fences(s, process)))
            return false;
    }
    return true;
}

static const struct bh_process *failed(const struct bh_supervisor *s)
{
    for (unsigned i = 0; i < s->n_processes; i++)
        if (s->processes[i].restarts)
            return &s->processes[i];
    return NULL;
}

/* Whoever starts a daemon is told the truth: nothing is said to serve before it does. */
static void await_first(struct bh_supervisor *s)
{
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + START_GRACE_MS;

    while (!is_up(s)) {
        const struct bh_process *process = failed(s);

        if (process)
            bh_log(BH_LOG_ERROR, "%s cannot be started; start without -d, or with -l, to see what it says",
                   process->label);
        else if (bh_clock_ms(CLOCK_MONOTONIC) > until)
            bh_log(BH_LOG_ERROR, "not everything that belongs to the agent runs after %d seconds",
                   START_GRACE_MS / 1000);
        if (process || bh_clock_ms(CLOCK_MONOTONIC) > until)
            bh_stop(s, 1);
        (void)poll(NULL, 0, 2);
        bh_reap(s);
        (void)do_what_is_due(s);
    }
}

int main(int argc, char **argv)
{
    struct bh_supervisor *s = &supervisor;
    int signals;

    prepare(s, argc, argv);
    signals = block_signals();
    open_log(s);
    see_to_frozen(s);
    (void)do_what_is_due(s);
    say_start(s);
    if (s->options.daemon)
        await_first(s);
    bh_status_write(s);
    bh_daemon_ready();
    for (;;)
        round_of(s, signals);
}
