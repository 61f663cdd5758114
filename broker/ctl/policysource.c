/* Finding, compiling and opening the policies of policysource.h. */
#include "broker/ctl/policysource.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/compile.h"
#include "broker/places.h"
#include "broker/policyfile.h"
#include "broker/programdir.h"
#include "policy/profiles.h"
#include "protocol/base/mem.h"

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

void ctl_policy_close(struct ctl_policy_source *source)
{
    if (source->map)
        (void)munmap(source->map, source->size);
    free(source->findings);
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

int ctl_policy_channel(const struct ctl_policy_source *source, const char *channel, struct bh_policy *ret)
{
    uint32_t count = source->bundle->count;
    const char *wanted = channel ? channel : "main";

    if (!channel && count == 1)
        return ctl_policy_slice(source, 0, ret);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(source->bundle->rows[i].name, wanted) == 0)
            return ctl_policy_slice(source, i, ret);
    if (!channel)
        return ctl_fail(CTL_USAGE, "%s opens several channels: choose one with --channel", source->name);
    return ctl_fail(CTL_USAGE, "%s opens no channel %s", source->name, channel);
}
