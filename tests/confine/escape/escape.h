/*
 * Attempts to get out of a sandbox, or to get at what a sandbox is to keep away. Each is harmless where it
 * succeeds: files are opened and not written, values are set to what they are, magic numbers are wrong.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/* What the stage (tests/confine/stage.py) has set up, from the command line. */
struct world {
    const char *self;     /* this program's path */
    const char *suid;     /* a set-uid copy of it */
    pid_t keeper;         /* who started it */
    pid_t outsider;       /* a process of the guest's, of the same uid */
    unsigned short port;  /* a TCP service of the guest's, on 127.0.0.1 */
    const char *abstract; /* name of an abstract socket of the guest's */
    int shm_key;          /* of shared memory of the guest's */
};

struct attempt {
    const char *name;
    int (*run)(const struct world *world); /* 0: it succeeded; else the errno */
};

extern const struct attempt attempts_files[], attempts_kernel[], attempts_processes[], attempts_sockets[];
extern const size_t n_attempts_files, n_attempts_kernel, n_attempts_processes, n_attempts_sockets;

#define ANSWER(result) ((result) < 0 ? errno : 0)
#define EXIT_MAGIC 42 /* what a copy of the program ends with if it is run to say who it is, and is root */
