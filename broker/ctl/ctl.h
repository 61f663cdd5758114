/*
 * bulkheadctl: what its subcommands share. One file per subcommand; each has a
 * row in main.c, a usage text, and a function that returns the exit status.
 *
 * Trust: in = CONFIG (arguments, files of root), PEER (what the agent answers: shown, never obeyed);
 *        out = CHECKED; called by = bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Exit statuses. */
enum {
    CTL_OK = 0,
    CTL_FAILED = 1, /* the agent answered with an error; a check found something */
    CTL_USAGE = 2,
    CTL_NO_AGENT = 3, /* nothing to talk to */
};

struct ctl {
    const char *state_dir; /* the agent's -t */
    bool json;             /* for programs, not for eyes */
};

/* The values of an option that may be given often: at[0..n). There is room for one for each word. */
struct ctl_values {
    const char **at;
    int n;
};

/* One option of a subcommand: takes a value (`value`, `values`) or not (`flag`). The table ends with an empty
 * row. */
struct ctl_option {
    const char *name;  /* "--since" */
    const char *brief; /* "-n", or NULL */
    const char **value;
    bool *flag;
    struct ctl_values *values;
};

struct ctl_command {
    const char *name;    /* "audit show" */
    const char *summary; /* one line */
    const char *usage;   /* what --help prints below the synopsis */
    int (*run)(struct ctl *ctl, int argc, char **argv);
};

/*
 * Takes the options out of argv (wherever they stand, up to "--") and leaves the rest: *argc and argv shrink.
 * --state-dir, --json and --help are understood everywhere. 0; else the exit status is *ret_status.
 */
int ctl_options(struct ctl *ctl, const struct ctl_command *command, int *argc, char **argv,
                const struct ctl_option *options, int *ret_status);

/* Runs the row whose last word is argv[0]; prints the list otherwise. */
int ctl_dispatch(struct ctl *ctl, const char *group, const struct ctl_command *const *commands, int argc,
                 char **argv);

/* "bulkheadctl: text" on standard error; returns `status`. */
int ctl_fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* "bulkheadctl: NAME: text. See bulkheadctl NAME --help."; returns CTL_USAGE. */
int ctl_usage(const struct ctl_command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints text of unknown origin: control characters and broken UTF-8 as '?', so that it cannot speak to a
 * terminal. */
void ctl_print_clean(FILE *out, const char *text);

/* A whole unsigned number, at most `max`. False if it is not one. */
bool ctl_number(const char *text, uint64_t max, uint64_t *ret);

/* A whole regular file of at most `max` bytes with a NUL behind it, the caller's; "-" is standard input.
 * NULL: errno. */
char *ctl_read_file(const char *path, size_t max, size_t *ret_len);

extern const struct ctl_command ctl_call, ctl_read, ctl_write, ctl_status, ctl_reload, ctl_restart, ctl_exec,
    ctl_audit, ctl_audit_show, ctl_audit_verify, ctl_policy, ctl_policy_check, ctl_policy_explain,
    ctl_policy_test, ctl_policy_show, ctl_policy_diff, ctl_policy_migrate;
