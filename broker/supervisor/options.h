/*
 * What the supervisor was told to do: qemu-ga's command line and its configuration
 * file, and our own options. The command line overrides the file; lists of both add up.
 *
 * Trust: in = CONFIG (whoever started us, root's file); out = CHECKED; called by = supervisor
 */
#pragma once

#include <stdbool.h>

#include "policy/blob.h" /* BH_SOCKET_PATH_MAX */

/* Strings live as long as the process. Paths of folders and of files that are opened later are absolute. */
struct bh_options {
    const char *program;    /* "bulkhead", or "qemu-ga" where it was called so */
    const char *method;     /* "virtio-serial", "isa-serial", "unix-listen" or "vsock-listen" */
    const char *path;       /* of the device or socket; vsock: "CID:PORT"; NULL with an inherited socket */
    const char *state_dir;  /* an existing folder */
    const char *audit_dir;  /* or NULL: below the state folder, or what places.h says */
    const char *policy;     /* name of a shipped profile, path of a file, or NULL: what places.h says */
    const char *log_file;   /* or NULL: standard error */
    const char *pid_file;   /* written by a daemon only */
    const char *hook;       /* run around a freeze; NULL: none */
    const char *allow_rpcs; /* comma-separated names, or NULL: no such list was given */
    const char *block_rpcs; /* comma-separated names, or NULL */
    int inherited;          /* the listening socket that the service manager left, or -1 */
    bool own_state_dir;     /* -t was given */
    bool verbose, daemon;
    bool retry_path;          /* a channel that cannot be opened, or is lost, is tried again */
    const char *loose_config; /* the configuration file, if others than root and its reader may write to it */
};

/* Fills `ret`, or prints a sentence, the help or what was asked for and ends the process (status 0 for help,
 * version and dump, 1 for an error). */
void bh_options_parse(struct bh_options *ret, int argc, char **argv);
