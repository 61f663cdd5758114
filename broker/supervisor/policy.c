/*
 * What is to govern: a shipped profile, a file, or what is left when the file is bad. It
 * is loaded beside what governs already, so that a reload (reload.c) disturbs nothing until
 * it is known to be good.
 *
 * At the start: Fail closed, but not down: a bad policy means the last good one, and where
 * there is none, the built-in profile `fallback`, which answers and, of all acts, allows the thaw.
 *
 * The last good bundle is kept as policy.last in the state folder; it is a cache of our
 * own compiler's output and is verified like any other bytes before use.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "broker/compile.h"
#include "broker/places.h"
#include "broker/policyfile.h"
#include "broker/supervisor/narrow.h"
#include "broker/supervisor/supervisor.h"
#include "policy/eval.h"
#include "policy/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

/* Root's own channel, where the policy has no channel lines: main's rules, under this name. The same row as
 * `channel local` makes: between such policies it stays what it is. */
static const struct bh_bundle_row local_row = { .name = BH_CHANNEL_LOCAL };

/* A channel's own copy of its slice, narrowed by -a and -b, in sealed memory. 0, -EBADMSG or -errno. */
static int adopt_slice(const struct bh_supervisor *s, struct bh_epoch_row *row, const void *slice,
                       size_t size)
{
    struct bh_slice *copy = aligned_alloc(8, (size + 7) / 8 * 8);
    int r;

    if (!copy)
        return -ENOMEM;
    memcpy(copy, slice, size);
    r = bh_policy_open(&row->policy, copy, size); /* before anything is read from it */
    if (r < 0) {
        free(copy);
        row->policy = (struct bh_policy){ 0 };
        return r;
    }
    (void)snprintf(copy->channel, sizeof(copy->channel), "%s", row->row->name);
    bh_narrow(copy, s->options.allow_rpcs, s->options.block_rpcs);
    row->slice_fd = bh_memfd_new("bulkhead-policy", copy, size);
    return row->slice_fd < 0 ? row->slice_fd : bh_memfd_seal(row->slice_fd);
}

/* `row` with the slice of `from`. */
static int add_row(const struct bh_supervisor *s, struct bh_epoch *epoch, const struct bh_bundle_row *row,
                   const struct bh_bundle_row *from)
{
    struct bh_epoch_row *ret = &epoch->rows[epoch->n++];

    *ret = (struct bh_epoch_row){ .row = malloc(sizeof(*row)), .slice_fd = -1 };
    if (!ret->row)
        return -ENOMEM;
    *ret->row = *row;
    return adopt_slice(s, ret, (const char *)epoch->bundle + from->offset, from->size);
}

/* Opens bundle and slices; the bytes are copied. 0, -EBADMSG or -errno. */
static int adopt(const struct bh_supervisor *s, struct bh_epoch *epoch, const void *data, size_t size)
{
    const struct bh_bundle *bundle;
    int r;

    epoch->bundle = aligned_alloc(8, (size + 7) / 8 * 8);
    if (!epoch->bundle)
        return -ENOMEM;
    memcpy(epoch->bundle, data, size);
    epoch->size = size;
    r = bh_bundle_open(&bundle, epoch->bundle, size);
    if (r < 0)
        return r;
    if (bundle->count == 0 || bundle->count > BH_CHANNELS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < bundle->count && r == 0; i++)
        r = add_row(s, epoch, &bundle->rows[i], &bundle->rows[i]);
    if (r == 0 && bh_bundle_governs_local(bundle))
        r = add_row(s, epoch, &local_row, &bundle->rows[0]);
    return r;
}

/* A bundle in a file or memfd. */
static int adopt_fd(const struct bh_supervisor *s, struct bh_epoch *epoch, int fd)
{
    _cleanup_free_ void *data = aligned_alloc(8, BH_POLICY_SIZE_MAX);
    ssize_t size = data ? bh_read_file(fd, data, BH_POLICY_SIZE_MAX) : -ENOMEM;

    return size < 0 ? (int)size : adopt(s, epoch, data, (size_t)size);
}

void bh_epoch_free(struct bh_epoch *epoch)
{
    for (unsigned i = 0; i < epoch->n; i++) {
        free(epoch->rows[i].row);
        free((void *)(uintptr_t)epoch->rows[i].policy.slice);
        bh_close_p(&epoch->rows[i].slice_fd);
    }
    free(epoch->bundle);
    epoch->bundle = NULL;
    epoch->n = 0;
}

void bh_channel_forget(struct bh_channel_row *channel)
{
    free(channel->row);
    free((void *)(uintptr_t)channel->policy.slice);
    bh_close_p(&channel->slice_fd);
    channel->slice_fd = -1;
    channel->row = NULL;
    channel->policy = (struct bh_policy){ 0 };
}

void bh_epoch_install(struct bh_supervisor *s, struct bh_epoch *epoch, unsigned from,
                      struct bh_channel_row *channel)
{
    struct bh_epoch_row *row = &epoch->rows[from];

    bh_channel_forget(channel);
    channel->row = row->row;
    channel->policy = row->policy;
    channel->slice_fd = row->slice_fd;
    channel->edition = ++s->editions;
    *row = (struct bh_epoch_row){ .slice_fd = -1 };
}

const struct bh_policy *bh_any_policy(const struct bh_supervisor *s)
{
    for (unsigned i = 0; i < s->n_channels; i++)
        if (s->channels[i].row)
            return &s->channels[i].policy;
    bh_die(1, "defect: no channel has a policy");
}

static void last_good_path(const struct bh_supervisor *s, char ret[600])
{
    (void)snprintf(ret, 600, "%s/policy.last", s->home);
}

/* Keeping it is a convenience for the next start: a failure is said and is no reason to stop. */
static void keep_last_good(const struct bh_supervisor *s, const struct bh_epoch *epoch)
{
    char path[600], next[608];
    int r, fd;

    last_good_path(s, path);
    (void)snprintf(next, sizeof(next), "%s.new", path);
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : bh_write_all(fd, epoch->bundle, epoch->size);
    if (fd >= 0)
        (void)close(fd);
    if (r == 0 && rename(next, path) < 0)
        r = -errno;
    if (r < 0)
        bh_log(BH_LOG_WARNING, "the policy in force could not be kept as %s: %s", path, strerror(-r));
}

void bh_epoch_settle(struct bh_supervisor *s, const struct bh_epoch *epoch)
{
    time_t now = time(NULL);
    struct tm tm;

    memcpy(s->policy_source, epoch->source, sizeof(s->policy_source));
    memcpy(s->policy_state, epoch->state, sizeof(s->policy_state));
    memcpy(s->policy_message, epoch->message, sizeof(s->policy_message));
    if (gmtime_r(&now, &tm))
        (void)strftime(s->loaded, sizeof(s->loaded), "%Y-%m-%dT%H:%M:%SZ", &tm);
    if (epoch->keep && bh_may_write(s, s->home))
        keep_last_good(s, epoch);
}

static int adopt_last_good(const struct bh_supervisor *s, struct bh_epoch *epoch)
{
    char path[600];
    _cleanup_close_ int fd = -1;

    last_good_path(s, path);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : adopt_fd(s, epoch, fd);
}

static void adopt_shipped(const struct bh_supervisor *s, struct bh_epoch *epoch,
                          const struct bh_profile_text *profile)
{
    if (adopt(s, epoch, profile->bundle, profile->bundle_len) < 0)
        bh_die(1, "the built-in policy %s does not belong to this build; install Bulkhead again",
               profile->name);
}

static void log_lines(const char *text)
{
    while (text && *text) {
        size_t len = strcspn(text, "\n");

        if (len)
            bh_log(BH_LOG_WARNING, "policy: %.*s", (int)len, text);
        text += len + (text[len] == '\n');
    }
}

/* Compiles the file and its drop-ins. 0, or -errno with the message set. */
static int adopt_file(const struct bh_supervisor *s, struct bh_epoch *epoch, const char *path)
{
    struct bh_policy_files files;
    _cleanup_free_ char *diagnostics = NULL;
    _cleanup_close_ int bundle = -1;
    int r = bh_policy_files_load(&files, path, epoch->message, sizeof(epoch->message));

    if (r < 0)
        return r;
    r = bh_compile(s->program_dir, files.files, files.count, &bundle, &diagnostics);
    bh_policy_files_free(&files);
    log_lines(diagnostics);
    if (r != 0) {
        (void)snprintf(epoch->message, sizeof(epoch->message), "%s is not a valid policy: %.*s", path,
                       diagnostics ? (int)strcspn(diagnostics, "\n") : 0, diagnostics ? diagnostics : "");
        return r < 0 ? r : -EINVAL;
    }
    r = adopt_fd(s, epoch, bundle);
    if (r < 0)
        (void)snprintf(epoch->message, sizeof(epoch->message), "the policy %s cannot be adopted: %s", path,
                       strerror(-r));
    return r;
}

/* `source` is a profile's name or a file, which is named so that a reader of the status finds it from
 * anywhere. */
static void set_state(struct bh_epoch *epoch, const char *state, const char *source)
{
    _cleanup_free_ char *path = strchr(source, '/') ? realpath(source, NULL) : NULL;

    (void)snprintf(epoch->state, sizeof(epoch->state), "%s", state);
    (void)snprintf(epoch->source, sizeof(epoch->source), "%s", path ? path : source);
}

static void fall_back(const struct bh_supervisor *s, struct bh_epoch *epoch)
{
    bh_log(BH_LOG_ERROR, "%s", epoch->message);
    if (adopt_last_good(s, epoch) == 0) {
        set_state(epoch, "last-good", "policy.last");
        bh_log(BH_LOG_ERROR, "the last good policy stays in force; mend the file and reload");
        return;
    }
    bh_epoch_free(epoch);
    adopt_shipped(s, epoch, bh_profile_find(bh_profiles, bh_n_profiles, "fallback"));
    set_state(epoch, "none", "fallback");
    bh_log(BH_LOG_ERROR,
           "there is no good policy: only sync, ping, info, freeze status and thaw are answered");
}

/* Capabilities that were given up for all children cannot be had back. */
static int check_power(const struct bh_supervisor *s, struct bh_epoch *epoch)
{
    for (unsigned i = 0; s->bounded && i < epoch->n; i++) {
        if (!bh_policy_runs_as_anybody(&epoch->rows[i].policy))
            continue;
        (void)snprintf(epoch->message, sizeof(epoch->message),
                       "it has the first rules with `sandbox plain` or `none`, and the agent has given up "
                       "what they need: "
                       "restart it");
        return -EPERM;
    }
    return 0;
}

static int load(const struct bh_supervisor *s, struct bh_epoch *ret)
{
    const char *wanted = s->options.policy;
    const struct bh_profile_text *profile;
    int r;

    *ret = (struct bh_epoch){ 0 };
    if (!wanted)
        wanted = access(BH_POLICY_FILE_DEFAULT, F_OK) == 0 ? BH_POLICY_FILE_DEFAULT : BH_PROFILE_DEFAULT;
    profile = strchr(wanted, '/') ? NULL : bh_profile_find(bh_profiles, bh_n_profiles, wanted);
    if (profile) {
        adopt_shipped(s, ret, profile);
        set_state(ret, "built-in", wanted);
        return 0;
    }
    r = adopt_file(s, ret, wanted);
    if (r < 0) {
        bh_epoch_free(ret);
        return r;
    }
    set_state(ret, "loaded", wanted);
    ret->keep = true;
    return 0;
}

int bh_epoch_load(const struct bh_supervisor *s, struct bh_epoch *ret)
{
    int r = load(s, ret);

    return r < 0 ? r : check_power(s, ret);
}

void bh_supervisor_load_policy(struct bh_supervisor *s)
{
    static struct bh_epoch epoch;

    for (size_t i = 0; i < BH_ARRAY_SIZE(s->channels); i++)
        s->channels[i] = (struct bh_channel_row){ .slice_fd = -1, .fd = -1, .client = -1 };
    if (bh_epoch_load(s, &epoch) < 0)
        fall_back(s, &epoch);
    for (unsigned i = 0; i < epoch.n; i++)
        bh_epoch_install(s, &epoch, i, &s->channels[i]);
    s->n_channels = epoch.n;
    bh_epoch_settle(s, &epoch);
    bh_epoch_free(&epoch);
}
