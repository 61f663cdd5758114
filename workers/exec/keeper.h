/*
 * The keeper of one execution: a process of ours between the worker and the program. It makes the sandbox,
 * starts the program in it, reaps whatever the program leaves, tells how the program ended, and sees to it
 * that the whole tree ends: at the time limit, when the worker says so, when the worker dies.
 *
 * In a sandbox with a pid namespace it is its first process: when it ends, so does all that is in it. Else it
 * is a subreaper, so that nothing escapes from below it.
 *
 * Invariants: once the program runs, the keeper reads nothing that the program could write (its exit status
 * is the kernel's word), and holds no capability but KILL; the worker hears from it only through the two
 * pipes.
 *
 * Trust: in = CHECKED; out = CHECKED (pipes: read as PEER); called by = workers/exec
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "workers/exec/program.h"
#include "workers/exec/sandbox.h"
#include "workers/spool/spool_wire.h"

/* All that an execution needs, ready before the fork. Descriptors stay the caller's; -1: /dev/null, or none.
 */
struct bh_start {
    struct bh_sandbox_plan sandbox;
    const struct bh_program *program;
    bool by_path;      /* `program any`: executed by name, as anybody would */
    const char *path;  /* by_path: the name */
    char *const *argv; /* NULL-terminated; a script's interpreter is put before it by the child */
    char *const *environment;
    int input, output, error; /* what the program gets as 0, 1, 2 */
    int ends[2];              /* writing ends: to the spool, to the worker */
    int drains[2];            /* keep: reading ends of output and error, to go on if the spool is gone */
    uint32_t timeout_s;       /* 0 = none */
    bool keep;                /* lives on when the worker dies */
};

#define BH_KEEPER_FDS 16 /* all descriptors of a keeper are below */

/* What went wrong between fork and exec. */
struct bh_start_failure {
    int32_t error;  /* errno */
    char step[124]; /* in words; "" = execve itself */
};

#define BH_KEEPER_SIGNAL SIGRTMAX /* with a value: that signal is sent to the program's process group */

/*
 * Forks the keeper and waits until the program runs. The keeper's pid; or -errno with *ret_failure filled,
 * and nothing is left of it.
 */
pid_t bh_keeper_start(const struct bh_start *start, struct bh_start_failure *ret_failure);

/* --- child.c: the program's process ------------------------------------------------- */

/* Becomes the program. On failure writes a struct bh_start_failure to `report` and ends. */
_Noreturn void bh_child_become(const struct bh_start *start, int report);

/* The same failure, from whoever finds it. */
_Noreturn void bh_start_fail(int report, int error, const char *step);

/* --- keeper_loop.c: the keeper once the program runs ---------------------------------- */

/* `child` is the program's process. Ends with the execution. */
_Noreturn void bh_keeper_watch(const struct bh_start *start, pid_t child, int signals);
