/*
 * From the name of a program to the file that is executed: opened once, judged, and executed through the same
 * descriptor.
 *
 * What a rule names is run only if nobody but root could have written it or put another in its place: a
 * regular file of root's that nobody else may write to, in folders of root's that nobody else may write to,
 * all the way and through all links. A script's interpreter is held to the same. (For an agent of an ordinary
 * user, his files count as root's.) Under `program any` there is nothing to hold: whatever the rule's user
 * may execute is executed.
 *
 * Trust: in = PEER (name), CHECKED (rule); out = CHECKED; called by = workers/exec
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "protocol/base/sha256.h"

#define BH_PROGRAM_FLAW_MAX 512u /* bytes of a sentence, with the NUL */
#define BH_PROGRAM_DIGEST_MAX                                                                                \
    (128 * 1024 * 1024)             /* bytes: of a larger program that no rule pins no digest is made */
#define BH_PROGRAM_SHEBANG_MAX 256u /* bytes of a script's first line, as the kernel has it */

struct bh_program {
    int fd; /* O_RDONLY or, if it cannot be read, O_PATH; -1: none */
    struct stat st;
    char name[PATH_MAX];            /* resolved */
    char flaw[BH_PROGRAM_FLAW_MAX]; /* why a rule that names it must not run it, as a sentence; "" = it may */
    char sha256[BH_SHA256_TEXT];    /* hex; "" if it cannot be read, or is too large */
    bool pinned;                    /* its content is what the rule says: it may be run by descriptor only */
    bool script;
    int interpreter;                                             /* of a script; else -1 */
    char interpreter_name[PATH_MAX], interpreter_path[PATH_MAX]; /* as the script names it; resolved */
    char interpreter_arg[BH_PROGRAM_SHEBANG_MAX];                /* "" = none */
};

/* Opens it, and says in `flaw` what is wrong if it is not as the head says. 0, and then it is to be closed;
 * or -errno, and nothing is open. */
int bh_program_open(const char *path, struct bh_program *ret);

/* Fills `sha256`; `fresh`: read now, not remembered from the last time that this very file was, and however
 * large it is. 0; -EFBIG: it is too large; or another -errno. */
int bh_program_digest(struct bh_program *program, bool fresh);

/* Looks for a name without '/' in the folders of `path` (as $PATH): the first that is a file with an execute
 * bit. 0 or -ENOENT. */
int bh_program_search(const char *name, const char *path, char ret[PATH_MAX]);

void bh_program_close(struct bh_program *program);
