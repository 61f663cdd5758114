/*
 * The policy language: text in, compiled policy out, with what is wrong with the text.
 *
 *   files -> scan (tokens) -> parse (model: lines as written) -> check (names, channels,
 *   drop-ins) -> emit (one slice per channel; conflicts of settings are found here)
 *
 * Invariants: order means nothing; the same input gives the same bytes; nothing is
 * compiled from a text with an error; an error names file, line and column and says
 * what to mend; after an error the parser goes on at the next statement.
 *
 * Trust: in = CONFIG (root's files, but bounded and checked as if a peer had sent them);
 *        out = CHECKED; called by = policyc, bulkheadctl, bh-profilec
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/blob.h"
#include "policy/lang/pack.h"
#include "protocol/base/arena.h"

#define BH_POLICY_FILE_MAX (256u * 1024u)          /* bytes of one file */
#define BH_POLICY_FILES_MAX 64u                    /* files of one policy, profiles not counted */
#define BH_POLICY_NAME_MAX 31u                     /* bytes of a rule's, channel's or profile's name */
#define BH_POLICY_STRING_MAX 4095u                 /* bytes of a string, escapes undone */
#define BH_POLICY_MEMORY_MAX (96u * 1024u * 1024u) /* bytes the compiler may take: the limit of its arena */
#define BH_DIAGS_MAX 20u                           /* diagnostics that are kept; errors replace lesser ones */

enum bh_severity { BH_SEVERITY_NOTE, BH_SEVERITY_WARNING, BH_SEVERITY_ERROR };

struct bh_diag {
    enum bh_severity severity;
    struct bh_str file;
    uint32_t line, column; /* from 1; column in characters */
    struct bh_str text;
};

struct bh_diags {
    struct bh_arena *arena;
    struct bh_diag items[BH_DIAGS_MAX];
    uint32_t n, n_errors, n_lost;
};

void bh_diag_add(struct bh_diags *diags, enum bh_severity severity, struct bh_str file, uint32_t line,
                 uint32_t column, struct bh_str text);

/* "error policy:3:7: text", without a line feed; .ptr is NULL when the arena is full. */
struct bh_str bh_diag_line(const struct bh_diags *diags, const struct bh_diag *diag);

/* A shipped profile; the build compiles each as a policy of its own (policy/profilec.c). */
struct bh_profile_text {
    const char *name;
    const char *text;
    size_t text_len;
    const void *bundle; /* compiled, with one channel `main`; NULL while the build makes it */
    size_t bundle_len;
};

/* The profile of this name, or NULL. */
const struct bh_profile_text *bh_profile_find(const struct bh_profile_text *profiles, size_t n,
                                              const char *name);

struct bh_policy_input {
    const struct bh_pack_file *files;
    size_t n_files;
    const struct bh_profile_text *profiles; /* what `use` finds */
    size_t n_profiles;
    struct bh_str passwd, group; /* contents of /etc/passwd and /etc/group; may be empty */
};

#define BH_COMPILE_ERRORS 1

/* Compiles to a bundle in the arena. 0, BH_COMPILE_ERRORS (diags has at least one error), -ENOMEM. */
int bh_policy_compile(const struct bh_policy_input *input, struct bh_diags *diags,
                      struct bh_bytes *ret_bundle);

/*
 * A slice as policy text: settled masks, all settings spelt out, rules where they stood (`origin`). Compiled
 * again it gives the same slice but for the digest. `row` says how the channel is opened. 0 or -ENOMEM.
 */
int bh_policy_dump(const struct bh_policy *policy, const struct bh_bundle_row *row, struct bh_arena *arena,
                   struct bh_str *ret_text);
