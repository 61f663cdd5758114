/*
 * Tries system calls under a process's filter, one forked child each.
 *
 * Reads lines "n NUMBER A0 A1 A2 A3 A4 A5" (hex; "i": by int 0x80) and answers each with
 * "exit ERRNO" (0: it succeeded; exit itself: its status) or "signal NUMBER".
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/confine/filter.h"
#include "policy/confine/profiles.h"
#include "protocol/base/mem.h"

static const struct {
    const char *name;
    const struct bh_filter *filter;
} filters[] = {
    { "audit", &bh_filter_audit },     { "front", &bh_filter_front },     { "fs", &bh_filter_fs },
    { "info", &bh_filter_info },       { "opener", &bh_filter_opener },   { "policyc", &bh_filter_policyc },
    { "storage", &bh_filter_storage }, { "thaw", &bh_filter_thaw },       { "smart", &bh_filter_smart },
    { "exec", &bh_filter_exec },       { "spool", &bh_filter_spool },     { "minimal", &bh_filter_minimal },
    { "diag", &bh_filter_diag },       { "no_unix", &bh_filter_no_unix }, { "no_net", &bh_filter_no_net },
};

static long call(char mode, uint64_t number, const uint64_t args[static 6])
{
#ifdef __x86_64__
    if (mode == 'i') {
        long result;

        __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0L), "c"(0L), "d"(0L) : "memory");
        errno = result < 0 ? (int)-result : 0;
        return result < 0 ? -1 : result;
    }
#endif
    (void)mode;
    return syscall((long)number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static _Noreturn void child(const struct bh_filter *filter, char mode, uint64_t number,
                            const uint64_t args[static 6])
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || bh_seccomp_load(filter) < 0)
        _exit(250);
    _exit(call(mode, number, args) == -1 ? errno : 0);
}

static const struct bh_filter *find(const char *name)
{
    for (size_t i = 0; i < BH_ARRAY_SIZE(filters); i++)
        if (!strcmp(filters[i].name, name))
            return filters[i].filter;
    return NULL;
}

int main(int argc, char **argv)
{
    const struct bh_filter *filter = argc == 2 ? find(argv[1]) : NULL;
    const struct rlimit none = { 0, 0 };
    uint64_t number, args[6];
    char mode;

    if (!filter || setrlimit(RLIMIT_CORE, &none) < 0)
        return 2;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    while (scanf(" %c %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
                 &mode, &number, &args[0], &args[1], &args[2], &args[3], &args[4], &args[5]) == 8) {
        int status;
        pid_t pid = fork();

        if (pid == 0)
            child(filter, mode, number, args);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return 2;
        if (WIFSIGNALED(status))
            printf("signal %d\n", WTERMSIG(status));
        else
            printf("exit %d\n", WEXITSTATUS(status));
    }
    return 0;
}
