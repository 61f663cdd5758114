/*
 * The open of open.h.
 *
 * Invariants: an object is opened for use only after it was judged, through the descriptor that was judged;
 * nothing is cut by O_TRUNC, which would act before; a new file is made in the folder that was judged, under
 * a name that did not exist, never through a link. The ACT record is queued before the first effect.
 */
#include "workers/fs/open.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/paths.h"
#include "protocol/base/mem.h"
#include "protocol/codes.h"
#include "protocol/types.h"
#include "workers/fs/resolve.h"

#define ALWAYS (O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define MAY_CHANGE (BH_VERB_ALL & ~BH_VERB_READ)

/* What one attempt knows. */
struct attempt {
    struct bh_open *open;
    uint32_t verbs;
    uint32_t rule;             /* that decided last */
    enum bh_symlinks symlinks; /* how the path was resolved */
    struct bh_object object;
    uint64_t act;
};

static int open_flags(uint8_t mode)
{
    uint32_t verbs = bh_policy_mode_verbs(mode);
    bool writes = verbs & MAY_CHANGE;
    int access = writes ? (verbs & BH_VERB_READ ? O_RDWR : O_WRONLY) : O_RDONLY;

    return access | ALWAYS | (verbs & BH_VERB_APPEND ? O_APPEND : 0);
}

static struct bh_record record_of(const struct bh_open *open, uint16_t kind, uint32_t rule)
{
    const struct bh_policy *policy = open->policy;
    struct bh_record record = {
        .kind = kind, .command = BH_CMD_GUEST_FILE_OPEN, .request = open->id, .object = open->path
    };

    if (rule != BH_NO_RULE)
        record.rule = bh_str_of(bh_policy_string(policy, policy->rules[rule].name));
    if (open->user != BH_NO_USER)
        record.user = bh_str_of(bh_policy_string(policy, policy->users[open->user].name));
    return record;
}

/* A client chooses these bytes and is refused: they do not get to fill the log. */
static struct bh_str beginning_of(struct bh_str path)
{
    if (path.len > BH_REFUSED_PATH_MAX)
        path.len = BH_REFUSED_PATH_MAX;
    return path;
}

/* Records the refusal and tells the client as much as the policy lets it know. */
static int refuse(struct bh_open *open, uint16_t code, uint32_t rule, const char *object, const char *why)
{
    struct bh_record record = record_of(open, BH_RECORD_REFUSED, rule);
    uint64_t number = 0;

    record.code = code;
    record.text = bh_str_of(why);
    record.object = beginning_of(object ? bh_str_of(object) : record.object);
    (void)bh_audit_send(open->audit, &record, &number);
    bh_audit_pace(open->audit);
    open->audit->state->denials++;
    if (code == BH_E_NOT_GRANTED)
        (void)bh_fail(open->error, code, "Command guest-file-open has been disabled");
    else if (rule != BH_NO_RULE && open->policy->slice->settings[BH_SET_EXPLAIN_TO_CLIENT])
        (void)bh_fail(open->error, code, "denied by policy: rule %s",
                      bh_policy_string(open->policy, open->policy->rules[rule].name));
    else
        (void)bh_fail(open->error, code, "denied by policy");
    open->error->record = number;
    return code;
}

int bh_open_failed(struct bh_open *open, uint32_t rule, uint64_t act, int err)
{
    const struct bh_field *mode = &bh_commands[BH_CMD_GUEST_FILE_OPEN].args->fields[1];
    struct bh_record record = record_of(open, BH_RECORD_RESULT, rule);
    uint64_t number = 0;

    record.of = act;
    record.code = BH_E_KERNEL;
    record.error = err < 0 ? -err : err;
    (void)bh_audit_send(open->audit, &record, &number);
    open->audit->state->failures++;
    (void)bh_fail_errno(open->error, BH_E_KERNEL, err, "failed to open file '%.800s' (mode: '%s')",
                        open->path.ptr, mode->of.enumeration->values[open->mode]);
    open->error->record = number;
    return BH_E_KERNEL;
}

int bh_open_judge_name(struct bh_open *open, uint32_t *ret_rule)
{
    struct bh_file_object file = { .path = open->path,
                                   .verbs = bh_policy_mode_verbs(open->mode),
                                   .user = open->user };
    struct bh_decision decision = bh_policy_file(open->policy, &file, NULL);

    if (decision.verdict != BH_VERDICT_ALLOW)
        return refuse(open, bh_verdict_code(decision.verdict), decision.rule, NULL, "judged by its name");
    *ret_rule = decision.rule;
    return 0;
}

/* Judges attempt->object, which is open or, for a new file, about to be made. */
static int judge_object(struct attempt *attempt)
{
    struct bh_open *open = attempt->open;
    struct bh_file_object file = { .path = bh_str_of(attempt->object.name),
                                   .verbs = attempt->verbs,
                                   .found = true,
                                   .regular = attempt->object.regular,
                                   .user = open->user };
    struct bh_decision decision = bh_policy_file(open->policy, &file, NULL);

    if (decision.verdict != BH_VERDICT_ALLOW)
        return refuse(open, bh_verdict_code(decision.verdict), decision.rule, attempt->object.name,
                      "judged as the object found");
    attempt->rule = decision.rule;
    if (open->policy->rules[decision.rule].symlinks < (uint8_t)attempt->symlinks)
        return refuse(open, BH_E_NO_RULE, decision.rule, attempt->object.name,
                      "reached by a link that this rule refuses");
    return 0;
}

static int record_act(struct attempt *attempt)
{
    struct bh_open *open = attempt->open;
    struct bh_record record = record_of(open, BH_RECORD_ACT, attempt->rule);

    record.object = bh_str_of(attempt->object.name);
    if (bh_audit_send(open->audit, &record, &attempt->act) == 0 || !(attempt->verbs & MAY_CHANGE) ||
        open->policy->slice->settings[BH_SET_AUDIT_FAILURE])
        return 0;
    open->audit->state->denials++;
    return bh_fail(open->error, BH_E_AUDIT_FULL, "not done: it cannot be recorded, the audit queue is full");
}

/* Closes the record of an open that may have changed something. */
static void record_success(const struct attempt *attempt)
{
    struct bh_record record = record_of(attempt->open, BH_RECORD_RESULT, attempt->rule);

    record.of = attempt->act;
    record.object = bh_str_of(attempt->object.name);
    if (attempt->verbs & MAY_CHANGE)
        (void)bh_audit_send(attempt->open->audit, &record, NULL);
}

static int open_existing(struct attempt *attempt, int found, int *ret_fd)
{
    struct bh_open *open = attempt->open;
    _cleanup_close_ int fd = -1;
    char link[64];
    int r = bh_object_of(found, &attempt->object);

    if (r < 0)
        return bh_open_failed(open, attempt->rule, 0, r);
    r = judge_object(attempt);
    if (r == 0)
        r = record_act(attempt);
    if (r)
        return r;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", found);
    fd = openat(AT_FDCWD, link, open_flags(open->mode));
    if (fd < 0)
        return bh_open_failed(open, attempt->rule, attempt->act, errno);
    if ((attempt->verbs & BH_VERB_TRUNCATE) && S_ISREG(attempt->object.st.st_mode) && ftruncate(fd, 0) < 0)
        return bh_open_failed(open, attempt->rule, attempt->act, errno);
    *ret_fd = bh_take_fd(&fd);
    return 0;
}

/* Splits a path into the folder, as a new string in `folder`, and the name in it. */
static const char *split(const struct bh_str *path, char folder[PATH_MAX])
{
    const char *slash = strrchr(path->ptr, '/');
    size_t len = slash ? (size_t)(slash - path->ptr) : 0;

    if (len >= PATH_MAX)
        return NULL;
    if (len == 0) {
        strcpy(folder, slash ? "/" : ".");
        return slash ? slash + 1 : path->ptr;
    }
    memcpy(folder, path->ptr, len);
    folder[len] = '\0';
    return slash + 1;
}

/* The name that the new file will have. */
static int name_object(struct attempt *attempt, int folder, const char *name)
{
    char *at = attempt->object.name;
    int r = bh_object_of(folder, &attempt->object);
    size_t used;

    if (r < 0)
        return r;
    used = strlen(at);
    if (used == 1)
        used = 0; /* "/" */
    if (used + 1 + strlen(name) >= sizeof(attempt->object.name))
        return -ENAMETOOLONG;
    at[used] = '/';
    strcpy(at + used + 1, name);
    attempt->object.regular = true;
    return 0;
}

/* 0 with *ret_fd = -EEXIST: somebody was faster, or a dangling link stands there. */
static int create(struct attempt *attempt, int *ret_fd)
{
    struct bh_open *open = attempt->open;
    char folder[PATH_MAX];
    const char *name = split(&open->path, folder);
    _cleanup_close_ int dir = name ? bh_resolve(folder, attempt->symlinks) : -ENAMETOOLONG;
    int r;

    if (dir < 0)
        return bh_open_failed(open, attempt->rule, 0, dir);
    if (*name == '\0')
        return bh_open_failed(open, attempt->rule, 0, open->path.len ? EISDIR : ENOENT);
    r = name_object(attempt, dir, name);
    if (r < 0)
        return bh_open_failed(open, attempt->rule, 0, r);
    r = judge_object(attempt);
    if (r == 0)
        r = record_act(attempt);
    if (r)
        return r;
    *ret_fd = bh_openat_resolve(dir, name, open_flags(open->mode) | O_CREAT | O_EXCL | O_NOFOLLOW,
                                open->policy->rules[attempt->rule].create_mode,
                                RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
    if (*ret_fd < 0 && *ret_fd != -EEXIST)
        return bh_open_failed(open, attempt->rule, attempt->act, *ret_fd);
    return 0;
}

static bool goes_up(const char *path)
{
    while (*path) {
        size_t len = strcspn(path, "/");

        if (len == 2 && memcmp(path, "..", 2) == 0)
            return true;
        path += len + (path[len] == '/');
    }
    return false;
}

/* The path leads to nothing: makes it, if the mode does; what appeared meanwhile is opened as it is. */
static int open_missing(struct attempt *attempt, int *ret_fd)
{
    struct bh_open *open = attempt->open;
    _cleanup_close_ int found = -1;
    int r;

    if (!(attempt->verbs & BH_VERB_CREATE))
        return bh_open_failed(open, attempt->rule, 0, ENOENT);
    r = create(attempt, ret_fd);
    if (r || *ret_fd >= 0)
        return r;
    found = bh_resolve(open->path.ptr, attempt->symlinks);
    if (found < 0)
        return bh_open_failed(open, attempt->rule, attempt->act, found);
    return open_existing(attempt, found, ret_fd);
}

int bh_open_file(struct bh_open *open, uint32_t rule, struct bh_opened *ret)
{
    struct attempt attempt = { .open = open,
                               .verbs = bh_policy_mode_verbs(open->mode),
                               .rule = rule,
                               .symlinks = open->policy->rules[rule].symlinks };
    _cleanup_close_ int found = -1;
    int fd = -1, r;

    if (attempt.symlinks != BH_SYMLINKS_FOLLOW && goes_up(open->path.ptr))
        return refuse(open, BH_E_NO_RULE, rule, NULL, "the path goes up, and the rule does not follow links");
    found = bh_resolve(open->path.ptr, attempt.symlinks);
    if (found >= 0)
        r = open_existing(&attempt, found, &fd);
    else if (found == -ENOENT)
        r = open_missing(&attempt, &fd);
    else if (found == -ELOOP && attempt.symlinks != BH_SYMLINKS_FOLLOW)
        r = refuse(open, BH_E_NO_RULE, rule, NULL, "a link in the path that the rule does not follow");
    else
        r = bh_open_failed(open, rule, 0, found);
    if (r)
        return r;
    record_success(&attempt);
    ret->fd = fd;
    ret->rule = attempt.rule;
    ret->record = attempt.act;
    ret->regular = attempt.object.regular;
    strcpy(ret->name, attempt.object.name);
    return 0;
}
