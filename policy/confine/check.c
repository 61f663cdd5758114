/*
 * The self-check of check.h. Each row of a table is one line of /proc/self/status and
 * the fence whose work it shows; a line that is missing differs.
 */
#include "policy/confine/check.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/securebits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "policy/confine/caps.h"
#include "policy/confine/rlimits.h"
#include "protocol/base/mem.h"

#define STATUS_MAX 8192 /* bytes; the longest part is a list of at most 64 supplementary groups */

int bh_check_attributes(const struct bh_profile *profile, uint32_t fences, char ret[BH_DIFFERENCE_MAX])
{
    const struct {
        uint32_t fence;
        const char *what;
        int found, wanted;
    } rows[] = {
        { BH_FENCE_SECUREBITS, "securebits", prctl(PR_GET_SECUREBITS), BH_SECUREBITS },
        { BH_FENCE_DUMPABLE, "dumpable", prctl(PR_GET_DUMPABLE), 0 },
        { BH_FENCE_MDWE, "memory-deny-write-execute", prctl(PR_GET_MDWE, 0, 0, 0, 0),
          BH_MDWE_REFUSE_EXEC_GAIN },
    };
    const char *limit = fences & BH_FENCE_RLIMITS ? bh_rlimits_differ(profile) : NULL;

    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++)
        if (fences & rows[i].fence && rows[i].found != rows[i].wanted) {
            (void)snprintf(ret, BH_DIFFERENCE_MAX, "%s is %d, not %d", rows[i].what, rows[i].found,
                           rows[i].wanted);
            return 1;
        }
    if (!limit)
        return 0;
    (void)snprintf(ret, BH_DIFFERENCE_MAX, "%s is higher than the profile says", limit);
    return 1;
}

/* The value of `key` ("Uid:"), to the end of its line; NULL if there is no such line. */
static const char *value_of(const char *status, const char *key)
{
    const char *line = status;
    size_t len = strlen(key);

    while (line) {
        if (strncmp(line, key, len) == 0)
            return line + len;
        line = strchr(line, '\n');
        line = line ? line + 1 : NULL;
    }
    return NULL;
}

/* True if the line holds exactly `n` numbers, all of them `wanted`. */
static bool all_are(const char *value, int base, unsigned n, uint64_t wanted)
{
    for (unsigned i = 0; i < n; i++) {
        char *end;

        errno = 0;
        if (strtoull(value, &end, base) != wanted || errno || end == value)
            return false;
        value = end;
    }
    return value[strspn(value, " \t")] == '\n';
}

static unsigned count_words(const char *value)
{
    unsigned n = 0;

    for (value += strspn(value, " \t"); *value && *value != '\n'; value += strspn(value, " \t")) {
        value += strcspn(value, " \t\n");
        n++;
    }
    return n;
}

static int compare(const char *status, const struct bh_boot *boot, uint32_t fences,
                   char ret[BH_DIFFERENCE_MAX])
{
    const struct {
        uint32_t fence;
        const char *key;
        int base;
        unsigned n;
        uint64_t wanted;
    } rows[] = {
        { BH_FENCE_UID, "Uid:", 10, 4, boot->uid },      { BH_FENCE_UID, "Gid:", 10, 4, boot->gid },
        { BH_FENCE_CAPS, "CapInh:", 16, 1, boot->caps }, { BH_FENCE_CAPS, "CapPrm:", 16, 1, boot->caps },
        { BH_FENCE_CAPS, "CapEff:", 16, 1, boot->caps }, { BH_FENCE_CAPS, "CapBnd:", 16, 1, boot->bound },
        { BH_FENCE_CAPS, "CapAmb:", 16, 1, boot->caps }, { BH_FENCE_NNP, "NoNewPrivs:", 10, 1, 1 },
        { BH_FENCE_SECCOMP, "Seccomp:", 10, 1, 2 },
    };
    const char *groups = value_of(status, "Groups:");

    for (size_t i = 0; i < BH_ARRAY_SIZE(rows); i++) {
        const char *value = value_of(status, rows[i].key);

        if (!(fences & rows[i].fence) || (value && all_are(value, rows[i].base, rows[i].n, rows[i].wanted)))
            continue;
        value = value ? value + strspn(value, " \t") : "missing\n";
        (void)snprintf(ret, BH_DIFFERENCE_MAX, "%s %.*s", rows[i].key, (int)strcspn(value, "\n"), value);
        return 1;
    }
    if (!(fences & BH_FENCE_UID) || (groups && count_words(groups) == boot->n_groups))
        return 0;
    (void)snprintf(ret, BH_DIFFERENCE_MAX, "there are not %" PRIu32 " supplementary groups", boot->n_groups);
    return 1;
}

int bh_check_status(int fd, const struct bh_boot *boot, uint32_t fences, char ret[BH_DIFFERENCE_MAX])
{
    char status[STATUS_MAX];
    size_t got = 0;
    ssize_t n;

    while (got < sizeof(status) - 1 && (n = read(fd, status + got, sizeof(status) - 1 - got)) > 0)
        got += (size_t)n;
    status[got] = '\0';
    return compare(status, boot, fences, ret);
}
