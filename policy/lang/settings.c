/* The rows of settings.h, and finding one. */
#include "policy/lang/settings.h"

#include <string.h>

#include "policy/confine/confine.h"
#include "protocol/base/mem.h"
#include "protocol/wire/hook.h"

#define FENCE_PREFIX "fence-"

static const char *const verbs[] = { "read", "write", "create", "truncate", "append", NULL };
static const char *const types[] = { "regular", "any", NULL };
static const char *const symlinks[] = { "refuse", "trusted", "follow", NULL };
static const char *const no_yes[] = { "no", "yes", NULL };
static const char *const deny_continue[] = { "deny", "continue", NULL };
static const char *const vsock_peers[] = { "host", "local", "any", NULL };
static const char *const error_silent[] = { "error", "silent", NULL };
static const char *const thaw_hold[] = { "thaw", "hold", NULL };
static const char *const sandboxes[] = { "minimal", "diag", "plain", "none", NULL };
static const char *const none_host[] = { "none", "host", NULL };
static const char *const digest_full[] = { "digest", "full", NULL };
static const char *const kill_keep[] = { "kill", "keep", NULL };
static const char *const levels[] = { "preferred", "required", "off", NULL };

const struct bh_setting_row bh_settings[] = {
    { .name = "path",
      .domain = BH_DOMAIN_FILE,
      .type = BH_TYPE_PATH,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_PATH,
      .deny = true,
      .doc = "Which files: `is` one path, `beneath` a directory (itself included), or `glob`, where * and ? "
             "stay within "
             "one component. Several lines and sets unite. Without it: any path." },
    { .name = "verbs",
      .domain = BH_DOMAIN_FILE,
      .type = BH_TYPE_WORDS,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_VERBS,
      .deny = true,
      .words = verbs,
      .doc = "What an open may ask for; in a deny, what it must not ask for. @file-read stands for read, "
             "@file-write "
             "for the others." },
    { .name = "user",
      .domain = BH_DOMAIN_FILE,
      .type = BH_TYPE_USER,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_USER,
      .doc = "The account that opens the file, and owns what it creates. Required where the rule grants more "
             "than "
             "read." },
    { .name = "max-size",
      .domain = BH_DOMAIN_FILE,
      .type = BH_TYPE_SIZE,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_MAX_SIZE,
      .verbs = BH_VERB_WRITE | BH_VERB_APPEND,
      .least = 1,
      .most = INT64_MAX,
      .doc = "Bytes that a file may have after a write. Without it: no limit." },
    { .name = "create-mode",
      .domain = BH_DOMAIN_FILE,
      .type = BH_TYPE_MODE,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_CREATE_MODE,
      .verbs = BH_VERB_CREATE,
      .least = 0,
      .most = 0777,
      .initial = 0600,
      .doc = "Permissions of a file that the rule creates, in octal." },
    { .name = "types",
      .domain = BH_DOMAIN_FILE,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_TYPES,
      .words = types,
      .initial = BH_TYPES_REGULAR,
      .doc =
          "`regular`: a regular file with one name, not on a pseudo file system. `any`: whatever is there." },
    { .name = "symlinks",
      .domain = BH_DOMAIN_FILE,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_SYMLINKS,
      .words = symlinks,
      .initial = BH_SYMLINKS_REFUSE,
      .doc = "Links on the way: `refuse` them, follow `trusted` ones (root's, in directories that only root "
             "writes), or "
             "`follow` all." },
    { .name = "interfaces",
      .domain = BH_DOMAIN_NAMES,
      .type = BH_TYPE_NAMES,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_INTERFACES,
      .deny = true,
      .listed = BH_LISTED_INTERFACES,
      .doc =
          "Which network interfaces, by name or by a pattern with * and ?: an allow shows them, a deny hides "
          "them, and their routes. Without it: all." },
    { .name = "users",
      .domain = BH_DOMAIN_NAMES,
      .type = BH_TYPE_NAMES,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_USERS,
      .deny = true,
      .listed = BH_LISTED_USERS,
      .doc = "Which users, by name or by a pattern with * and ?: an allow shows them, a deny hides them. "
             "Without it: all." },
    { .name = "mount",
      .domain = BH_DOMAIN_MOUNTS,
      .type = BH_TYPE_PATH,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_MOUNT,
      .use = BH_USE_COVERED,
      .deny = true,
      .doc = "Which mount points, as `path` has it: an allow covers them, a deny strikes them. Without it: "
             "any." },
    { .name = "exclude",
      .domain = BH_DOMAIN_MOUNTS,
      .type = BH_TYPE_PATH,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_EXCLUDE,
      .use = BH_USE_EXCLUDED,
      .doc = "Mount points that this allow does not cover although `mount` matches; another allow may." },
    { .name = "required",
      .domain = BH_DOMAIN_MOUNTS,
      .type = BH_TYPE_PATH,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_REQUIRED,
      .use = BH_USE_REQUIRED,
      .doc = "Mount points, of those that this allow covers, that must be frozen or the whole freeze fails; "
             "what "
             "cannot be frozen of the others is left out." },
    { .name = "program",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_TEXTS,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_PROGRAM,
      .any = true,
      .deny = true,
      .doc = "Which programs, by absolute path: as the client names one, or what that leads to. `any`: every "
             "program. "
             "An allow must say it." },
    { .name = "sha256",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_TEXT,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_SHA256,
      .doc = "The digest that the file of the program must have, in hexadecimal." },
    { .name = "argv0",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_TEXT,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_ARGV0,
      .doc = "What the program is called in its own argument list. Without it: as the rule names it." },
    { .name = "args",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_ARGS,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_ARGS,
      .doc = "What the arguments may be, position by position; several lines go on. Without it: none." },
    { .name = "rest",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_REST,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_REST,
      .doc = "What all arguments behind those may be. Without it: `none`, there are no more." },
    { .name = "env",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_TEXTS,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_ENV,
      .any = true,
      .doc = "Variables that the client may set. Without it: none." },
    { .name = "stdin",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SLOT_STDIN,
      .words = no_yes,
      .doc = "Whether the client may send input." },
    { .name = "search",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SLOT_SEARCH,
      .words = no_yes,
      .doc = "Whether a name without a slash is looked for in PATH." },
    { .name = "user",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_USER,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_RUN_USER,
      .doc = "The account that the program runs as. Required with `sandbox plain` and `none`." },
    { .name = "groups",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_GROUPS,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_RUN_GROUPS,
      .doc = "Supplementary groups, by name or number, instead of the account's own." },
    { .name = "cwd",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_TEXT,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_CWD,
      .doc = "The directory that it starts in. Without it: /." },
    { .name = "sandbox",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_SANDBOX,
      .words = sandboxes,
      .initial = BH_SANDBOX_MINIMAL,
      .doc = "What it can reach." },
    { .name = "socket",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_TEXTS,
      .merge = BH_MERGE_UNITE,
      .slot = BH_SLOT_SOCKET,
      .doc = "Unix sockets that a program in `minimal` or `diag` may connect to." },
    { .name = "net",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_NET,
      .words = none_host,
      .doc = "Whether it has the guest's network." },
    { .name = "timeout",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_DURATION,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_TIMEOUT,
      .most = BH_EXEC_TIMEOUT_MAX_S,
      .initial = 600,
      .doc = "Time after which it is ended, with all that it has started; 0 for never." },
    { .name = "output",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_SIZE,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_OUTPUT,
      .least = 1,
      .most = BH_EXEC_OUTPUT_MAX,
      .initial = BH_EXEC_OUTPUT_MAX,
      .doc = "Bytes of each of its streams that are kept." },
    { .name = "memory",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_SIZE,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_MEMORY,
      .least = 1,
      .most = INT64_MAX,
      .doc = "Memory that it may have, with all that it starts. Without it: no limit." },
    { .name = "pids",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_NUMBER,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_PIDS,
      .most = BH_EXEC_PIDS_MAX,
      .doc = "Processes and threads that it may have at a time; 0 for no limit." },
    { .name = "cpu",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_CPU,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_CPU,
      .least = 1,
      .most = BH_EXEC_CPU_MAX,
      .doc = "CPUs that it may use at a time, or a percentage of one. Without it: no limit." },
    { .name = "rate",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_RATE,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_RATE,
      .least = 1,
      .most = BH_EXEC_RATE_MAX,
      .doc = "How often it may be started in a time." },
    { .name = "concurrent",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_NUMBER,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_CONCURRENT,
      .least = 1,
      .most = BH_EXEC_CONCURRENT_MAX,
      .doc = "How many of the rule may run at a time. Without it: no limit but the channel's." },
    { .name = "audit-output",
      .domain = BH_DOMAIN_EXEC,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_AGREE,
      .slot = BH_SLOT_AUDIT_OUTPUT,
      .words = digest_full,
      .doc = "What of its output is recorded: a digest, or all of it." },
    { .name = "explain-to-client",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_EXPLAIN_TO_CLIENT,
      .words = no_yes,
      .doc = "Whether an error to the client names the rule that decided." },
    { .name = "handle-idle",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_DURATION,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_HANDLE_IDLE_S,
      .most = BH_IDLE_MAX_S,
      .initial = 600,
      .doc = "Time without use after which a file handle is closed; 0 for never." },
    { .name = "audit-failure",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_AUDIT_FAILURE,
      .words = deny_continue,
      .doc = "What becomes of a request that changes the guest while its audit record cannot be queued." },
    { .name = "vsock-peers",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_WORDS,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_VSOCK_PEERS,
      .words = vsock_peers,
      .initial = BH_VSOCK_HOST,
      .doc = "Who may connect to a virtio socket: the `host` (CID 2), `local` processes of this guest (CID "
             "1), or `any`. Several words unite." },
    { .name = "freeze-timeout",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_DURATION,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_FREEZE_TIMEOUT_S,
      .most = BH_FREEZE_TIMEOUT_MAX_S,
      .initial = 600,
      .doc = "Time after which the agent thaws by itself what it froze; 0 for never." },
    { .name = "freeze-expired",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_FREEZE_EXPIRED,
      .words = error_silent,
      .doc = "What a thaw answers that comes after that time: an `error`, so that the host does not take its "
             "copy "
             "for a consistent one, or, `silent`, that nothing was frozen." },
    { .name = "freeze-on-restart",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_FREEZE_ON_RESTART,
      .words = thaw_hold,
      .doc =
          "What becomes of file systems that an agent which ended has left frozen: the next one does `thaw` "
          "them, or `hold` them until a client thaws or their time is up." },
    { .name = "hook-timeout",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_DURATION,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_HOOK_TIMEOUT_S,
      .least = 1,
      .most = BH_HOOK_TIMEOUT_MAX_S,
      .initial = BH_HOOK_TIMEOUT_MS / 1000u,
      .doc = "Time that a freeze hook may take before it is ended and counts as failed." },
    { .name = "nvme-smart",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_NVME_SMART,
      .words = no_yes,
      .doc = "Whether guest-get-disks tells the health logs of NVMe disks. A process that may do anything to "
             "these disks asks for them." },
    { .name = "on-restart",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_WORD,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_ON_RESTART,
      .words = kill_keep,
      .doc = "What becomes of executions when the agent ends: `kill`, or `keep` those of `sandbox plain` and "
             "`none`." },
    { .name = "exec-idle",
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_DURATION,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_EXEC_IDLE_S,
      .most = BH_IDLE_MAX_S,
      .initial = 600,
      .doc = "Time after which the result of an execution that nobody fetches is forgotten; 0 for never." },
    { .name = FENCE_PREFIX,
      .domain = BH_DOMAIN_SET,
      .type = BH_TYPE_FENCE,
      .merge = BH_MERGE_ONCE,
      .slot = BH_SET_FENCES_REQUIRED,
      .words = levels,
      .doc = "One setting per fence. `required`: a process that cannot have it does not start; `preferred`: "
             "it is "
             "reported; `off`: not asked for." },
};

const unsigned bh_n_settings = BH_ARRAY_SIZE(bh_settings);

static uint32_t find_fence(const char *name)
{
    for (uint32_t bit = 1; bh_fence_name(bit); bit <<= 1)
        if (strcmp(bh_fence_name(bit), name) == 0)
            return bit;
    return 0;
}

const struct bh_setting_row *bh_setting_of(enum bh_listed listed)
{
    for (unsigned i = 0; i < bh_n_settings; i++)
        if (bh_settings[i].domain == BH_DOMAIN_NAMES && bh_settings[i].listed == listed)
            return &bh_settings[i];
    return NULL;
}

const struct bh_setting_row *bh_setting_of_rule(const char *name, bool runs)
{
    const struct bh_setting_row *found = NULL;

    for (unsigned i = 0; i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain == BH_DOMAIN_SET || strcmp(row->name, name) != 0)
            continue;
        if (!found || (row->domain == BH_DOMAIN_EXEC) == runs)
            found = row;
    }
    return found;
}

uint64_t bh_setting_initial(const struct bh_setting_row *row, enum bh_sandbox sandbox)
{
    bool open = sandbox == BH_SANDBOX_PLAIN || sandbox == BH_SANDBOX_NONE;

    if (row->domain == BH_DOMAIN_EXEC && row->slot == BH_SLOT_NET)
        return open;
    if (row->domain == BH_DOMAIN_EXEC && row->slot == BH_SLOT_PIDS)
        return open ? 0 : BH_EXEC_PIDS_INITIAL;
    return row->initial;
}

const struct bh_setting_row *bh_setting_find(enum bh_setting_domain domain, const char *name,
                                             uint32_t *ret_fence)
{
    uint32_t fence =
        strncmp(name, FENCE_PREFIX, strlen(FENCE_PREFIX)) == 0 ? find_fence(name + strlen(FENCE_PREFIX)) : 0;

    for (unsigned i = 0; i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain != domain || (row->type == BH_TYPE_FENCE ? !fence : strcmp(row->name, name) != 0))
            continue;
        *ret_fence = fence;
        return row;
    }
    return NULL;
}
