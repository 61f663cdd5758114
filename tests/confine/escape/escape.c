/*
 * escape SUID OUTSIDER PORT ABSTRACT SHM-KEY [NAME]: tries everything (or one thing), one forked child each,
 * and prints one line per attempt: its name, and "done", the errno's name, or the signal it died of.
 *
 * escape who: ends with EXIT_MAGIC if its effective uid is 0. escape securebits: ends with those.
 */
#include "escape.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 5

static const char *words(int status)
{
    static char text[32];

    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? "SIGSYS" : strsignal(WTERMSIG(status));
    if (WEXITSTATUS(status) == 0)
        return "done";
    if (strerrorname_np(WEXITSTATUS(status)))
        return strerrorname_np(WEXITSTATUS(status));
    (void)snprintf(text, sizeof(text), "%d", WEXITSTATUS(status));
    return text;
}

static void try_one(const struct attempt *attempt, const struct world *world)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        (void)alarm(SECONDS);
        _exit(attempt->run(world));
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(2);
    printf("%s %s\n", attempt->name, words(status));
    (void)fflush(stdout);
}

static void try_all(const struct attempt *attempts, size_t n, const struct world *world, const char *only)
{
    for (size_t i = 0; i < n; i++)
        if (!only || !strcmp(only, attempts[i].name))
            try_one(&attempts[i], world);
}

int main(int argc, char **argv)
{
    const struct rlimit none = { 0, 0 };
    struct world world = { .self = argv[0], .keeper = getppid() };

    if (argc == 2 && !strcmp(argv[1], "who"))
        return geteuid() == 0 ? EXIT_MAGIC : 0;
    if (argc == 2 && !strcmp(argv[1], "securebits"))
        return prctl(PR_GET_SECUREBITS);
    (void)setrlimit(RLIMIT_CORE, &none); /* a sandbox does not let us, and needs no such thing */
    if (argc < 6)
        return 2;
    world.suid = argv[1];
    world.outsider = (pid_t)atoi(argv[2]);
    world.port = (unsigned short)atoi(argv[3]);
    world.abstract = argv[4];
    world.shm_key = atoi(argv[5]);
    try_all(attempts_files, n_attempts_files, &world, argv[6]);
    try_all(attempts_kernel, n_attempts_kernel, &world, argv[6]);
    try_all(attempts_processes, n_attempts_processes, &world, argv[6]);
    try_all(attempts_sockets, n_attempts_sockets, &world, argv[6]);
    return 0;
}
