/*
 * The table of all settings and conditions. The parser, the checker, the search for
 * conflicts, the dump and the manual read it; a new setting is one row here.
 *
 * Trust: in = CHECKED (constants); out = CHECKED; called by = policy/lang, documentation
 */
#pragma once

#include "policy/blob.h"
#include "policy/listed.h"

#define FENCE_PREFIX "fence-" /* of the settings that one row stands for */

enum bh_setting_domain {
    BH_DOMAIN_FILE,   /* in the block of a rule for guest-file-open */
    BH_DOMAIN_NAMES,  /* in the block of a rule for commands that list things by name */
    BH_DOMAIN_MOUNTS, /* in the block of a rule for commands that act on mounts */
    BH_DOMAIN_EXEC,   /* in the block of a rule for guest-exec */
    BH_DOMAIN_SET,    /* `set NAME VALUE`: of the whole policy */
};

enum bh_setting_type {
    BH_TYPE_PATH,     /* is|beneath|glob, then a string or a set of strings */
    BH_TYPE_NAMES,    /* one or more strings: patterns */
    BH_TYPE_WORDS,    /* one or more of `words`: a mask, first word = bit 0 */
    BH_TYPE_WORD,     /* one of `words`: its index */
    BH_TYPE_USER,     /* name of an account */
    BH_TYPE_SIZE,     /* bytes, with K, M, G or T */
    BH_TYPE_MODE,     /* octal */
    BH_TYPE_DURATION, /* seconds, with s, m, h or d; 0 needs no unit */
    BH_TYPE_NUMBER,   /* a whole number */
    BH_TYPE_CPU,      /* a number of CPUs, or with % of one: a percentage */
    BH_TYPE_RATE,     /* number/duration: the number in the upper half, seconds in the lower */
    BH_TYPE_TEXT,     /* one string */
    BH_TYPE_TEXTS,    /* one or more strings; where the row says so `any` */
    BH_TYPE_GROUPS,   /* names of groups, or their numbers */
    BH_TYPE_ARGS,     /* one or more positions: what each argument may be */
    BH_TYPE_REST,     /* one position, or `none` */
    BH_TYPE_FENCE,    /* one of `words`; the row's name stands for fence-uid, fence-caps, ... */
};

enum bh_setting_merge {
    BH_MERGE_UNITE, /* said again in one rule, the values unite; rules do not touch each other */
    BH_MERGE_AGREE, /* said once in a rule; allow rules that can match the same request must say the same */
    BH_MERGE_ONCE,  /* said once in a policy */
};

/* Places of a rule's values; also the order in which a dump writes them. */
enum bh_rule_slot {
    BH_SLOT_PATH,
    BH_SLOT_VERBS,
    BH_SLOT_USER,
    BH_SLOT_MAX_SIZE,
    BH_SLOT_CREATE_MODE,
    BH_SLOT_TYPES,
    BH_SLOT_SYMLINKS,
    BH_SLOT_INTERFACES,
    BH_SLOT_USERS,
    BH_SLOT_MOUNT,
    BH_SLOT_EXCLUDE,
    BH_SLOT_REQUIRED,
    BH_SLOT_PROGRAM,
    BH_SLOT_SHA256,
    BH_SLOT_ARGV0,
    BH_SLOT_ARGS,
    BH_SLOT_REST,
    BH_SLOT_ENV,
    BH_SLOT_STDIN,
    BH_SLOT_SEARCH,
    BH_SLOT_RUN_USER,
    BH_SLOT_RUN_GROUPS,
    BH_SLOT_CWD,
    BH_SLOT_SANDBOX,
    BH_SLOT_SOCKET,
    BH_SLOT_NET,
    BH_SLOT_TIMEOUT,
    BH_SLOT_OUTPUT,
    BH_SLOT_MEMORY,
    BH_SLOT_PIDS,
    BH_SLOT_CPU,
    BH_SLOT_RATE,
    BH_SLOT_CONCURRENT,
    BH_SLOT_AUDIT_OUTPUT,
    BH_SLOT_COUNT, /* at most 64: a rule keeps a bit for each */
};

struct bh_setting_row {
    const char *name;
    uint8_t domain, type, merge;
    uint8_t slot;             /* SET: enum bh_setting (FENCES_REQUIRED for fences); else enum bh_rule_slot */
    bool deny;                /* has a meaning in a deny rule too */
    uint8_t listed;           /* NAMES: what the rule's commands must list (enum bh_listed) */
    uint8_t use;              /* PATH: what the paths say (enum bh_path_use) */
    uint16_t verbs;           /* FILE: has a meaning only where the rule grants one of these; 0 = always */
    const char *const *words; /* NULL at the end */
    bool any;                 /* TEXTS: `any` may stand for all */
    uint64_t least, most;     /* SIZE, MODE, DURATION, NUMBER, CPU, RATE */
    uint64_t initial;         /* where nothing is said */
    const char *doc;          /* for the manual */
};

extern const struct bh_setting_row bh_settings[];
extern const unsigned bh_n_settings;

/* The row that speaks of what is listed, or NULL. */
const struct bh_setting_row *bh_setting_of(enum bh_listed listed);

/* The row of a rule's block for a name, or NULL; `runs`: of a rule for guest-exec, which has a `user` of its
 * own. */
const struct bh_setting_row *bh_setting_of_rule(const char *name, bool runs);

/* What holds where a rule for guest-exec says nothing of this: `net` and `pids` follow its sandbox. */
uint64_t bh_setting_initial(const struct bh_setting_row *row, enum bh_sandbox sandbox);

/* The row for a name, or NULL. "fence-net" finds the row of fences and its bit (*ret_fence; 0 for others). */
const struct bh_setting_row *bh_setting_find(enum bh_setting_domain domain, const char *name,
                                             uint32_t *ret_fence);
