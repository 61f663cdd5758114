/*
 * One hook: which files may be run, how they are found, and what comes of every bad manner that a program can
 * have. The programs are shell scripts in a folder of root's; each process that a hook leaves behind writes
 * its number down, so that the test sees it dead.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "tests/unit/fds.h"
#include "tests/unit/hook-fixture.h"
#include "workers/storage/hook.h"
#include "workers/storage/hook_check.h"
#include "workers/storage/hook_list.h"
#include "workers/storage/hook_text.h"
#include "workers/lib/tree.h"

#define PLENTY_MS 20000
#define SHORT_MS 1000 /* but long enough to begin, on a busy machine too */

static struct bh_hook_result result;
static char why[BH_HOOK_WHY_MAX];

static void run(const char *script, uint32_t timeout_ms)
{
    hook_file("hook", script, 0700);
    bh_hook_execute(in_hooks("hook"), "freeze", timeout_ms, &result);
}

/* What is kept of its output. */
static const char *printed(void)
{
    static char kept[BH_HOOK_KEPT_MAX + 1];

    memcpy(kept, result.kept, result.kept_len);
    kept[result.kept_len] = '\0';
    return kept;
}

static void assert_output(const char *text)
{
    assert_string_equal(printed(), text);
}

/* Every process that has written itself into "pids" is gone, and so is every child of ours. */
static void assert_all_dead(unsigned count)
{
    FILE *file = fopen(in_hooks("pids"), "r");
    unsigned n = 0;
    int pid;

    assert_non_null(file);
    while (fscanf(file, "%d", &pid) == 1) {
        assert_int_equal(kill(pid, 0), -1);
        assert_int_equal(errno, ESRCH);
        n++;
    }
    (void)fclose(file);
    assert_int_equal(n, count);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

/* --- how a hook ends ------------------------------------------------------------ */

static void ends_well(void **state)
{
    int fds = count_fds();

    (void)state;
    run("echo \"$1 $#\"; echo \"$0\" >&2", PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_int_equal(result.status, 0);
    (void)snprintf(why, sizeof(why), "freeze 1\n%s\n", in_hooks("hook"));
    assert_output(why);
    assert_int_equal(result.output, strlen(why));
    assert_int_equal(count_fds(), fds);
}

static void exit_status(void **state)
{
    (void)state;
    run("echo no lock; exit 1", PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_EXITED);
    assert_int_equal(result.status, 1);
    assert_output("no lock\n");
    run("exit 255", PLENTY_MS);
    assert_int_equal(result.status, 255);
}

static void killed_by_a_signal(void **state)
{
    (void)state;
    run("kill -SEGV $$", PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_KILLED);
    assert_int_equal(result.status, SIGSEGV);
}

static void cannot_be_executed(void **state)
{
    (void)state;
    hook_bytes("hook", "#!/nowhere/sh\n", 0700);
    bh_hook_execute(in_hooks("hook"), "freeze", PLENTY_MS, &result);
    assert_int_equal(result.outcome, BH_HOOK_EXITED);
    assert_int_equal(result.status, 127);
    assert_output("cannot be executed: No such file or directory\n");
    hook_bytes("hook", "neither script nor program", 0700);
    bh_hook_execute(in_hooks("hook"), "freeze", PLENTY_MS, &result);
    assert_output("cannot be executed: Exec format error\n");
}

/* --- what it finds --------------------------------------------------------------- */

static void environment_is_clean(void **state)
{
    (void)state;
    assert_int_equal(setenv("LD_PRELOAD", "/evil.so", 1), 0);
    assert_int_equal(setenv("BASH_ENV", "/evil", 1), 0);
    run("tr '\\0' '\\n' </proc/$$/environ", PLENTY_MS); /* what exec left, not what the shell adds */
    assert_int_equal(unsetenv("LD_PRELOAD") | unsetenv("BASH_ENV"), 0);
    assert_output(
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C.UTF-8\nHOME=/root\n");
}

static void folder_umask_and_descriptors(void **state)
{
    int leak = open("/etc/passwd", O_RDONLY); /* inheritable */

    (void)state;
    assert_true(leak >= 0);
    (void)umask(077);
    run("pwd; umask; readlink /proc/self/fd/0; [ -p /proc/self/fd/1 ] && [ -p /proc/self/fd/2 ] && echo "
        "pipes\n"
        "[ /proc/self/fd/1 -ef /proc/self/fd/2 ] && echo one; exec 0<&- 1>&2; ls -l /proc/$$/fd | grep -c "
        "passwd",
        PLENTY_MS);
    assert_output("/\n0022\n/dev/null\npipes\none\n0\n");
    assert_int_equal(close(leak), 0);
}

static void signals_and_session(void **state)
{
    int pid = 0, session = 0;
    sigset_t set, before;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &before), 0);
    assert_true(signal(SIGTERM, SIG_IGN) != SIG_ERR && signal(SIGHUP, SIG_IGN) != SIG_ERR);
    run("exec sed -n 's/^Sig[BI].*:\t//p; s/^NSsid:\t//p; s/^Pid:\t//p' /proc/self/status", PLENTY_MS);
    assert_true(signal(SIGTERM, SIG_DFL) != SIG_ERR && signal(SIGHUP, SIG_DFL) != SIG_ERR);
    assert_int_equal(sigprocmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(sscanf(printed(), "%d %d", &pid, &session), 2);
    assert_int_equal(pid, session);
    assert_non_null(strstr(printed(), "\n0000000000000000\n0000000000000000\n")); /* blocked, ignored */
}

/* --- its time ---------------------------------------------------------------------- */

static void below_the_time_limit(void **state)
{
    (void)state;
    run("sleep 0.2", 5000);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_in_range(result.ms, 200, 4999);
}

static void above_the_time_limit(void **state)
{
    (void)state;
    run("echo begun; sleep 60", SHORT_MS);
    assert_int_equal(result.outcome, BH_HOOK_TIMED_OUT);
    assert_int_equal(result.status, SHORT_MS);
    assert_in_range(result.ms, SHORT_MS, 5000);
    assert_output("begun\n");
}

/* One that ends when its time is up has done one or the other, and is gone in either case. */
static void at_the_time_limit(void **state)
{
    (void)state;
    run("echo $$ >>${0%/*}/pids; exec sleep 1", SHORT_MS);
    assert_true(result.outcome == BH_HOOK_TIMED_OUT || result.outcome == BH_HOOK_DONE);
    assert_in_range(result.ms, SHORT_MS, 5000);
    assert_all_dead(1);
}

static void ignores_sigterm(void **state)
{
    (void)state;
    run("trap '' TERM INT HUP; echo $$ >>${0%/*}/pids; while :; do sleep 1; done", SHORT_MS);
    assert_int_equal(result.outcome, BH_HOOK_TIMED_OUT);
    assert_all_dead(1);
}

static void closes_its_pipe_and_sleeps(void **state)
{
    (void)state;
    run("echo $$ >>${0%/*}/pids; exec >&- 2>&-; sleep 60", SHORT_MS);
    assert_int_equal(result.outcome, BH_HOOK_TIMED_OUT);
    assert_all_dead(1);
    run("exec >&- 2>&-; sleep 0.2; exit 3", PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_EXITED);
    assert_int_equal(result.status, 3);
    assert_in_range(result.ms, 200, PLENTY_MS);
}

static void stops_itself(void **state)
{
    (void)state;
    run("echo $$ >>${0%/*}/pids; kill -STOP $$", SHORT_MS);
    assert_int_equal(result.outcome, BH_HOOK_TIMED_OUT);
    assert_all_dead(1);
}

/* --- its output ---------------------------------------------------------------------- */

static void output_is_kept_up_to_its_limit(void **state)
{
    char script[64];

    (void)state;
    for (unsigned n = BH_HOOK_KEPT_MAX - 1; n <= BH_HOOK_KEPT_MAX + 1; n++) {
        (void)snprintf(script, sizeof(script), "head -c %u /dev/zero", n);
        run(script, PLENTY_MS);
        assert_int_equal(result.outcome, BH_HOOK_DONE);
        assert_int_equal(result.output, n);
        assert_int_equal(result.kept_len, n < BH_HOOK_KEPT_MAX ? n : BH_HOOK_KEPT_MAX);
    }
}

static void prints_100_mb(void **state)
{
    struct rusage before, after;

    (void)state;
    assert_int_equal(getrusage(RUSAGE_SELF, &before), 0);
    run("head -c 104857600 /dev/zero", PLENTY_MS);
    assert_int_equal(getrusage(RUSAGE_SELF, &after), 0);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_int_equal(result.output, 104857600);
    assert_int_equal(result.kept_len, BH_HOOK_KEPT_MAX);
    assert_in_range(after.ru_maxrss, 0, before.ru_maxrss + 1024);
}

static void prints_for_ever(void **state)
{
    (void)state;
    run("echo $$ >>${0%/*}/pids; exec cat /dev/zero", SHORT_MS);
    assert_int_equal(result.outcome, BH_HOOK_TIMED_OUT);
    assert_in_range(result.ms, SHORT_MS, 5000);
    assert_true(result.output > BH_HOOK_KEPT_MAX);
    assert_all_dead(1);
}

/* What is in the pipe when it ends is not lost. */
static void last_words_are_read(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        run("head -c 50000 /dev/zero; exit 2", PLENTY_MS);
        assert_int_equal(result.output, 50000);
        assert_int_equal(result.status, 2);
    }
}

/* --- what it leaves behind ---------------------------------------------------------- */

static void daemon_with_our_pipe(void **state)
{
    (void)state;
    run("sleep 600 & echo $! >>${0%/*}/pids; echo started", PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_output("started\n");
    assert_in_range(result.ms, 0, 5000);
    assert_all_dead(1);
}

static void daemon_that_writes_on(void **state)
{
    (void)state;
    run("cat /dev/zero & echo $! >>${0%/*}/pids; sleep 0.1; exit 4", PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_EXITED);
    assert_int_equal(result.status, 4);
    assert_in_range(result.ms, 0, 5000);
    assert_all_dead(1);
}

/* Two forks and a session of its own, as daemons do it; its parent is us then. */
#define DAEMON "(setsid sh -c 'echo $$ >>'${0%/*}'/pids; sleep 600 & echo $! >>'${0%/*}'/pids; wait' &)\n"
#define AWAIT_PIDS(n) "while [ $(wc -l <${0%/*}/pids) -lt " #n " ]; do sleep 0.05; done\n"

static void double_fork(void **state)
{
    (void)state;
    run(": >${0%/*}/pids\n" DAEMON AWAIT_PIDS(2), PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_all_dead(2);
}

static void double_fork_of_one_that_hangs(void **state)
{
    (void)state;
    run(": >${0%/*}/pids\n" DAEMON AWAIT_PIDS(2) "sleep 600", 3000);
    assert_int_equal(result.outcome, BH_HOOK_TIMED_OUT);
    assert_all_dead(2);
}

static void many_sessions_and_generations(void **state)
{
    (void)state;
    run(": >${0%/*}/pids\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; "
        "do\n" DAEMON "done\n" AWAIT_PIDS(50),
        PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_all_dead(50);
    hook_file("chain",
              "echo $$ >>${0%/*}/pids; [ $1 -lt 50 ] || exec sleep 600\nsetsid $0 $(($1 + 1)) & wait", 0700);
    run(": >${0%/*}/pids\n${0%/*}/chain 1 &\n" AWAIT_PIDS(50), PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_all_dead(50);
}

/* Each generation forks the next one and ends, faster than anybody could name it; 3000 of them at most. */
static void runs_away(void **state)
{
    static const char *const ways[] = { "", "setsid " };
    char script[256];
    struct stat st;

    (void)state;
    for (int i = 0; i < 2; i++) {
        (void)snprintf(script, sizeof(script),
                       "echo $$ >>${0%%/*}/pids\n[ $1 = 3000 ] || { %s$0 $(($1 + 1)) & }", ways[i]);
        hook_file("comet", script, 0700);
        run(": >${0%/*}/pids\n${0%/*}/comet 1\n" AWAIT_PIDS(20), PLENTY_MS);
        assert_int_equal(result.outcome, BH_HOOK_DONE);
        assert_int_equal(stat(in_hooks("pids"), &st), 0);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        assert_in_range(result.ms, 0, 5000);
    }
}

/* /proc/PID/stat has the name between brackets, and the name has some too. */
static void a_name_like_the_kernel_s_own_text(void **state)
{
    (void)state;
    hook_file("x) Z 1 1 1 (", "echo $$ >>\"${0%/*}/pids\"; sleep 600 & echo $! >>\"${0%/*}/pids\"; wait",
              0700);
    run(": >${0%/*}/pids\n(setsid \"${0%/*}/x) Z 1 1 1 (\" &)\n" AWAIT_PIDS(2), PLENTY_MS);
    assert_int_equal(result.outcome, BH_HOOK_DONE);
    assert_all_dead(2);
}

/* Whoever outlives the tests' patience is told of, and is gone when there is more of it. */
static void somebody_is_left(void **state)
{
    pid_t pid = fork();

    (void)state;
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)pause();
        _exit(0);
    }
    assert_int_equal(bh_tree_end(0), -EBUSY);
    assert_int_equal(bh_tree_end(PLENTY_MS), 0);
    assert_int_equal(kill(pid, 0), -1);
}

/* --- which files may be run ------------------------------------------------------------ */

static void assert_refused(const char *path, int error, const char *words)
{
    assert_int_equal(bh_hook_check(path, why), error);
    assert_non_null(strstr(why, words));
}

static void a_good_one(void **state)
{
    (void)state;
    hook_file("hook", "", 0755);
    assert_int_equal(bh_hook_check(in_hooks("hook"), why), 0);
    hook_file("hook", "", 0100);
    assert_int_equal(bh_hook_check(in_hooks("hook"), why), 0);
}

static void writable_files(void **state)
{
    (void)state;
    hook_file("hook", "", 0702);
    assert_refused(in_hooks("hook"), -EPERM, "chmod go-w");
    hook_file("hook", "", 0720);
    assert_refused(in_hooks("hook"), -EPERM, "chmod go-w");
    hook_file("hook", "", 0700);
    assert_int_equal(chown(in_hooks("hook"), 1, 0), 0);
    assert_refused(in_hooks("hook"), -EPERM, "belongs to uid 1; run: chown root");
}

static void what_is_no_program(void **state)
{
    (void)state;
    hook_file("hook", "", 0600);
    assert_refused(in_hooks("hook"), -EACCES, "chmod u+x");
    assert_refused(in_hooks("none"), -ENOENT, "does not exist");
    assert_int_equal(mkdir(in_hooks("sub"), 0700), 0);
    assert_refused(in_hooks("sub"), -EINVAL, "not a regular file");
    assert_int_equal(mkfifo(in_hooks("fifo"), 0700), 0);
    assert_refused(in_hooks("fifo"), -EINVAL, "not a regular file"); /* and is not opened: that would hang */
    assert_refused("/dev/null", -EINVAL, "not a regular file");
    assert_refused("hook", -EINVAL, "absolute");
    assert_refused("/", -EINVAL, "not a regular file");
}

static void symbolic_links(void **state)
{
    (void)state;
    hook_file("hook", "", 0700);
    assert_int_equal(symlink("hook", in_hooks("link")), 0);
    assert_refused(in_hooks("link"), -ELOOP, "symbolic link");
    assert_int_equal(symlink(".", in_hooks("dirlink")), 0);
    assert_refused(in_hooks("dirlink/hook"), -ELOOP, "symbolic link");
    assert_int_equal(symlink("nowhere", in_hooks("dangling")), 0);
    assert_refused(in_hooks("dangling"), -ELOOP, "symbolic link");
}

static void folders_above(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_hooks("sub"), 0700) | mkdir(in_hooks("sub/sub"), 0700), 0);
    hook_file("sub/sub/hook", "", 0700);
    assert_int_equal(bh_hook_check(in_hooks("sub/sub/hook"), why), 0);
    assert_int_equal(bh_hook_check(in_hooks("/sub//sub/./hook"), why), 0);
    assert_int_equal(chmod(in_hooks("sub"), 0702), 0);
    assert_refused(in_hooks("sub/sub/hook"), -EPERM, "others than root may write to the folder");
    assert_int_equal(chmod(in_hooks("sub"), 01777), 0); /* sticky does not help */
    assert_refused(in_hooks("sub/sub/hook"), -EPERM, "others than root may write to the folder");
    assert_int_equal(chmod(in_hooks("sub"), 0700) | chown(in_hooks("sub"), 1, 0), 0);
    assert_refused(in_hooks("sub/sub/hook"), -EPERM, "belongs to uid 1");
    assert_refused(in_hooks("sub/none/hook"), -EPERM, "belongs to uid 1");
}

static void tmp_is_no_place_for_hooks(void **state)
{
    char path[] = "/tmp/bh-hook-XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && fchmod(fd, 0700) == 0 && close(fd) == 0);
    assert_refused(path, -EPERM, "others than root may write to the folder /tmp");
    assert_int_equal(unlink(path), 0);
}

static void long_names(void **state)
{
    static char path[NAME_MAX + 3] = "/";

    (void)state;
    memset(path + 1, 'a', NAME_MAX);
    assert_refused(path, -ENOENT, "does not exist");
    path[1 + NAME_MAX] = 'a';
    assert_refused(path, -ENAMETOOLONG, "too long");
}

/* --- which there are --------------------------------------------------------------------- */

static struct bh_hooks hooks;
static unsigned n_passed_over;

static void passed_over(const char *name)
{
    assert_true(name[0] == '.' || strpbrk(name, ".~#"));
    n_passed_over++;
}

static int gather(const char *file)
{
    static struct bh_hook_config config;

    (void)snprintf(config.folder, sizeof(config.folder), "%s", in_hooks("d"));
    (void)snprintf(config.file, sizeof(config.file), "%s", file);
    hooks.passed_over = passed_over;
    n_passed_over = 0;
    return bh_hooks_gather(&hooks, &config, why);
}

static void hooks_have_an_order(void **state)
{
    static const char *const names[] = { "d/20-b",  "d/10-a", "d/A",    "d/_z", "d/draft~",
                                         "d/a.bak", "d/.x",   "d/a.sh", "d/#a#" };
    static const char *const order[] = { "/z-file", "d/10-a", "d/20-b", "d/A", "d/_z" };

    (void)state;
    assert_int_equal(gather(""), 0);
    assert_int_equal(hooks.n, 0); /* there is no folder */
    assert_int_equal(mkdir(in_hooks("d"), 0755), 0);
    assert_int_equal(gather("/z-file"), 0);
    assert_int_equal(hooks.n, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        hook_file(names[i], "", 0700);
    assert_int_equal(gather("/z-file"), 0);
    assert_int_equal(hooks.n, 5);
    assert_int_equal(n_passed_over, 5);
    assert_string_equal(hooks.paths[0], order[0]);
    for (uint32_t i = 1; i < hooks.n; i++)
        assert_string_equal(hooks.paths[i], in_hooks(order[i]));
}

static void hooks_are_counted(void **state)
{
    char name[16];

    (void)state;
    assert_int_equal(mkdir(in_hooks("d"), 0755), 0);
    for (unsigned i = 1; i <= BH_HOOKS_MAX; i++) {
        (void)snprintf(name, sizeof(name), "d/%u", i);
        hook_file(name, "", 0700);
        if (i == BH_HOOKS_MAX - 1)
            assert_int_equal(gather("/file"), 0);
    }
    assert_int_equal(gather(""), 0);
    assert_int_equal(hooks.n, BH_HOOKS_MAX);
    assert_int_equal(gather("/file"), -E2BIG);
    assert_non_null(strstr(why, "more than 64"));
    assert_int_equal(hooks.n, BH_HOOKS_MAX);
}

static void a_bad_folder_of_hooks(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_hooks("d"), 0700) | chmod(in_hooks("d"), 0777), 0);
    hook_file("d/a", "", 0700);
    assert_int_equal(gather("/file"), -EPERM);
    assert_non_null(strstr(why, "chmod go-w"));
    assert_int_equal(hooks.n, 1); /* that one is still known */
    assert_int_equal(rename(in_hooks("d"), in_hooks("e")) | symlink("e", in_hooks("d")), 0);
    assert_int_equal(gather(""), -ELOOP);
    assert_int_equal(unlink(in_hooks("d")), 0);
    hook_file("d", "", 0700);
    assert_int_equal(gather(""), -ENOTDIR);
}

/* --- its text --------------------------------------------------------------------------- */

static void output_is_cleaned(void **state)
{
    static const struct {
        const char *from, *to;
    } rows[] = {
        { "", "" },
        { "plain \"text\" \\x", "plain \"text\" \\x" },
        { "two\nlines\n\n \t", "two\\x0alines" },
        { "\x1b[2J\x7f", "\\x1b[2J\\x7f" },
        { "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
        { "c1 \xc2\x9b", "c1 \\xc2\\x9b" },
        { "\xff\xc3", "\\xff\\xc3" },
        { "\xed\xa0\x80", "\\xed\\xa0\\x80" },
    };
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(bh_hook_clean(rows[i].from, strlen(rows[i].from), text, sizeof(text)),
                         strlen(rows[i].to));
        assert_string_equal(text, rows[i].to);
    }
    assert_int_equal(bh_hook_clean("a\0b\0", 4, text, sizeof(text)), 10);
    assert_string_equal(text, "a\\x00b\\x00");
}

static void text_is_cut_at_a_character(void **state)
{
    char text[8];

    (void)state;
    assert_int_equal(bh_hook_clean("1234567", 7, text, sizeof(text)), 7);
    assert_int_equal(bh_hook_clean("12345678", 8, text, sizeof(text)), 7);
    assert_int_equal(bh_hook_clean("123456\xc3\xbc", 8, text, sizeof(text)), 6);
    assert_int_equal(bh_hook_clean("1234\n5", 6, text, sizeof(text)), 4);
    assert_int_equal(bh_hook_clean("123\n5", 5, text, sizeof(text)), 7);
    bh_hook_printf(text, sizeof(text), "12345%s", "\xc3\xbc");
    assert_string_equal(text, "12345\xc3\xbc");
    bh_hook_printf(text, sizeof(text), "123456%s", "\xc3\xbc");
    assert_string_equal(text, "123456");
    bh_hook_printf(text, sizeof(text), "1234567%s", "\xc3\xbc");
    assert_string_equal(text, "1234567");
    bh_hook_printf(text, sizeof(text), "%s", "\xf0\x9f\x9a\xa7\xf0\x9f\x9a\xa7");
    assert_string_equal(text, "\xf0\x9f\x9a\xa7");
}

static void needs_root(void **state)
{
    (void)state;
    skip();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, hooks_make, hooks_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(ends_well),
        TEST(exit_status),
        TEST(killed_by_a_signal),
        TEST(cannot_be_executed),
        TEST(environment_is_clean),
        TEST(folder_umask_and_descriptors),
        TEST(signals_and_session),
        TEST(below_the_time_limit),
        TEST(above_the_time_limit),
        TEST(at_the_time_limit),
        TEST(ignores_sigterm),
        TEST(closes_its_pipe_and_sleeps),
        TEST(stops_itself),
        TEST(output_is_kept_up_to_its_limit),
        TEST(prints_100_mb),
        TEST(prints_for_ever),
        TEST(last_words_are_read),
        TEST(daemon_with_our_pipe),
        TEST(daemon_that_writes_on),
        TEST(double_fork),
        TEST(double_fork_of_one_that_hangs),
        TEST(many_sessions_and_generations),
        TEST(runs_away),
        TEST(a_name_like_the_kernel_s_own_text),
        TEST(somebody_is_left),
        TEST(a_good_one),
        TEST(writable_files),
        TEST(what_is_no_program),
        TEST(symbolic_links),
        TEST(folders_above),
        TEST(tmp_is_no_place_for_hooks),
        TEST(long_names),
        TEST(hooks_have_an_order),
        TEST(hooks_are_counted),
        TEST(a_bad_folder_of_hooks),
        TEST(output_is_cleaned),
        TEST(text_is_cut_at_a_character),
    };

    const struct CMUnitTest none[] = { cmocka_unit_test(needs_root) };

    if (geteuid() != 0)
        return cmocka_run_group_tests(none, NULL, NULL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
