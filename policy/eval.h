/*
 * The decision: pure functions of a compiled policy and a request. No allocation, no
 * system call, no clock; linear in the rules of the command.
 *
 * A request is allowed if one allow rule grants all of it and no deny rule, but those
 * that spare this allow rule by name, speaks of any of it. Order means nothing. What
 * cannot be evaluated is false in an allow and true in a deny.
 *
 * Trust: in = CHECKED (paths come from a peer or from the kernel; any bytes will do);
 *        out = CHECKED; called by = front (quick refusal only), workers, supervisor
 *        (is a domain granted at all), bulkheadctl
 */
#pragma once

#include "policy/blob.h"

enum bh_verdict {
    BH_VERDICT_ALLOW,
    BH_VERDICT_NOT_GRANTED, /* no allow rule of this channel names the command: BH_E_NOT_GRANTED */
    BH_VERDICT_NO_RULE,     /* granted for other objects, not for this one: BH_E_NO_RULE */
    BH_VERDICT_DENIED,      /* a deny rule: BH_E_DENIED */
};

struct bh_decision {
    enum bh_verdict verdict;
    uint32_t rule; /* the allow, or the deny that decided, or BH_NO_RULE */
};

/* What is known of a file when it is judged. Before the open: asked for; after: found. */
struct bh_file_object {
    struct bh_str path; /* absolute; as the client named it, or as resolved */
    uint32_t verbs;     /* all that the open asks for (enum bh_verb) */
    bool found;    /* the object is open: the fields below are known; else only paths and verbs are judged */
    bool regular;  /* a regular file with one link, not on a pseudo file system */
    uint32_t user; /* index of the user whose opener has it, or BH_NO_USER: rules of others do not count */
};

/* What is known of an execution when it is judged. Any bytes in all strings. */
struct bh_exec_object {
    struct bh_str path;     /* the program as the client names it */
    struct bh_str resolved; /* its name after all (trusted) links; len 0: not known, so that what needs it is
                               false in an allow and true in a deny */
    const struct bh_str *args; /* without argv[0] */
    const struct bh_str *env;  /* NAME=value each */
    uint32_t n_args, n_env;
    bool has_input;
};

/* One step of the explanation. `why` is a sentence part that is there during the call only: "path matches",
 * "verb write is not among its verbs". */
typedef void (*bh_trace_fn)(void *context, uint32_t rule, bool matched, const char *why);

struct bh_trace {
    bh_trace_fn fn; /* NULL: no trace */
    void *context;
};

/*
 * Is there a request with this command that this channel may make (guest-info's `enabled`)? An allow that a
 * deny strikes altogether does not count, nor one whose user does not exist.
 */
bool bh_policy_grants(const struct bh_policy *policy, unsigned command);

/* For a command without an object. */
struct bh_decision bh_policy_command(const struct bh_policy *policy, unsigned command,
                                     const struct bh_trace *trace);

/*
 * May this channel see what is called `name` (any bytes), in the answer to a command that lists such names?
 * An allow with patterns shows what matches one of them, a deny with patterns hides it. (The command itself
 * is opened by such an allow, and not refused by such a deny: bh_policy_command.)
 */
struct bh_decision bh_policy_name(const struct bh_policy *policy, unsigned command, struct bh_str name,
                                  const struct bh_trace *trace);

/*
 * May this command act on the file system that is mounted at these places (any bytes; at least one)? An allow
 * with mounts covers it if it names one of them and does not exclude that one, a deny with mounts strikes it
 * if it names one. (The command itself is opened by such an allow, and not refused by such a deny.) ALLOW,
 * NO_RULE, DENIED; NOT_GRANTED as for bh_policy_command.
 */
struct bh_decision bh_policy_mounts(const struct bh_policy *policy, unsigned command,
                                    const struct bh_str *places, uint32_t n_places,
                                    const struct bh_trace *trace);

/*
 * Must it be frozen, or the whole freeze fails? True if it may be, and an allow that covers it requires one
 * of its places; even one that a deny strikes for it while others are spared, so that no deny lifts what is
 * required.
 */
bool bh_policy_mounts_required(const struct bh_policy *policy, unsigned command, const struct bh_str *places,
                               uint32_t n_places);

/* The same for one place. */
static inline struct bh_decision bh_policy_mount(const struct bh_policy *policy, unsigned command,
                                                 struct bh_str place, const struct bh_trace *trace)
{
    return bh_policy_mounts(policy, command, &place, 1, trace);
}

static inline bool bh_policy_mount_required(const struct bh_policy *policy, unsigned command,
                                            struct bh_str place)
{
    return bh_policy_mounts_required(policy, command, &place, 1);
}

/* For guest-file-open. */
struct bh_decision bh_policy_file(const struct bh_policy *policy, const struct bh_file_object *file,
                                  const struct bh_trace *trace);

/*
 * For guest-exec and bulkhead-exec: the rules are those of guest-exec. The program, the arguments position by
 * position, names of variables and input of an allow must all match; a deny with programs strikes these,
 * under either name. An allow that has the program as the client names it goes before one that has what the
 * name leads to, whichever stands first. The rule that is returned has an `exec`.
 */
struct bh_decision bh_policy_exec(const struct bh_policy *policy, const struct bh_exec_object *object,
                                  const struct bh_trace *trace);

/* Is there an allow of this channel with this sandbox (enum bh_sandbox) that is not struck altogether? */
bool bh_policy_has_sandbox(const struct bh_policy *policy, uint32_t sandbox);

/* Is there one with `plain` or `none`, whose programs may become whatever their user may? */
static inline bool bh_policy_runs_as_anybody(const struct bh_policy *policy)
{
    return bh_policy_has_sandbox(policy, BH_SANDBOX_PLAIN) || bh_policy_has_sandbox(policy, BH_SANDBOX_NONE);
}

/* Has it `none`, and no other? */
static inline bool bh_policy_runs_bare_only(const struct bh_policy *policy)
{
    for (uint32_t sandbox = BH_SANDBOX_MINIMAL; sandbox < BH_SANDBOX_NONE; sandbox++)
        if (bh_policy_has_sandbox(policy, sandbox))
            return false;
    return bh_policy_has_sandbox(policy, BH_SANDBOX_NONE);
}

/* The error code of a verdict that is not ALLOW. */
uint16_t bh_verdict_code(enum bh_verdict verdict);
