/* bh_policy_map of blob.h: the one place of lib_policy that calls the system, apart from the pure rest. */
#include "policy/blob.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"

#define EXIT_CONFIG 78

void bh_policy_map(struct bh_policy *ret)
{
    struct stat st;
    void *data;

    if (!bh_memfd_is_sealed(BH_FD_POLICY))
        bh_die(EXIT_CONFIG, "the policy on descriptor %d is not sealed memory", BH_FD_POLICY);
    if (fstat(BH_FD_POLICY, &st) < 0 || st.st_size <= 0 || st.st_size > (off_t)BH_POLICY_SIZE_MAX)
        bh_die(EXIT_CONFIG, "the policy on descriptor %d has no acceptable size", BH_FD_POLICY);
    data = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, BH_FD_POLICY, 0);
    if (data == MAP_FAILED)
        bh_die(EXIT_CONFIG, "the policy cannot be mapped: %m");
    if (bh_policy_open(ret, data, (size_t)st.st_size) < 0)
        bh_die(EXIT_CONFIG, "the policy on descriptor %d is not one that this build compiled", BH_FD_POLICY);
}
