/* Resource limits of rlimits.h: one table from profile to limit, used to set and to check. */
#include "policy/confine/rlimits.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/mem.h"

#define MIB (UINT64_C(1024) * 1024)

enum limit_id { LIMIT_FILES, LIMIT_MEMORY, LIMIT_LOCKED, LIMIT_CORE, LIMIT_PROCESSES, LIMIT_FILESIZE };

struct limit {
    const char *name;
    int resource;
};

static const struct limit limits[] = {
    [LIMIT_FILES] = { "RLIMIT_NOFILE", RLIMIT_NOFILE },
    [LIMIT_MEMORY] = { "RLIMIT_AS", RLIMIT_AS },
    [LIMIT_LOCKED] = { "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
    [LIMIT_CORE] = { "RLIMIT_CORE", RLIMIT_CORE },
    [LIMIT_PROCESSES] = { "RLIMIT_NPROC", RLIMIT_NPROC },
    [LIMIT_FILESIZE] = { "RLIMIT_FSIZE", RLIMIT_FSIZE },
};

/* A log that is a file grows with what is said; it is the only file that such a process could make grow at
 * all. */
static bool log_is_file(void)
{
    struct stat st;

    return fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode);
}

static rlim_t wanted(const struct bh_profile *profile, enum limit_id id)
{
    switch (id) {
    case LIMIT_FILES:
        return profile->max_fds;
    case LIMIT_MEMORY:
        return profile->max_memory_mib * MIB;
    case LIMIT_FILESIZE:
        if (profile->filesize_max_mib == UINT32_MAX || log_is_file())
            return RLIM_INFINITY;
        return profile->filesize_max_mib * MIB;
    case LIMIT_LOCKED:
    case LIMIT_CORE:
    case LIMIT_PROCESSES:
        break;
    }
    return 0;
}

static int set(enum limit_id id, rlim_t value)
{
    struct rlimit limit;

    if (getrlimit(limits[id].resource, &limit) < 0)
        return -errno;
    if (limit.rlim_max > value)
        limit.rlim_max = value;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(limits[id].resource, &limit) < 0 ? -errno : 0;
}

int bh_rlimits_set(const struct bh_profile *profile)
{
    static const enum limit_id early[] = { LIMIT_FILES, LIMIT_MEMORY, LIMIT_LOCKED, LIMIT_CORE };

    for (size_t i = 0; i < BH_ARRAY_SIZE(early); i++) {
        int r = set(early[i], wanted(profile, early[i]));

        if (r < 0)
            return r;
    }
    return 0;
}

int bh_rlimits_no_fork(void)
{
    return set(LIMIT_PROCESSES, 0);
}

int bh_rlimits_filesize(const struct bh_profile *profile)
{
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        return -errno;
    return set(LIMIT_FILESIZE, wanted(profile, LIMIT_FILESIZE));
}

const char *bh_rlimits_differ(const struct bh_profile *profile)
{
    for (unsigned i = 0; i < BH_ARRAY_SIZE(limits); i++) {
        struct rlimit limit;

        if (getrlimit(limits[i].resource, &limit) < 0 || limit.rlim_cur != limit.rlim_max ||
            limit.rlim_max > wanted(profile, (enum limit_id)i))
            return limits[i].name;
    }
    return NULL;
}
