/*
 * A configuration of qemu-ga: which commands it leaves to the host, and what is to be said
 * about that. The sources are its configuration file, the variables that a distribution's
 * service file puts into its arguments, and arguments themselves.
 *
 * Trust: in = CONFIG (root's files, arguments; parsed, never executed); out = CHECKED (masks),
 *        CONFIG (findings quote what stands there: to be cleaned); called by = bulkheadctl policy migrate
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define CTL_QGA_FILE_MAX (64u * 1024u) /* bytes of a file */
#define CTL_QGA_FINDINGS_MAX 200u      /* kept; a configuration with more is told so */

struct ctl_finding {
    bool warning; /* it may not mean what its author thought */
    char *where;  /* "/etc/qemu/qemu-ga.conf:3", "the arguments" */
    char *text;
};

struct ctl_qga {
    uint64_t allowed[2], blocked[2]; /* bit per command */
    bool has_allow, has_block;       /* such a list was given, and is not empty */
    char *config;                    /* -c, or NULL */
    struct ctl_finding findings[CTL_QGA_FINDINGS_MAX];
    unsigned n_findings, n_lost;
};

/* Each adds a source. Exit status: where qemu-ga would not start or would not serve, that was said. */
int ctl_qga_config(struct ctl_qga *qga, const char *path);
int ctl_qga_sysconfig(struct ctl_qga *qga, const char *path);
int ctl_qga_arguments(struct ctl_qga *qga, const char *where, int argc, char **argv);

/* What is to be said of all sources together. */
void ctl_qga_judge(struct ctl_qga *qga);

/* Would qemu-ga serve it? */
bool ctl_qga_serves(const struct ctl_qga *qga, unsigned command);

void ctl_qga_free(struct ctl_qga *qga);

/* One source's list. A value's empty list is none. */
enum ctl_qga_list { CTL_QGA_ALLOW, CTL_QGA_BLOCK };
void ctl_qga_add_list(struct ctl_qga *qga, const char *where, enum ctl_qga_list which, const char *option,
                      const char *names);

void ctl_qga_say(struct ctl_qga *qga, bool warning, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
