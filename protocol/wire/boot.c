/*
 * Mapping what the supervisor left for us. Any difference from what this build expects means that the two
 * executables do not belong together, or that somebody else started us: there is nothing to go on with.
 */
#include "protocol/wire/boot.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"

#define STATUS_CONFIG 78 /* EX_CONFIG: starting again will not help */

static void *map(int fd, size_t size, int protection, int flags, const char *what)
{
    struct stat about;
    void *p;

    if (fstat(fd, &about) < 0 || !S_ISREG(about.st_mode) || (size_t)about.st_size < size)
        bh_die(STATUS_CONFIG, "descriptor %d is not the %s that the supervisor makes", fd, what);
    p = mmap(NULL, size, protection, flags, fd, 0);
    if (p == MAP_FAILED)
        bh_die(STATUS_CONFIG, "cannot map the %s: %m", what);
    return p;
}

const struct bh_boot *bh_boot_map(void)
{
    /* Private: before Linux 6.7 a memfd sealed against writing cannot be mapped shared, not even to read it.
     */
    const struct bh_boot *boot = map(BH_FD_BOOT, sizeof(*boot), PROT_READ, MAP_PRIVATE, "boot record");

    if (!bh_memfd_is_sealed(BH_FD_BOOT))
        bh_die(STATUS_CONFIG, "the boot record is not sealed");
    if (boot->magic != BH_BOOT_MAGIC || !memchr(boot->channel, '\0', sizeof(boot->channel)))
        bh_die(STATUS_CONFIG, "the boot record is not of this build");
    bh_log_style(boot->log_verbose, boot->log_stamped);
    return boot;
}

struct bh_state *bh_state_map(void)
{
    return map(BH_FD_STATE, sizeof(struct bh_state), PROT_READ | PROT_WRITE, MAP_SHARED, "state page");
}
