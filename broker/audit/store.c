/* The folder of store.h. */
#include "broker/audit/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "broker/audit/segment.h"
#include "broker/why.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

struct bh_log_store {
    char *path;
    int dir, segment_fd, names_fd;
    struct bh_audit_state *state;
    uint64_t segment;
    unsigned early;      /* segments begun in this window before the one at hand was full */
    uint64_t early_from; /* start of the window: seconds of CLOCK_BOOTTIME */
};

static int open_dir(struct bh_log_store *store, const struct bh_why *why)
{
    struct stat st;

    if (mkdir(store->path, 0700) < 0 && errno != EEXIST)
        return bh_why_fail(why, -errno, "the audit folder %s cannot be made: %s", store->path,
                           strerror(errno));
    store->dir = open(store->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (store->dir < 0 || fstat(store->dir, &st) < 0)
        return bh_why_fail(why, -errno, "the audit folder %s cannot be opened: %s", store->path,
                           strerror(errno));
    if (st.st_uid != geteuid())
        return bh_why_fail(why, -EPERM,
                           "the audit folder %s belongs to uid %u and not to us (uid %u); chown it",
                           store->path, st.st_uid, geteuid());
    if (st.st_mode & 022)
        return bh_why_fail(why, -EPERM, "the audit folder %s may be written to by others; chmod it to 0700",
                           store->path);
    return 0;
}

/* What earlier runs left: the newest segment and how it ends. */
static int find_previous(const struct bh_log_store *store, struct bh_audit_previous *ret,
                         const struct bh_why *why)
{
    _cleanup_free_ uint64_t *numbers = NULL;
    _cleanup_close_ int fd = -1;
    char name[BH_SEGMENT_NAME_MAX];
    ssize_t n = bh_segment_list(store->dir, &numbers);
    int r;

    if (n < 0)
        return bh_why_fail(why, (int)n, "the audit folder %s cannot be listed: %s", store->path,
                           strerror((int)-n));
    if (n == 0)
        return 0;
    ret->segment = numbers[n - 1];
    bh_segment_name(ret->segment, name);
    fd = openat(store->dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    r = fd < 0 ? -errno : bh_segment_end(fd, ret);
    if (r < 0)
        return bh_why_fail(why, r, "the last audit segment %s/%s cannot be read: %s", store->path, name,
                           strerror(-r));
    return 0;
}

/* One line at the end of the keys file, on its own even if a crash tore the line before. On disk when this
 * returns. */
static int append_key(int fd, const char *line, size_t len)
{
    off_t size = lseek(fd, 0, SEEK_END);
    char last = '\n';
    int r;

    if (size < 0 || (size > 0 && pread(fd, &last, 1, size - 1) != 1))
        return -EIO;
    r = last == '\n' ? 0 : bh_write_all(fd, "\n", 1);
    if (r == 0)
        r = bh_write_all(fd, line, len);
    if (r == 0 && fsync(fd) < 0)
        r = -errno;
    return r;
}

/* Keeps the first key of the run that begins with `segment`. */
static int keep_key(const struct bh_log_store *store, uint64_t segment, const uint8_t key[BH_SHA256_SIZE],
                    const struct bh_why *why)
{
    _cleanup_close_ int fd =
        openat(store->dir, BH_KEYS_NAME, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    char line[32 + BH_CHAIN_HEX], hex[BH_CHAIN_HEX];
    int r, n;

    bh_chain_hex(key, BH_SHA256_SIZE, hex);
    n = snprintf(line, sizeof(line), "%" PRIu64 " %.*s\n", segment, (int)sizeof(hex), hex);
    r = fd < 0 ? -errno : append_key(fd, line, (size_t)n);
    explicit_bzero(line, sizeof(line));
    explicit_bzero(hex, sizeof(hex));
    if (r < 0)
        return bh_why_fail(why, r, "the key of the audit log cannot be written to %s/" BH_KEYS_NAME ": %s",
                           store->path, strerror(-r));
    return 0;
}

unsigned bh_log_store_keep(uint64_t file_system)
{
    uint64_t most = file_system / 4 / BH_AUDIT_SEGMENT_MAX;

    if (most >= BH_AUDIT_SEGMENTS_KEEP)
        return BH_AUDIT_SEGMENTS_KEEP;
    return most < 2 ? 2 : (unsigned)most;
}

/* Deletes all but the newest. A failure is no reason to stop logging; the file is met again next time. */
static void retire(const struct bh_log_store *store)
{
    _cleanup_free_ uint64_t *numbers = NULL;
    ssize_t n = bh_segment_list(store->dir, &numbers), keep = BH_AUDIT_SEGMENTS_KEEP;
    struct statvfs fs;

    if (fstatvfs(store->dir, &fs) == 0)
        keep = (ssize_t)bh_log_store_keep((uint64_t)fs.f_blocks * fs.f_frsize);
    for (ssize_t i = 0; i + keep < n; i++) {
        char name[BH_SEGMENT_NAME_MAX];

        bh_segment_name(numbers[i], name);
        if (numbers[i] != store->segment)
            (void)unlinkat(store->dir, name, 0);
    }
}

static int begin(struct bh_log_store *store, uint64_t segment, const struct bh_why *why)
{
    char name[BH_SEGMENT_NAME_MAX];
    int fd;

    bh_segment_name(segment, name);
    fd = openat(store->dir, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return bh_why_fail(why, -errno, "the audit segment %s/%s cannot be made: %s", store->path, name,
                           strerror(errno));
    if (store->segment_fd >= 0)
        (void)close(store->segment_fd);
    store->segment_fd = fd;
    store->segment = segment;
    bh_audit_state_offer(store->state, segment);
    retire(store);
    return fd;
}

/* Key, state page and first segment of this run, in the order that keeps the key ahead of its use. */
static int begin_run(struct bh_log_store *store, const struct bh_why *why)
{
    struct bh_audit_previous previous = { 0 };
    uint8_t key[BH_SHA256_SIZE];
    int r = find_previous(store, &previous, why);

    if (r < 0)
        return r;
    if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
        return bh_why_fail(why, -EIO, "the kernel gives no random bytes for the key of the audit log");
    r = keep_key(store, previous.segment + 1, key, why);
    if (r == 0) {
        bh_audit_state_init(store->state, &previous, key, bh_clock_ns(CLOCK_REALTIME));
        r = begin(store, previous.segment + 1, why);
    }
    explicit_bzero(key, sizeof(key));
    return r < 0 ? r : 0;
}

int bh_log_store_rename(struct bh_log_store *store, const struct bh_audit_names *names)
{
    _cleanup_close_ int fd = bh_memfd_new("bulkhead-sources", names, sizeof(*names));
    int r = fd < 0 ? fd : bh_memfd_seal(fd);

    if (r < 0)
        return r;
    bh_close_p(&store->names_fd);
    store->names_fd = bh_take_fd(&fd);
    return 0;
}

static int share(struct bh_log_store *store, int state_fd, const struct bh_audit_names *names,
                 const struct bh_why *why)
{
    void *page = mmap(NULL, sizeof(struct bh_audit_state), PROT_READ | PROT_WRITE, MAP_SHARED, state_fd, 0);
    int r;

    if (page == MAP_FAILED)
        return bh_why_fail(why, -errno, "the state of the audit process cannot be mapped: %s",
                           strerror(errno));
    store->state = page;
    r = bh_log_store_rename(store, names);
    if (r < 0)
        return bh_why_fail(why, r, "there is no memory for the names of the audit sources: %s", strerror(-r));
    return 0;
}

int bh_log_store_new(struct bh_log_store **ret, const char *path, int state_fd,
                     const struct bh_audit_names *names, char *why_text, size_t why_size)
{
    const struct bh_why why = { why_text, why_size };
    struct bh_log_store *store = calloc(1, sizeof(*store));
    int r;

    if (!store)
        return bh_why_fail(&why, -ENOMEM, "there is no memory for the audit log");
    store->dir = store->segment_fd = store->names_fd = -1;
    store->path = strdup(path);
    r = store->path ? share(store, state_fd, names, &why)
                    : bh_why_fail(&why, -ENOMEM, "there is no memory for the audit log");
    if (r == 0)
        r = open_dir(store, &why);
    if (r == 0)
        r = begin_run(store, &why);
    if (r < 0)
        bh_log_store_free(store);
    else
        *ret = store;
    return r;
}

void bh_log_store_free(struct bh_log_store *store)
{
    if (!store)
        return;
    if (store->state)
        (void)munmap(store->state, sizeof(*store->state));
    bh_close_p(&store->dir);
    bh_close_p(&store->segment_fd);
    bh_close_p(&store->names_fd);
    free(store->path);
    free(store);
}

/* Each new segment deletes an old one: an audit process that was taken over must not empty the log by asking.
 */
static bool may_begin(struct bh_log_store *store)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME) / 1000u;
    struct stat st;

    if (fstat(store->segment_fd, &st) == 0 && st.st_size >= (off_t)BH_AUDIT_SEGMENT_MAX)
        return true;
    if (now - store->early_from >= BH_AUDIT_EARLY_WINDOW_S) {
        store->early_from = now;
        store->early = 0;
    }
    if (store->early == BH_AUDIT_EARLY_MAX)
        return false;
    store->early++;
    return true;
}

int bh_log_store_next(struct bh_log_store *store, char *why_text, size_t why_size)
{
    const struct bh_why why = { why_text, why_size };

    if (!may_begin(store))
        return bh_why_fail(&why, -EBUSY, "the audit process asks for more segments than the log has use for");
    return begin(store, store->segment + 1, &why);
}

int bh_log_store_segment_fd(const struct bh_log_store *store)
{
    return store->segment_fd;
}

int bh_log_store_names_fd(const struct bh_log_store *store)
{
    return store->names_fd;
}

uint64_t bh_log_store_segment(const struct bh_log_store *store)
{
    return store->segment;
}

const char *bh_log_store_path(const struct bh_log_store *store)
{
    return store->path;
}
