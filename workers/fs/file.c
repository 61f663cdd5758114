/*
 * The six file commands.
 *
 * A handle keeps the access that it was opened with: the kernel refuses the rest. Reads stream in pieces
 * through one buffer, the last of which goes with the reply; an error after the first byte is a short count,
 * and the error of the next read. Writes go straight to the file, so nothing is ever left to flush.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>

#include "policy/paths.h"
#include "protocol/codes.h"
#include "protocol/handlers-fs.h"
#include "protocol/wire/frame.h"
#include "workers/fs/handle.h"
#include "workers/fs/opener_client.h"
#include "workers/fs/rejudge.h"
#include "workers/fs/stale.h"
#include "workers/lib/worker.h"

/* A reload refuses what was open: the client is told as if it asked for the open now, and the file is closed.
 */
static void refuse(struct bh_call *call, struct bh_handle *handle, struct bh_decision decision)
{
    const struct bh_policy *policy = &call->worker->policy;
    bool denied = decision.verdict == BH_VERDICT_DENIED;
    struct bh_record record = { .handle = handle->number,
                                .of = handle->record,
                                .object = { handle->name, (uint32_t)strlen(handle->name) },
                                .text = BH_STR("open since before a reload, judged again") };
    const char *rule = denied ? bh_policy_string(policy, policy->rules[decision.rule].name) : "";
    bool tell = denied && policy->slice->settings[BH_SET_EXPLAIN_TO_CLIENT];

    record.rule = bh_str_of(rule);
    (void)bh_call_refuse(call, denied ? BH_E_DENIED : BH_E_NO_RULE, &record, "denied by policy%s%s",
                         tell ? ": rule " : "", tell ? rule : "");
    (void)bh_handle_close(call->worker->context, handle, "a reload took its permission away");
}

static struct bh_handle *find_any(struct bh_call *call, int64_t number)
{
    struct bh_handle *handle = bh_handle_find(call->worker->context, number);

    if (!handle)
        (void)bh_fail(call->error, BH_E_BAD_HANDLE, "handle '%" PRId64 "' has not been found", number);
    return handle;
}

/* To be used: it must be what the policy that is in force now would open. */
static struct bh_handle *find(struct bh_call *call, int64_t number)
{
    struct bh_handle *handle = find_any(call, number);
    struct bh_decision decision;

    if (!handle || handle->edition == call->worker->edition)
        return handle;
    decision = bh_rejudge(&call->worker->policy, handle);
    if (decision.verdict != BH_VERDICT_ALLOW) {
        refuse(call, handle, decision);
        return NULL;
    }
    handle->rule = decision.rule;
    handle->edition = call->worker->edition;
    return handle;
}

/* Under the rules of the rule's user: by its opener, or, for a rule without one, here. */
static int open_under(struct bh_open *open, struct bh_opened *ret)
{
    uint32_t rule;
    int r = bh_open_judge_name(open, &rule);

    if (r)
        return r;
    open->user = open->policy->rules[rule].user;
    if (open->user != BH_NO_USER)
        return bh_opener_ask(open, ret);
    if (bh_is_out_of_sight(&open->path))
        return bh_fail(open->error, BH_E_WORKER_UNAVAILABLE,
                       "the policy was reloaded and speaks of other folders now: close the files that are "
                       "open, then this one can be opened");
    return bh_open_file(open, rule, ret);
}

/* Keeps the opened file under a number. NULL: no memory. */
static struct bh_handle *keep(struct bh_worker *worker, const struct bh_open *open,
                              const struct bh_opened *opened)
{
    char *name = strdup(opened->name);
    struct bh_handle *handle;

    if (!name)
        return NULL;
    handle = bh_handle_new(worker->context, opened->fd, opened->rule, opened->record);
    handle->edition = worker->edition;
    handle->name = name;
    handle->verbs = bh_policy_mode_verbs(open->mode);
    handle->uid = open->user == BH_NO_USER ? BH_NO_USER : worker->policy.users[open->user].uid;
    handle->regular = opened->regular;
    return handle;
}

int bh_do_guest_file_open(struct bh_call *call, const struct bh_guest_file_open_args *args,
                          struct bh_guest_file_open_ret *ret)
{
    struct bh_worker *worker = call->worker;
    struct bh_handles *handles = worker->context;
    struct bh_open open = { .policy = &worker->policy,
                            .audit = &worker->audit,
                            .error = call->error,
                            .user = BH_NO_USER,
                            .path = args->path,
                            .mode = args->has_mode ? args->mode : BH_GUEST_FILE_OPEN_ARGS_MODE_DEFAULT,
                            .id = call->id };
    struct bh_opened opened;
    struct bh_handle *handle;
    int r;

    if (handles->n == BH_HANDLES_MAX)
        return bh_fail(call->error, BH_E_LIMIT, "%u files are open, and no more may be", BH_HANDLES_MAX);
    r = open_under(&open, &opened);
    if (r)
        return r;
    handle = keep(worker, &open, &opened);
    if (!handle) {
        (void)close(opened.fd);
        return bh_fail(call->error, BH_E_NO_MEMORY, "there is no memory for another open file");
    }
    ret->value = (int64_t)handle->number;
    return 0;
}

int bh_do_guest_file_close(struct bh_call *call, const struct bh_guest_file_close_args *args)
{
    struct bh_handle *handle = find_any(call, args->handle); /* to give up is always allowed */
    int r;

    if (!handle)
        return call->error->code;
    r = bh_handle_close(call->worker->context, handle, "");
    return r < 0 ? bh_fail_errno(call->error, BH_E_KERNEL, r, "failed to close handle") : 0;
}

/* Reads as much as fits behind the `held` bytes that are not sent yet. The bytes read, 0 at the end of the
 * file, or -errno. */
static ssize_t read_on(struct bh_call *call, struct bh_handle *handle, size_t held, int64_t most)
{
    size_t room = BH_FRAME_PAYLOAD_MAX - held;
    ssize_t n;

    do
        n = read(handle->fd, call->room + held, most < (int64_t)room ? (size_t)most : room);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    handle->bytes_read += (uint64_t)n;
    if (call->room_used < held + (size_t)n)
        call->room_used = held + (size_t)n;
    return n;
}

int bh_do_guest_file_read(struct bh_call *call, const struct bh_guest_file_read_args *args,
                          struct bh_guest_file_read *ret)
{
    int64_t left = args->has_count ? args->count : BH_GUEST_FILE_READ_ARGS_COUNT_DEFAULT;
    struct bh_handle *handle = find(call, args->handle);
    size_t held = 0;
    ssize_t n = 1;

    if (!handle)
        return call->error->code;
    if (handle->error) {
        n = -handle->error;
        handle->error = 0;
    }
    while (left > 0 && n > 0) {
        if (held == BH_FRAME_PAYLOAD_MAX) {
            (void)bh_call_stream(call, call->room, held); /* if the front is gone, the reply fails too */
            held = 0;
        }
        n = read_on(call, handle, held, left);
        if (n > 0) {
            held += (size_t)n;
            left -= n;
            ret->count += n;
        }
    }
    bh_call_last(call, call->room, held);
    if (n < 0 && ret->count == 0)
        return bh_fail_errno(call->error, BH_E_KERNEL, (int)n, "failed to read file");
    if (n < 0 && n != -EAGAIN) /* nothing there now says nothing about the next read */
        handle->error = (int)-n;
    ret->eof = n == 0;
    return 0;
}

/* 0, or BH_E_LIMIT: the rule bounds the file's size, and the write would pass it. */
static int check_size(struct bh_call *call, const struct bh_handle *handle, uint64_t len)
{
    const struct bh_policy *policy = &call->worker->policy;
    const struct bh_rule *rule = &policy->rules[handle->rule];
    struct bh_record record = { .handle = handle->number, .of = handle->record };
    struct stat st;
    off_t at;

    if (rule->max_size == 0 || len == 0 || fstat(handle->fd, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    at = fcntl(handle->fd, F_GETFL) & O_APPEND ? st.st_size : lseek(handle->fd, 0, SEEK_CUR);
    if (at >= 0 && (uint64_t)at <= rule->max_size && len <= rule->max_size - (uint64_t)at)
        return 0;
    record.rule.ptr = bh_policy_string(policy, rule->name);
    record.rule.len = (uint32_t)strlen(record.rule.ptr);
    return bh_call_refuse(call, BH_E_LIMIT, &record, "denied by policy: the file may have %" PRIu64 " bytes",
                          rule->max_size);
}

static int write_bytes(struct bh_handle *handle, const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(handle->fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        handle->bytes_written += (uint64_t)n;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int bh_do_guest_file_write(struct bh_call *call, const struct bh_guest_file_write_args *args,
                           struct bh_guest_file_write *ret)
{
    struct bh_handle *handle = find(call, args->handle);
    int64_t count = args->has_count ? args->count : (int64_t)call->stage.len;
    int r;

    if (!handle)
        return call->error->code;
    if (count < 0 || count > (int64_t)call->stage.len)
        return bh_fail(call->error, BH_E_ARG_RANGE, "value '%" PRId64 "' is invalid for argument count",
                       count);
    r = check_size(call, handle, (uint64_t)count);
    if (r)
        return r;
    r = write_bytes(handle, call->stage.ptr, (size_t)count);
    if (r < 0)
        return bh_fail_errno(call->error, BH_E_KERNEL, r, "failed to write to file");
    ret->count = count;
    return 0;
}

int bh_do_guest_file_seek(struct bh_call *call, const struct bh_guest_file_seek_args *args,
                          struct bh_guest_file_seek *ret)
{
    static const int whences[BH_GUEST_FILE_WHENCE_COUNT] = { SEEK_SET, SEEK_CUR, SEEK_END };
    struct bh_handle *handle = find(call, args->handle);
    off_t at;

    if (!handle)
        return call->error->code;
    at = lseek(handle->fd, args->offset, whences[args->whence]);
    if (at < 0)
        return bh_fail_errno(call->error, BH_E_KERNEL, errno, "failed to seek file");
    handle->error = 0;
    ret->position = at;
    return 0;
}

int bh_do_guest_file_flush(struct bh_call *call, const struct bh_guest_file_flush_args *args)
{
    return find(call, args->handle) ? 0 : call->error->code;
}
