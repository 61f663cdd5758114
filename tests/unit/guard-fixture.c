/* The scene of guard-fixture.h. Its file systems are folders that have no name any more: nothing stays
 * behind.
 */
#include "tests/unit/guard-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

static struct kernel *kernel;
static int folders[GUARD_FILESYSTEMS];

static void require(bool truth)
{
    if (!truth)
        abort();
}

/* The seam: what FITHAW would do. */
static int thaw(int mount)
{
    struct stat st;

    require(fstat(mount, &st) == 0);
    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++) {
        if (kernel->inodes[i] != st.st_ino)
            continue;
        kernel->thaws[i]++;
        if (!kernel->frozen[i] || kernel->slow[i])
            return -EINVAL;
        kernel->frozen[i] = false;
        if (kernel->n_order < BH_ARRAY_SIZE(kernel->order))
            kernel->order[kernel->n_order++] = i;
        return 0;
    }
    return -ENOTTY;
}

static void *shared(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    require(memory != MAP_FAILED);
    return memory;
}

static int new_folder(void)
{
    char name[] = "/tmp/bh-guard-XXXXXX";
    int fd;

    require(mkdtemp(name) != NULL);
    fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    require(fd >= 0 && rmdir(name) == 0);
    return fd;
}

/* Once: making folders takes longer than all else. */
static void make_world(void)
{
    kernel = shared(sizeof(*kernel));
    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++)
        folders[i] = new_folder();
}

static void clear_kernel(void)
{
    struct stat st;

    memset(kernel, 0, sizeof(*kernel));
    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++) {
        require(fstat(folders[i], &st) == 0);
        kernel->inodes[i] = st.st_ino;
    }
}

static void open_pair(int flags, int ret[2])
{
    require(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0, ret) == 0);
}

void guard_scene_begin(struct guard_scene *scene, int record)
{
    int pair[2];

    memset(scene, 0, sizeof(*scene));
    if (!kernel)
        make_world();
    clear_kernel();
    scene->kernel = kernel;
    scene->page = shared(sizeof(*scene->page));
    bh_frozen_init(scene->page, GUARD_BOOT);
    open_pair(SOCK_NONBLOCK, pair);
    scene->events = pair[0];
    scene->audit = (struct bh_audit){ .fd = pair[1], .source = 1, .state = &scene->state };
    scene->record = record;
    scene->reply_fd = -1;
    for (unsigned i = 0; i < BH_FROZEN_CHANNELS_MAX; i++) {
        scene->clients[i] = -1;
        (void)snprintf(scene->page->slots[i], BH_CHANNEL_NAME_MAX, "c%u", i);
    }
    memcpy(scene->folders, folders, sizeof(folders));
    bh_guard_init(&scene->guard, scene->page, record, &scene->audit);
    scene->guard.thaw = thaw;
}

void guard_scene_end(struct guard_scene *scene)
{
    for (unsigned i = 0; i < BH_FROZEN_CHANNELS_MAX; i++) {
        bh_close_p(&scene->clients[i]);
        bh_close_p(&scene->guard.clients[i]);
    }
    for (uint32_t i = 0; i < BH_FROZEN_MOUNTS_MAX; i++)
        bh_close_p(&scene->guard.mounts[i]);
    bh_close_p(&scene->guard.hooks);
    bh_close_p(&scene->guard.lingering);
    bh_close_p(&scene->reply_fd);
    bh_close_p(&scene->record);
    bh_close_p(&scene->events);
    bh_close_p(&scene->audit.fd);
    (void)munmap(scene->page, sizeof(*scene->page));
}

void guard_scene_join(struct guard_scene *scene, unsigned slot)
{
    int pair[2];

    open_pair(SOCK_NONBLOCK, pair);
    bh_guard_add(&scene->guard, slot, pair[1]);
    bh_close_p(&scene->clients[slot]);
    scene->clients[slot] = pair[0];
}

void guard_scene_leave(struct guard_scene *scene, unsigned slot)
{
    bh_close_p(&scene->clients[slot]);
    if (scene->guard.clients[slot] >= 0)
        require(!bh_guard_serve(&scene->guard, slot));
}

int guard_scene_ask(struct guard_scene *scene, unsigned slot, const struct bh_guard_request *request, int fd)
{
    int r;

    bh_close_p(&scene->reply_fd);
    memset(&scene->reply, 0, sizeof(scene->reply));
    if (scene->clients[slot] < 0 || bh_fd_send(scene->clients[slot], request, sizeof(*request), fd) < 0)
        return GUARD_DROPPED;
    (void)bh_guard_serve(&scene->guard, slot);
    r = bh_fd_recv(scene->clients[slot], &scene->reply, sizeof(scene->reply), &scene->reply_fd);
    require(r > 0 ? scene->reply.magic == BH_GUARD_MAGIC && scene->reply.error <= 0
                  : r == 0 || r == -ECONNRESET);
    require(bh_frozen_check(scene->page, GUARD_BOOT));
    return r > 0 ? scene->reply.error : GUARD_DROPPED;
}

int guard_scene_op(struct guard_scene *scene, unsigned slot, enum bh_guard_op op, uint32_t filesystem,
                   int error)
{
    struct bh_guard_request request = { .magic = BH_GUARD_MAGIC, .op = op, .error = error };
    bool names = op == BH_GUARD_HOLD || op == BH_GUARD_SKIP;

    if (names) {
        request.major = GUARD_MAJOR;
        request.minor = filesystem;
        (void)snprintf(request.path, sizeof(request.path), "/mnt/%u", filesystem);
    }
    return guard_scene_ask(scene, slot, &request, op == BH_GUARD_HOLD ? scene->folders[filesystem] : -1);
}

int guard_scene_fifreeze(struct guard_scene *scene, uint32_t filesystem)
{
    if (scene->kernel->frozen[filesystem])
        return EBUSY;
    scene->kernel->frozen[filesystem] = true;
    return 0;
}

int guard_scene_freeze(struct guard_scene *scene, unsigned slot, uint32_t filesystem)
{
    int r = guard_scene_op(scene, slot, BH_GUARD_HOLD, filesystem, 0);

    return r ? r : guard_scene_op(scene, slot, BH_GUARD_DONE, 0, guard_scene_fifreeze(scene, filesystem));
}

uint32_t guard_scene_frozen(const struct guard_scene *scene)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++)
        n += scene->kernel->frozen[i];
    return n;
}

int guard_scene_mountinfo(const struct guard_scene *scene)
{
    struct statx st;
    char text[256];
    int fd = bh_memfd_new("mountinfo", NULL, 0);

    require(fd >= 0);
    for (uint32_t i = 0; i < GUARD_FILESYSTEMS; i++) {
        int n;

        require(statx(scene->folders[i], "", AT_EMPTY_PATH, STATX_MNT_ID, &st) == 0);
        n = snprintf(text, sizeof(text), "%llu 1 %u:%u / /proc/self/fd/%d rw - ext4 /dev/x rw\n",
                     (unsigned long long)st.stx_mnt_id, GUARD_MAJOR, i, scene->folders[i]);
        require(bh_write_all(fd, text, (size_t)n) == 0);
    }
    return fd;
}

bool guard_scene_said(struct guard_scene *scene, const char *text)
{
    struct bh_record_count counts[BH_RECORD_COUNTS_MAX];
    char data[BH_RECORD_MAX];
    struct bh_record record;
    bool found = false;
    ssize_t n;

    while ((n = recv(scene->events, data, sizeof(data), MSG_DONTWAIT)) > 0) {
        require(bh_record_parse(data, (size_t)n, &record, counts) == 0);
        (void)snprintf(scene->event, sizeof(scene->event), "%.*s", (int)record.text.len, record.text.ptr);
        found = found || strstr(scene->event, text);
    }
    return found;
}

bool guard_scene_recorded(const struct guard_scene *scene)
{
    static struct bh_frozen found;
    const size_t used = bh_frozen_used(scene->page);

    return pread(scene->record, &found, used, 0) == (ssize_t)used && memcmp(&found, scene->page, used) == 0;
}
