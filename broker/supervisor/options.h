/*
 * The supervisor's command line: qemu-ga's arguments, as far as this build serves
 * them, and our own. What is not served is refused in a sentence, never ignored.
 *
 * Trust: in = CONFIG (whoever started us); out = CHECKED; called by = supervisor
 */
#pragma once

#include <stdbool.h>

#define BH_SOCKET_PATH_MAX 107 /* bytes, sun_path without its NUL */

struct bh_options {
    const char *method;    /* "unix-listen" */
    const char *path;      /* of the socket */
    const char *state_dir; /* absolute */
    const char *audit_dir; /* absolute, or NULL: below the state folder */
    const char *policy;    /* name of a shipped profile, path of a file, or NULL: what places.h says */
    bool own_state_dir;    /* -t was given */
    bool verbose;
};

/* Fills `ret`, or prints a sentence or the help and ends the process (status 0 for help and version, 1 for an
 * error). */
void bh_options_parse(struct bh_options *ret, int argc, char **argv);
