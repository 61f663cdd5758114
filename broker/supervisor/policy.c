/*
 * What governs this run: a shipped profile, a file, or what is left when the file is
 * bad. Fail closed, but not down: a bad policy means the last good one, and where
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
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/compile.h"
#include "broker/places.h"
#include "broker/policyfile.h"
#include "broker/supervisor/narrow.h"
#include "broker/supervisor/supervisor.h"
#include "policy/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

/* A channel's own copy of its slice, narrowed by -a and -b, in sealed memory. 0, -EBADMSG or -errno. */
static int adopt_slice(struct bh_supervisor *s, struct bh_channel_row *channel, const void *slice,
                       size_t size)
{
    struct bh_slice *copy = aligned_alloc(8, size);
    int r;

    if (!copy)
        return -ENOMEM;
    memcpy(copy, slice, size);
    r = bh_policy_open(&channel->policy, copy, size); /* before anything is read from it */
    if (r == 0)
        bh_narrow(copy, s->options.allow_rpcs, s->options.block_rpcs);
    if (r == 0)
        r = channel->slice_fd = bh_memfd_new("bulkhead-policy", copy, size);
    if (r >= 0)
        r = bh_memfd_seal(channel->slice_fd);
    if (r < 0)
        free(copy);
    return r;
}

/* Opens bundle and slices. 0, -EBADMSG or -errno. */
static int adopt(struct bh_supervisor *s, const void *data, size_t size)
{
    const struct bh_bundle *bundle;
    int r = bh_bundle_open(&bundle, data, size);

    if (r < 0)
        return r;
    if (bundle->count == 0 || bundle->count > BH_CHANNELS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < bundle->count; i++) {
        const struct bh_bundle_row *row = &bundle->rows[i];

        s->channels[i] = (struct bh_channel_row){ .row = row, .slice_fd = -1, .listener = -1, .client = -1 };
        r = adopt_slice(s, &s->channels[i], (const char *)data + row->offset, row->size);
        if (r < 0)
            return r;
    }
    s->bundle = bundle;
    s->n_channels = bundle->count;
    return 0;
}

/* A bundle in a file or memfd, mapped for as long as the agent runs. */
static int adopt_fd(struct bh_supervisor *s, int fd)
{
    struct stat st;
    void *data;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (st.st_size <= 0 || st.st_size > (off_t)BH_POLICY_SIZE_MAX)
        return -EBADMSG;
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    return adopt(s, data, (size_t)st.st_size);
}

static void last_good_path(const struct bh_supervisor *s, char ret[600])
{
    (void)snprintf(ret, 600, "%s/policy.last", s->home);
}

/* Keeping it is a convenience for the next start: a failure is said and is no reason to stop. */
static void keep_last_good(const struct bh_supervisor *s)
{
    char path[600], next[608];
    int r, fd;

    last_good_path(s, path);
    (void)snprintf(next, sizeof(next), "%s.new", path);
    fd = open(next, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    r = fd < 0 ? -errno : bh_write_all(fd, s->bundle, s->bundle->size);
    if (fd >= 0)
        (void)close(fd);
    if (r == 0 && rename(next, path) < 0)
        r = -errno;
    if (r < 0)
        bh_log(BH_LOG_WARNING, "the policy in force could not be kept as %s: %s", path, strerror(-r));
}

static int adopt_last_good(struct bh_supervisor *s)
{
    char path[600];
    _cleanup_close_ int fd = -1;
    _cleanup_free_ void *data = NULL;
    ssize_t size;

    last_good_path(s, path);
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    data = aligned_alloc(8, BH_POLICY_SIZE_MAX);
    if (!data)
        return -ENOMEM;
    size = bh_read_file(fd, data, BH_POLICY_SIZE_MAX);
    if (size < 0)
        return (int)size;
    return adopt(s, bh_take_ptr(data), (size_t)size); /* kept: the slices' rows point into it */
}

static void adopt_shipped(struct bh_supervisor *s, const struct bh_profile_text *profile)
{
    if (adopt(s, profile->bundle, profile->bundle_len) < 0)
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
static int adopt_file(struct bh_supervisor *s, const char *path)
{
    struct bh_policy_files files;
    _cleanup_free_ char *diagnostics = NULL;
    _cleanup_close_ int bundle = -1;
    int r = bh_policy_files_load(&files, path, s->policy_message, sizeof(s->policy_message));

    if (r < 0)
        return r;
    r = bh_compile(s->program_dir, files.files, files.count, &bundle, &diagnostics);
    bh_policy_files_free(&files);
    log_lines(diagnostics);
    if (r != 0) {
        (void)snprintf(s->policy_message, sizeof(s->policy_message), "%s is not a valid policy: %.*s", path,
                       diagnostics ? (int)strcspn(diagnostics, "\n") : 0, diagnostics ? diagnostics : "");
        return r < 0 ? r : -EINVAL;
    }
    return adopt_fd(s, bundle);
}

/* `source` is a profile's name or a file, which is named so that a reader of the status finds it from
 * anywhere. */
static void set_state(struct bh_supervisor *s, const char *state, const char *source)
{
    _cleanup_free_ char *path = strchr(source, '/') ? realpath(source, NULL) : NULL;

    (void)snprintf(s->policy_state, sizeof(s->policy_state), "%s", state);
    (void)snprintf(s->policy_source, sizeof(s->policy_source), "%s", path ? path : source);
}

static void fall_back(struct bh_supervisor *s)
{
    bh_log(BH_LOG_ERROR, "%s", s->policy_message);
    if (adopt_last_good(s) == 0) {
        set_state(s, "last-good", "policy.last");
        bh_log(BH_LOG_ERROR, "the last good policy stays in force; mend the file and start again");
        return;
    }
    adopt_shipped(s, bh_profile_find(bh_profiles, bh_n_profiles, "fallback"));
    set_state(s, "none", "fallback");
    bh_log(BH_LOG_ERROR,
           "there is no good policy: only sync, ping, info, freeze status and thaw are answered");
}

void bh_supervisor_load_policy(struct bh_supervisor *s)
{
    const char *wanted = s->options.policy;
    const struct bh_profile_text *profile;

    if (!wanted)
        wanted = access(BH_POLICY_FILE_DEFAULT, F_OK) == 0 ? BH_POLICY_FILE_DEFAULT : BH_PROFILE_DEFAULT;
    profile = strchr(wanted, '/') ? NULL : bh_profile_find(bh_profiles, bh_n_profiles, wanted);
    if (profile) {
        adopt_shipped(s, profile);
        set_state(s, "built-in", wanted);
        return;
    }
    if (adopt_file(s, wanted) < 0) {
        fall_back(s);
        return;
    }
    set_state(s, "loaded", wanted);
    keep_last_good(s);
}
