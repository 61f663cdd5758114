/*
 * The compiled policy: flat, offset-based, the same bytes for the same text.
 *
 * `bulkhead-policyc` writes a bundle: a directory of channels and, for each, a slice
 * that stands alone. A process gets its channel's slice in sealed memory and nothing
 * of another channel. The reader verifies every offset, count, string and index once,
 * in bh_policy_open, as if the bytes were hostile; evaluation then needs no checks.
 *
 * Layout of a slice: struct bh_slice, then the tables in the order of
 * enum bh_section, each 8-byte aligned, without gaps but zero padding, then nothing.
 *
 * Trust: in = CONFIG (verified as if PEER); out = CHECKED; called by = supervisor,
 *        front, workers, policyc, bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/arena.h"
#include "protocol/wire/boot.h"

#define BH_BUNDLE_MAGIC 0x4248424eu
#define BH_SLICE_MAGIC 0x4248534cu
#define BH_POLICY_FORMAT 5u
#define BH_POLICY_SIZE_MAX (1024u * 1024u) /* bytes of one bundle */
#define BH_RULES_MAX 2000u                 /* per channel */
#define BH_CHANNELS_MAX 8u
#define BH_USERS_MAX 8u          /* per channel: one opener each, numbered in protocol/wire/record.h */
#define BH_GROUPS_MAX 64u        /* supplementary groups of one user */
#define BH_POLICY_PATH_MAX 4096u /* bytes with the NUL */
#define BH_IDLE_MAX_S (366u * 24 * 3600)
#define BH_FREEZE_TIMEOUT_MAX_S (366u * 24 * 3600)
#define BH_HOOK_TIMEOUT_MAX_S 3600u

enum bh_section {
    BH_SECTION_RULES,   /* struct bh_rule */
    BH_SECTION_INDEX,   /* uint16_t: rule numbers, grouped by command */
    BH_SECTION_PATHS,   /* struct bh_path */
    BH_SECTION_NAMES,   /* struct bh_name */
    BH_SECTION_EXECS,   /* struct bh_exec_rule */
    BH_SECTION_ARGS,    /* struct bh_exec_arg */
    BH_SECTION_MATCHES, /* struct bh_exec_match */
    BH_SECTION_WORDS,   /* struct bh_name: programs, names of variables, sockets of exec rules */
    BH_SECTION_EXCEPTS, /* uint16_t: rule numbers that a deny spares */
    BH_SECTION_USERS,   /* struct bh_policy_user */
    BH_SECTION_GROUPS,  /* uint32_t: supplementary group ids */
    BH_SECTION_STRINGS, /* bytes; a string is NUL-terminated UTF-8 */
    BH_SECTION_COUNT,
};

struct bh_section_row {
    uint32_t offset, count; /* count in elements (bytes, for strings) */
};

/* Bytes of one element, by enum bh_section. */
extern const uint32_t bh_section_element_size[BH_SECTION_COUNT];

/* Values of `set`; each row of the table in policy/lang/settings.c has its index here. */
enum bh_setting {
    BH_SET_EXPLAIN_TO_CLIENT, /* 0, 1 */
    BH_SET_HANDLE_IDLE_S,     /* seconds without use after which a file handle is closed; 0 = never */
    BH_SET_AUDIT_FAILURE,     /* 0 = deny: a full audit queue refuses mutations; 1 = continue */
    BH_SET_FENCES_REQUIRED,   /* mask of enum bh_fence: a process that misses one does not start */
    BH_SET_FENCES_OFF,        /* mask: not asked for, not reported as missing */
    BH_SET_COMMANDS,          /* how many commands of the schema the policy's author had reviewed */
    BH_SET_VSOCK_PEERS,       /* mask of enum bh_vsock_peers: who may connect to a virtio socket */
    BH_SET_FREEZE_TIMEOUT_S,  /* seconds after which the agent thaws by itself; 0 = never */
    BH_SET_FREEZE_EXPIRED,    /* 0 = error: a thaw after that says that it came too late; 1 = silent */
    BH_SET_FREEZE_ON_RESTART, /* 0 = thaw what an agent that ended has left frozen; 1 = hold it */
    BH_SET_HOOK_TIMEOUT_S,    /* seconds that the freeze hooks may take, 1 to BH_HOOK_TIMEOUT_MAX_S */
    BH_SET_NVME_SMART,        /* 1: NVMe disks are asked for their health logs */
    BH_SET_ON_RESTART, /* 0 = kill: executions end with the agent; 1 = keep: those of `plain` and `none` go on
                        */
    BH_SET_EXEC_IDLE_S, /* seconds after which the result of an execution that nobody fetches is forgotten; 0
                           = never */
    BH_SET_END,
    BH_SET_COUNT = 24, /* room for later ones: zero */
};

/* Bits of `set vsock-peers`, in the order of its words. */
enum bh_vsock_peers {
    BH_VSOCK_HOST = 1 << 0,  /* CID 2 */
    BH_VSOCK_LOCAL = 1 << 1, /* CID 1: processes of this guest */
    BH_VSOCK_ANY = 1 << 2,
    BH_VSOCK_ALL = (1 << 3) - 1,
};

struct bh_command_rules {
    uint32_t first, count; /* in BH_SECTION_INDEX */
};

struct bh_slice {
    uint32_t magic, format, schema, size;
    char channel[BH_CHANNEL_NAME_MAX];
    uint8_t digest[32];   /* SHA-256 of the policy's files (names and bytes): the policy's identity in audit
                             records */
    uint64_t only[2];     /* bit per command: the channel's ceiling, without what was not reviewed */
    uint64_t withheld[2]; /* bit per command: not granted whatever the rules say; zero as compiled, set by the
                             supervisor for -a and -b */
    uint64_t settings[BH_SET_COUNT];
    struct bh_section_row sections[BH_SECTION_COUNT];
    struct bh_command_rules commands[BH_CMD_COUNT];
};

enum bh_effect { BH_EFFECT_ALLOW, BH_EFFECT_DENY };

enum bh_verb {
    BH_VERB_READ = 1 << 0,
    BH_VERB_WRITE = 1 << 1, /* change bytes that exist, extend */
    BH_VERB_CREATE = 1 << 2,
    BH_VERB_TRUNCATE = 1 << 3,
    BH_VERB_APPEND = 1 << 4, /* extend only */
    BH_VERB_ALL = (1 << 5) - 1,
};

enum bh_symlinks { BH_SYMLINKS_REFUSE, BH_SYMLINKS_TRUSTED, BH_SYMLINKS_FOLLOW };
enum bh_types { BH_TYPES_REGULAR, BH_TYPES_ANY };

#define BH_NO_USER UINT32_MAX
#define BH_NO_RULE UINT32_MAX
#define BH_NO_EXEC UINT32_MAX
#define BH_NO_GROUP                                                                                          \
    UINT32_MAX /* among the groups of an exec rule: there is none of this name, so the rule is false */

struct bh_rule {
    uint64_t commands[2];             /* bit per command */
    uint64_t max_size;                /* bytes a file may have after a write; 0 = no limit */
    uint32_t name;                    /* string: given name, or "file:line" */
    uint32_t file, line;              /* string; where it stands */
    uint32_t user;                    /* index in BH_SECTION_USERS, or BH_NO_USER */
    uint32_t first_path, n_paths;     /* of files or of mounts, sorted by use; none: any path */
    uint32_t first_except, n_excepts; /* deny only */
    uint32_t first_name, n_names;     /* only where all its commands list the same; none: any name */
    uint32_t exec; /* index in BH_SECTION_EXECS, or BH_NO_EXEC: it speaks of no execution */
    uint32_t zero;
    uint16_t verbs;       /* mask of enum bh_verb; deny: the rule speaks of opens that ask for any of these */
    uint16_t create_mode; /* of a file that the rule creates */
    uint8_t effect, symlinks, types;
    uint8_t has_object; /* 1: there are file conditions, judged for guest-file-open only */
};

enum bh_path_kind { BH_PATH_IS, BH_PATH_BENEATH, BH_PATH_GLOB };

/* What a path says in its rule. A rule's paths are those of files if it has_object, else mount points. */
enum bh_path_use {
    BH_USE_COVERED,  /* what the rule speaks of; none of these: of any */
    BH_USE_EXCLUDED, /* allow of mounts: not of these, though they are covered */
    BH_USE_REQUIRED, /* allow of mounts that freezes: what cannot be frozen of these fails the freeze */
};

/* An absolute, clean path: no "//", "/./", "/../", no trailing slash but in "/". BENEATH matches the
 * directory itself too. */
struct bh_path {
    uint32_t text; /* string */
    uint32_t len;
    uint32_t kind; /* enum bh_path_kind; GLOB: '*' and '?' stay within one component */
    uint32_t use;  /* enum bh_path_use */
};

/* A pattern for names that a command lists: '*' stands for any bytes, '?' for one. */
struct bh_name {
    uint32_t text; /* string */
    uint32_t len;
};

/* --- executions: what a rule for guest-exec says besides its user ---------------------- */

#define BH_EXEC_ARGS_MAX 64u    /* positions of one rule */
#define BH_EXEC_MATCHES_MAX 64u /* alternatives of one position */
#define BH_EXEC_WORDS_MAX 64u   /* programs, variables or sockets of one rule */
#define BH_EXEC_TIMEOUT_MAX_S (30u * 24 * 3600)
#define BH_EXEC_OUTPUT_MAX (16u * 1024 * 1024) /* bytes per stream */
#define BH_EXEC_PIDS_MAX 32768u
#define BH_EXEC_PIDS_INITIAL 256u /* in minimal and diag, where the rule says nothing */
#define BH_EXEC_CPU_MAX 100000u   /* percent of one CPU */
#define BH_EXEC_CONCURRENT_MAX 1024u
#define BH_EXEC_RATE_MAX 100000u       /* executions in one period */
#define BH_EXEC_RATES_MAX BH_RATES_MAX /* rules of one channel that have a `rate` */

enum bh_sandbox { BH_SANDBOX_MINIMAL, BH_SANDBOX_DIAG, BH_SANDBOX_PLAIN, BH_SANDBOX_NONE };

enum bh_exec_match_kind {
    BH_MATCH_LITERAL,
    BH_MATCH_INT,     /* decimal, no sign but '-', no leading zero; least..most */
    BH_MATCH_BENEATH, /* an absolute, clean path, the directory itself or below it */
    BH_MATCH_GLOB,    /* '*' and '?' match any byte but '/' */
    BH_MATCH_ANY,
};

/* One alternative of a position. */
struct bh_exec_match {
    uint32_t kind;      /* enum bh_exec_match_kind */
    uint32_t text, len; /* string; "" for INT and ANY */
    uint32_t zero;
    int64_t least, most; /* INT; else 0 */
};

/* A position, or what `rest` says of all that follow. */
struct bh_exec_arg {
    uint32_t first_match, n_matches; /* in BH_SECTION_MATCHES; n_matches >= 1 */
    uint32_t dash_ok;                /* 1: GLOB and ANY match what begins with '-' too */
};

enum bh_exec_flag {
    BH_EXEC_ANY_PROGRAM = 1 << 0, /* `program any`: then n_programs is 0 */
    BH_EXEC_REST = 1 << 1,        /* the position behind the last one says what all further ones may be */
    BH_EXEC_ANY_ENV = 1 << 2,     /* `env any` */
    BH_EXEC_SHA256 = 1 << 3,      /* `sha256` pins the program */
    BH_EXEC_STDIN = 1 << 4,       /* `stdin yes`: the client may send input */
    BH_EXEC_NET = 1 << 5,         /* `net host`: the guest's network; settled, whatever the sandbox */
    BH_EXEC_SEARCH = 1 << 6,      /* `search yes`: a name without '/' is looked for in PATH */
    BH_EXEC_AUDIT_FULL = 1 << 7,  /* `audit-output full`: what it writes is recorded, not only its digest */
    BH_EXEC_GROUPS = 1 << 8,      /* `groups` was said: these instead of the user's own */
    BH_EXEC_FLAGS_ALL = (1 << 9) - 1,
};

/* An allow says all of it; a deny has programs only (or none: every execution), everything else is zero. */
struct bh_exec_rule {
    uint64_t memory;                    /* bytes; 0 = no limit */
    uint32_t flags;                     /* enum bh_exec_flag */
    uint32_t sandbox;                   /* enum bh_sandbox */
    uint32_t first_program, n_programs; /* in BH_SECTION_WORDS; absolute, clean paths */
    uint32_t argv0;             /* string; "": the program as the rule names it, or as the client does */
    uint32_t first_arg, n_args; /* in BH_SECTION_ARGS; `rest` is not counted and stands behind them */
    uint32_t first_env, n_env;  /* in BH_SECTION_WORDS: names */
    uint32_t first_socket, n_sockets; /* in BH_SECTION_WORDS: absolute, clean paths */
    uint32_t first_group, n_groups;   /* in BH_SECTION_GROUPS */
    uint32_t cwd;                     /* string: an absolute, clean path; "" = "/" */
    uint32_t timeout_s;               /* 0 = none */
    uint32_t output;                  /* bytes kept of each stream */
    uint32_t pids;                    /* processes at a time; 0 = no limit */
    uint32_t cpu;                     /* percent of one CPU; 0 = no limit */
    uint32_t rate, rate_s;            /* at most `rate` starts within rate_s seconds; 0 = no limit */
    uint32_t concurrent;              /* that run at a time; 0 = no limit */
    uint32_t zero;
    uint8_t sha256[32];
};

struct bh_policy_user {
    uint32_t name; /* string */
    uint32_t uid, gid;
    uint32_t first_group, n_groups; /* n_groups <= BH_GROUPS_MAX */
    uint32_t found;                 /* 0: did not exist when the policy was compiled: its rules are false */
};

/* A bundle: this header, `count` rows, then the slices. */
struct bh_bundle_row {
    char name[BH_CHANNEL_NAME_MAX];
    char
        method[16]; /* one of bh_channel_methods; "": `main` as -m/-p and the configuration say, or `local` */
    char path[128]; /* "" beside ""; else as bh_channel_way_fails has it */
    uint32_t offset, size;
};

struct bh_bundle {
    uint32_t magic, format, size, count;
    struct bh_bundle_row rows[];
};

/* An opened slice: pointers into memory that the caller keeps. */
struct bh_policy {
    const struct bh_slice *slice;
    const struct bh_rule *rules;
    const uint16_t *index;
    const struct bh_path *paths;
    const struct bh_name *names;
    const struct bh_exec_rule *execs;
    const struct bh_exec_arg *exec_args;
    const struct bh_exec_match *exec_matches;
    const struct bh_name *words;
    const uint16_t *excepts;
    const struct bh_policy_user *users;
    const uint32_t *groups;
    const char *strings;
    uint32_t n_rules, n_users;
};

/* Verifies all of it. 0, or -EBADMSG. `data` must be 8-byte aligned and not change any more (sealed). */
int bh_policy_open(struct bh_policy *ret, const void *data, size_t size);

/* Verifies the directory (not the slices). 0, or -EBADMSG. */
int bh_bundle_open(const struct bh_bundle **ret, const void *data, size_t size);

/* Is it a path as struct bh_path has it (any bytes may come in)? */
bool bh_path_is_clean(const char *path, size_t len);

/* Ways to open a channel, as in a bundle's row; NULL at the end. */
extern const char *const bh_channel_methods[];

#define BH_SOCKET_PATH_MAX 107 /* bytes, sun_path without its NUL */

/*
 * The rules for a channel's way: which name it may have, and what may stand behind `unix-listen:`, `virtio:`,
 * `isa-serial:` and `vsock-listen:`. NULL if all is well, else a sentence that says what to mend. `path` may
 * hold any bytes.
 */
const char *bh_channel_way_fails(const char *name, const char *method, const char *path);

/* Is `main`, opened as the command line says, all that the policy opens? Then `local` has the same rules. */
bool bh_bundle_governs_local(const struct bh_bundle *bundle);

/* Maps BH_FD_POLICY, checks that it is sealed, and opens it. Ends the process with a message otherwise. */
void bh_policy_map(struct bh_policy *ret);

/* Maps `size` bytes of `fd` (which stays the caller's), checks that they are sealed, and opens them. 0, or
 * -EBADMSG or another -errno: `ret` is untouched. */
int bh_policy_take(struct bh_policy *ret, int fd, size_t size);

/* Gives back what bh_policy_map or bh_policy_take has mapped. */
void bh_policy_drop(struct bh_policy *policy);

static inline const char *bh_policy_string(const struct bh_policy *policy, uint32_t offset)
{
    return policy->strings + offset;
}
