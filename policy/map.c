/* The mapping of blob.h: the one place of lib_policy that calls the system, apart from the pure rest. */
#include "policy/blob.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"

#define EXIT_CONFIG 78

int bh_policy_take(struct bh_policy *ret, int fd, size_t size)
{
    struct bh_policy opened;
    void *data;
    int r;

    if (!bh_memfd_is_sealed(fd) || size == 0 || size > BH_POLICY_SIZE_MAX)
        return -EBADMSG;
    data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data == MAP_FAILED)
        return -errno;
    r = bh_policy_open(&opened, data, size);
    if (r < 0) {
        (void)munmap(data, size);
        return r;
    }
    *ret = opened;
    return 0;
}

void bh_policy_drop(struct bh_policy *policy)
{
    if (policy->slice)
        (void)munmap((void *)(uintptr_t)policy->slice, policy->slice->size);
    *policy = (struct bh_policy){ 0 };
}

void bh_policy_map(struct bh_policy *ret)
{
    struct stat st;
    int r;

    if (fstat(BH_FD_POLICY, &st) < 0 || st.st_size <= 0 || st.st_size > (off_t)BH_POLICY_SIZE_MAX)
        bh_die(EXIT_CONFIG, "the policy on descriptor %d has no acceptable size", BH_FD_POLICY);
    r = bh_policy_take(ret, BH_FD_POLICY, (size_t)st.st_size);
    if (r < 0)
        bh_die(EXIT_CONFIG, "the policy on descriptor %d is not sealed memory that this build compiled: %s",
               BH_FD_POLICY, strerror(-r));
}
