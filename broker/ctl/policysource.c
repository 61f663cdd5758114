/* Finding, compiling and opening the policies of policysource.h. */
#include "broker/ctl/policysource.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/compile.h"
#include "broker/ctl/statusfile.h"
#include "broker/places.h"
#include "broker/policyfile.h"
#include "broker/programdir.h"
#include "policy/profiles.h"
#include "protocol/base/mem.h"
#include "protocol/base/sha256.h"

static int open_shipped(struct ctl_policy_source *source, const struct bh_profile_text *profile)
{
    if (bh_bundle_open(&source->bundle, profile->bundle, profile->bundle_len) < 0)
        return ctl_fail(CTL_FAILED,
                        "the shipped policy %s does not belong to this build; install Bulkhead again",
                        profile->name);
    return CTL_OK;
}

static int map_bundle(struct ctl_policy_source *source, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return ctl_fail(CTL_FAILED, "the compiled policy cannot be read: %s", strerror(errno));
    source->size = (size_t)st.st_size;
    source->map = mmap(NULL, source->size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (source->map == MAP_FAILED) {
        source->map = NULL;
        return ctl_fail(CTL_FAILED, "the compiled policy cannot be mapped: %s", strerror(errno));
    }
    if (bh_bundle_open(&source->bundle, source->map, source->size) < 0)
        return ctl_fail(CTL_FAILED,
                        "the compiler made a policy that this program cannot read; are both of one build?");
    return CTL_OK;
}

static int compile(struct ctl_policy_source *source, const struct bh_policy_files *files)
{
    _cleanup_close_ int bundle = -1;
    char dir[512];
    int r = bh_program_dir(dir, sizeof(dir));

    if (r == 0)
        r = bh_compile(dir, files->files, files->count, &bundle, &source->findings);
    if (r == 0)
        return map_bundle(source, bundle);
    if (r == -ENOENT)
        return ctl_fail(CTL_FAILED, "bulkhead-policyc is missing: it belongs beside bulkheadctl");
    if (r < 0)
        return ctl_fail(CTL_FAILED, "the policy compiler failed: %s", strerror(-r));
    return CTL_FAILED; /* the findings say it */
}

static int open_files(struct ctl_policy_source *source, int n, char **names)
{
    struct bh_policy_files files;
    char why[512];
    int r = bh_policy_files_load(&files, names[0], why, sizeof(why)), status;

    for (int i = 1; i < n && r == 0; i++) {
        r = bh_policy_files_add(&files, names[i], true, why, sizeof(why));
        if (r < 0)
            bh_policy_files_free(&files);
    }
    if (r < 0 && n == 1 && !strchr(names[0], '/') && access(names[0], F_OK) < 0)
        return ctl_fail(CTL_FAILED, "%s is neither a shipped profile nor a file in this folder", names[0]);
    if (r < 0)
        return ctl_fail(CTL_FAILED, "%s", why);
    status = compile(source, &files);
    bh_policy_files_free(&files);
    return status;
}

int ctl_policy_open(struct ctl_policy_source *source, int n, char **names)
{
    static char file[] = BH_POLICY_FILE_DEFAULT, profile[] = BH_PROFILE_DEFAULT;
    char *otherwise[] = { access(file, F_OK) == 0 ? file : profile };
    const struct bh_profile_text *found;

    *source = (struct ctl_policy_source){ 0 };
    if (n == 0) {
        names = otherwise;
        n = 1;
    }
    source->name = names[0];
    found = n == 1 ? bh_profile_find(bh_profiles, bh_n_profiles, names[0]) : NULL;
    return found ? open_shipped(source, found) : open_files(source, n, names);
}

int ctl_policy_open_text(struct ctl_policy_source *source, const char *name, const char *text, size_t len)
{
    struct bh_policy_files files = { .count = 1 };

    *source = (struct ctl_policy_source){ .name = name };
    files.files[0] =
        (struct bh_pack_file){ .name = { name, (uint32_t)strlen(name) }, .text = { text, (uint32_t)len } };
    return compile(source, &files);
}

static bool has_digest(const struct ctl_policy_source *source, const char *hex)
{
    const struct bh_slice *slice =
        (const void *)((const char *)source->bundle + source->bundle->rows[0].offset);
    char own[BH_SHA256_TEXT];

    bh_sha256_text(slice->digest, own);
    return strcmp(own, hex) == 0;
}

/* The bundle that the agent keeps of the policy in force. */
static int open_kept(struct ctl_policy_source *source, const struct ctl *ctl, const char *digest)
{
    _cleanup_free_ char *path = NULL;
    _cleanup_close_ int fd = -1;
    struct bh_policy policy;

    if (asprintf(&path, "%s/bulkhead/policy.last", ctl->state_dir) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return ctl_fail(CTL_FAILED, "the policy in force, %s, cannot be opened: %s%s", path, strerror(errno),
                        errno == EACCES ? "; try as root" : "");
    if (map_bundle(source, fd) != CTL_OK || ctl_policy_slice(source, 0, &policy) != CTL_OK)
        return CTL_FAILED;
    return has_digest(source, digest)
               ? CTL_OK
               : ctl_fail(CTL_FAILED, "%s is not the policy that the agent's status names; name the file",
                          path);
}

int ctl_policy_open_running(struct ctl_policy_source *source, const struct ctl *ctl)
{
    _cleanup_free_ char *state = ctl_status_policy(ctl, "state"), *name = ctl_status_policy(ctl, "source"),
                        *digest = ctl_status_policy(ctl, "digest");
    const struct bh_profile_text *shipped;

    *source = (struct ctl_policy_source){ .name = "the running policy" };
    if (!state || !name || !digest)
        return ctl_fail(
            CTL_NO_AGENT,
            "%s/bulkhead/status.json does not say which policy is in force; is the agent running? "
            "Name its -t folder with --state-dir",
            ctl->state_dir);
    shipped = strchr(name, '/') ? NULL : bh_profile_find(bh_profiles, bh_n_profiles, name);
    return shipped && strcmp(state, "last-good") != 0 ? open_shipped(source, shipped)
                                                      : open_kept(source, ctl, digest);
}

void ctl_policy_close(struct ctl_policy_source *source)
{
    if (source->map)
        (void)munmap(source->map, source->size);
    free(source->findings);
    free(source->local);
}

void ctl_policy_findings(const struct ctl_policy_source *source, FILE *out)
{
    const char *text = source->findings;

    while (text && *text) {
        size_t len = strcspn(text, "\n");
        _cleanup_free_ char *line = strndup(text, len);

        if (line)
            ctl_print_clean(out, line);
        fputc('\n', out);
        text += len + (text[len] == '\n');
    }
}

int ctl_policy_slice(const struct ctl_policy_source *source, uint32_t index, struct bh_policy *ret)
{
    const struct bh_bundle_row *row = &source->bundle->rows[index];

    if (bh_policy_open(ret, (const char *)source->bundle + row->offset, row->size) < 0)
        return ctl_fail(CTL_FAILED,
                        "the compiler made a policy that this program cannot read; are both of one build?");
    return CTL_OK;
}

/* Main's slice, as the agent opens it a second time for root. */
static int open_local(struct ctl_policy_source *source, struct bh_policy *ret)
{
    const struct bh_bundle_row *row = &source->bundle->rows[0];
    struct bh_policy main_policy;
    struct bh_slice *copy;
    int status = ctl_policy_slice(source, 0, &main_policy);

    if (status != CTL_OK)
        return status;
    copy = aligned_alloc(8, row->size);
    if (!copy)
        return ctl_fail(CTL_FAILED, "out of memory");
    memcpy(copy, main_policy.slice, row->size);
    memset(copy->channel, 0, sizeof(copy->channel));
    memcpy(copy->channel, "local", sizeof("local"));
    free(source->local);
    source->local = copy;
    if (bh_policy_open(ret, copy, row->size) < 0)
        return ctl_fail(CTL_FAILED, "the policy cannot be read under the name `local`");
    return CTL_OK;
}

int ctl_policy_row(const struct ctl_policy_source *source, const char *channel)
{
    for (uint32_t i = 0; i < source->bundle->count; i++)
        if (strcmp(source->bundle->rows[i].name, channel) == 0)
            return (int)i;
    return strcmp(channel, "local") == 0 && bh_bundle_governs_local(source->bundle) ? 0 : -1;
}

int ctl_policy_channel(struct ctl_policy_source *source, const char *channel, struct bh_policy *ret)
{
    int row = !channel && source->bundle->count == 1 ? 0 : ctl_policy_row(source, channel ? channel : "main");

    if (row < 0 && !channel)
        return ctl_fail(CTL_USAGE, "%s opens several channels: choose one with --channel", source->name);
    if (row < 0)
        return ctl_fail(CTL_USAGE, "%s opens no channel %s", source->name, channel);
    if (channel && strcmp(channel, source->bundle->rows[row].name) != 0)
        return open_local(source, ret);
    return ctl_policy_slice(source, (uint32_t)row, ret);
}
