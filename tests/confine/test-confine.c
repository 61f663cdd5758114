/*
 * The fences but the view, each alone: by what /proc says of the process from outside,
 * and by attempts that must fail where the fence stands (and succeed where it is off,
 * so that the attempt is known to mean something).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/confine/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"
#include "tests/confine/launch.h"

#define READ "02000000"
#define WRITE "02000002"
#define CREATE "02000302"
#define NOBODY 65534u
#define CAP(name) (UINT64_C(1) << (name))

static char base[64], open_file[96], closed_file[96]; /* in/file and out/file: anybody may write to both */
static const gid_t groups[] = { 70001, 70002 };

static void make_folder(const char *name, char ret_file[96])
{
    char path[80];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", base, name);
    assert_int_equal(mkdir(path, 0777), 0);
    (void)snprintf(ret_file, 96, "%s/file", path);
    fd = open(ret_file, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    (void)close(fd);
}

static int set_up(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return 0;
    launch_init();
    strcpy(base, "/tmp/bh-confine-XXXXXX");
    assert_non_null(mkdtemp(base));
    assert_int_equal(chmod(base, 0755), 0);
    (void)umask(0);
    make_folder("in", open_file);
    make_folder("out", closed_file);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return 0;
    (void)unlink(open_file);
    (void)unlink(closed_file);
    *strrchr(open_file, '/') = *strrchr(closed_file, '/') = '\0';
    (void)rmdir(open_file);
    (void)rmdir(closed_file);
    return rmdir(base);
}

/* The words after `key` in /proc/PID/status, single blanks between them. */
static void status_of(pid_t pid, const char *key, char *ret, size_t size)
{
    char path[64], line[512], *rest, *word;
    _cleanup_fclose_ FILE *file = NULL;

    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file)) {
        if (strncmp(line, key, strlen(key)))
            continue;
        ret[0] = '\0';
        rest = line + strlen(key);
        while ((word = strsep(&rest, " \t\n")))
            if (*word)
                (void)snprintf(ret + strlen(ret), size - strlen(ret), "%s%s", *ret ? " " : "", word);
        return;
    }
    fail_msg("no %s", key);
}

static void assert_status(pid_t pid, const char *key, const char *wanted)
{
    char found[512];

    status_of(pid, key, found, sizeof(found));
    assert_string_equal(found, wanted);
}

static void assert_caps(pid_t pid, uint64_t caps)
{
    static const char *const keys[] = { "CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:" };
    char wanted[20];

    (void)snprintf(wanted, sizeof(wanted), "%016llx", (unsigned long long)caps);
    for (size_t i = 0; i < BH_ARRAY_SIZE(keys); i++)
        assert_status(pid, keys[i], wanted);
}

static bool same_namespace(pid_t pid, const char *name)
{
    char path[64], own[64], theirs[64];
    ssize_t n;

    (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
    n = readlink(path, own, sizeof(own));
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, name);
    return n == readlink(path, theirs, sizeof(theirs)) && n > 0 && !memcmp(own, theirs, (size_t)n);
}

static void test_everything(void **state)
{
    struct launch launch = launch_begin(&bh_profile_fs, 0);
    struct running running;

    (void)state;
    launch.identity.caps = CAP(CAP_DAC_READ_SEARCH);
    launch.identity.n_groups = BH_ARRAY_SIZE(groups);
    launch.identity.groups = groups;
    launch_start_waiting(&launch, &running);
    assert_int_equal(running.fences, bh_profile_fences(&bh_profile_fs));
    assert_caps(running.pid, CAP(CAP_DAC_READ_SEARCH));
    assert_status(running.pid, "Uid:", "65529 65529 65529 65529");
    assert_status(running.pid, "Gid:", "65529 65529 65529 65529");
    assert_status(running.pid, "Groups:", "70001 70002");
    assert_status(running.pid, "NoNewPrivs:", "1");
    assert_status(running.pid, "Seccomp:", "2");
    assert_false(same_namespace(running.pid, "mnt"));
    assert_false(same_namespace(running.pid, "net"));
    assert_false(same_namespace(running.pid, "ipc"));
    assert_int_equal(getsid(running.pid), running.pid);
    assert_int_equal(launch_end(&running), 0);
}

/* uid 0 keeps what its row says through exec, and gets nothing back by it. */
static void test_uid_0(void **state)
{
    struct launch launch = launch_begin(&bh_profile_opener, 0);
    struct running running;

    (void)state;
    launch.identity = (struct bh_identity){ .caps = CAP(CAP_DAC_OVERRIDE) };
    launch_start_waiting(&launch, &running);
    assert_caps(running.pid, CAP(CAP_DAC_OVERRIDE));
    assert_status(running.pid, "Uid:", "0 0 0 0");
    assert_int_equal(launch_end(&running), 0);
    launch.identity.caps = 0;
    launch_start_waiting(&launch, &running);
    assert_caps(running.pid, 0);
    assert_int_equal(launch_end(&running), 0);
}

static void test_descriptors(void **state)
{
    struct launch launch = launch_begin(&bh_profile_front, 0);
    int low = fcntl(0, F_DUPFD, 90), high = fcntl(0, F_DUPFD, 200); /* survive exec unless they are closed */
    struct running running;
    char path[64];
    unsigned n = 0;
    DIR *folder;

    (void)state;
    launch_start_waiting(&launch, &running);
    (void)close(low);
    (void)close(high);
    (void)snprintf(path, sizeof(path), "/proc/%d/fd", (int)running.pid);
    folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder));)
        if (entry->d_name[0] != '.') {
            assert_in_range(atoi(entry->d_name), 0, BH_FD_LAST);
            assert_int_not_equal(atoi(entry->d_name), BH_FD_STATUS); /* closed when it has been read */
            n++;
        }
    (void)closedir(folder);
    assert_int_equal(n, BH_FD_LAST);
    assert_int_equal(launch_end(&running), 0);
}

static void test_securebits(void **state)
{
    struct launch launch = launch_begin(&bh_profile_front, ONLY(BH_FENCE_CAPS | BH_FENCE_SECUREBITS));

    (void)state;
    assert_int_equal(launch_try(&launch, "get-securebits", NULL, NULL), 0xef); /* as in linux/securebits.h */
    assert_int_equal(launch_try(&launch, "securebits", NULL, NULL), EPERM);
    assert_int_equal(launch_try(&launch, "keepcaps", NULL, NULL), EPERM);
    launch.off = ONLY(BH_FENCE_CAPS);
    assert_int_equal(launch_try(&launch, "keepcaps", NULL, NULL), 0);
}

static void test_landlock(void **state)
{
    struct launch launch = launch_begin(&bh_profile_opener, ONLY(BH_FENCE_LANDLOCK | BH_FENCE_NNP));
    char list[96], name[96];

    (void)state;
    (void)snprintf(list, sizeof(list), "%s/in", base);
    (void)snprintf(name, sizeof(name), "%s/in/new", base);
    launch.landlock = list;
    assert_int_equal(launch_try(&launch, "open", open_file, READ), 0);
    assert_int_equal(launch_try(&launch, "open", open_file, WRITE), EACCES);
    assert_int_equal(launch_try(&launch, "open", closed_file, READ), EACCES);
    assert_int_equal(launch_try(&launch, "open", name, CREATE), EACCES);
    (void)snprintf(list, sizeof(list), "+%s/in", base);
    assert_int_equal(launch_try(&launch, "open", open_file, WRITE), 0);
    assert_int_equal(launch_try(&launch, "open", name, CREATE), 0);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(launch_try(&launch, "mkdir", name, NULL), EACCES);
    (void)snprintf(list, sizeof(list), "=%s", base);
    (void)snprintf(name, sizeof(name), "%s/in", base);
    assert_int_equal(launch_try(&launch, "open", name, READ), 0);
    assert_int_equal(launch_try(&launch, "open", open_file, READ), EACCES);
    assert_int_equal(launch_try(&launch, "open", "/dev/null", READ), EACCES);
    launch.off = ONLY(BH_FENCE_NNP);
    assert_int_equal(launch_try(&launch, "open", closed_file, WRITE), 0);
}

static bool kernel_has_scopes(void)
{
    return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 6;
}

/* Signals and abstract sockets out of the domain. */
static void test_landlock_scopes(void **state)
{
    struct launch launch = launch_begin(&bh_profile_opener, ONLY(BH_FENCE_LANDLOCK | BH_FENCE_NNP));
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char name[48], pid[16];
    int len = snprintf(name, sizeof(name), "bulkhead-test-%d", (int)getpid());

    (void)state;
    if (!kernel_has_scopes()) /* before 6.12 */
        skip();
    launch.identity =
        (struct bh_identity){ 0 }; /* the same user as the target, so that only Landlock refuses */
    (void)snprintf(pid, sizeof(pid), "%d", (int)getpid());
    memcpy(address.sun_path + 1, name, (size_t)len);
    assert_int_equal(bind(server, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len)),
                     0);
    assert_int_equal(listen(server, 4), 0);
    assert_int_equal(launch_try(&launch, "signal", pid, NULL), EPERM);
    assert_int_equal(launch_try(&launch, "abstract", name, NULL), EPERM);
    launch.off = ONLY(BH_FENCE_NNP);
    assert_int_equal(launch_try(&launch, "signal", pid, NULL), 0);
    assert_int_equal(launch_try(&launch, "abstract", name, NULL), 0);
    (void)close(server);
}

static void test_write_execute(void **state)
{
    struct launch launch = launch_begin(&bh_profile_front, ONLY(BH_FENCE_MDWE));

    (void)state;
    assert_int_equal(launch_try(&launch, "wx", NULL, NULL), EACCES);
    launch.off = ONLY(0);
    assert_int_equal(launch_try(&launch, "wx", NULL, NULL), 0);
}

/* errno of opening its memory as another process of the same user. */
static int open_memory(pid_t pid)
{
    int status;
    pid_t reader = fork();

    if (reader == 0) {
        char path[64];

        (void)snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
        if (setresgid(LAUNCH_UID, LAUNCH_UID, LAUNCH_UID) < 0 ||
            setresuid(LAUNCH_UID, LAUNCH_UID, LAUNCH_UID) < 0)
            _exit(255);
        _exit(open(path, O_RDWR | O_CLOEXEC) < 0 ? errno : 0);
    }
    assert_int_equal(waitpid(reader, &status, 0), reader);
    return WEXITSTATUS(status);
}

static void test_dumpable(void **state)
{
    struct launch launch = launch_begin(&bh_profile_front, ONLY(BH_FENCE_UID | BH_FENCE_DUMPABLE));
    struct running running;

    (void)state;
    launch_start_waiting(&launch, &running);
    assert_int_equal(open_memory(running.pid), EACCES);
    assert_int_equal(launch_end(&running), 0);
    launch.off = ONLY(BH_FENCE_UID);
    launch_start_waiting(&launch, &running);
    assert_int_equal(open_memory(running.pid), 0);
    assert_int_equal(launch_end(&running), 0);
}

static void test_limits(void **state)
{
    struct launch launch = launch_begin(&bh_profile_opener, ONLY(BH_FENCE_UID | BH_FENCE_RLIMITS));

    (void)state;
    assert_int_equal(launch_try(&launch, "fork", NULL, NULL), EAGAIN);
    assert_int_equal(launch_try(&launch, "files", NULL, NULL), EMFILE);
    assert_int_equal(launch_try(&launch, "memory", "32", NULL), 0);
    assert_int_equal(launch_try(&launch, "memory", "64", NULL), ENOMEM);
    assert_int_equal(launch_try(&launch, "mlock", NULL, NULL), EPERM);
    assert_int_equal(launch_try(&launch, "grow", open_file, NULL), EFBIG);
    launch.off = ONLY(BH_FENCE_UID);
    assert_int_equal(launch_try(&launch, "fork", NULL, NULL), 0);
    assert_int_equal(launch_try(&launch, "memory", "64", NULL), 0);
    assert_int_equal(launch_try(&launch, "grow", open_file, NULL), 0);
    launch.profile = &bh_profile_fs;
    launch.off = ONLY(BH_FENCE_UID | BH_FENCE_RLIMITS);
    assert_int_equal(launch_try(&launch, "grow", open_file, NULL), 0);
}

/* An ordinary user's agent: what needs no privilege holds, and nothing else is claimed. */
static void test_ordinary_user(void **state)
{
    struct launch launch = launch_begin(&bh_profile_fs, 0);
    struct running running;

    (void)state;
    launch.start_as = NOBODY;
    launch_start_waiting(&launch, &running);
    assert_int_equal(running.fences, BH_FENCE_NNP | BH_FENCE_SECCOMP | BH_FENCE_LANDLOCK | BH_FENCE_MDWE |
                                         BH_FENCE_DUMPABLE | BH_FENCE_RLIMITS);
    assert_status(running.pid, "Uid:", "65534 65534 65534 65534");
    assert_status(running.pid, "NoNewPrivs:", "1");
    assert_status(running.pid, "Seccomp:", "2");
    assert_int_equal(launch_end(&running), 0);
    launch.off = ONLY(BH_FENCE_LANDLOCK | BH_FENCE_NNP);
    assert_int_equal(launch_try(&launch, "open", closed_file, READ), EACCES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_everything),    cmocka_unit_test(test_uid_0),
        cmocka_unit_test(test_descriptors),   cmocka_unit_test(test_securebits),
        cmocka_unit_test(test_landlock),      cmocka_unit_test(test_landlock_scopes),
        cmocka_unit_test(test_write_execute), cmocka_unit_test(test_dumpable),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_ordinary_user),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
