/*
 * mountinfo, line by line. What is wanted of a line stands in front of the options of its file system, which
 * may be of any length: so a line is looked at as far as LINE_ROOM, and the rest of it is passed over.
 */
#include "workers/storage/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Two paths and a source, each of PATH_MAX bytes that are all escaped, take 48 KiB; numbers and flags the
 * rest. */
#define LINE_ROOM (64u * 1024u)

struct reader {
    int fd;
    off_t at;         /* where the next piece begins */
    size_t next, end; /* of what is in the buffer */
    bool cut;         /* the line that begins at `next` is the rest of one that was given already */
    char *text;       /* LINE_ROOM bytes and a NUL */
};

/* A line's parts; they lie in the reader's buffer, and in place their escapes are undone. */
struct line {
    uint64_t id;
    uint32_t major, minor;
    char *path, *type, *source;
};

/* Bytes added, 0 at the end, or -errno. */
static ssize_t fill(struct reader *reader)
{
    ssize_t n;

    memmove(reader->text, reader->text + reader->next, reader->end - reader->next);
    reader->end -= reader->next;
    reader->next = 0;
    do
        n = pread(reader->fd, reader->text + reader->end, LINE_ROOM - reader->end, reader->at);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    reader->at += n;
    reader->end += (size_t)n;
    return n;
}

/* 1 with the next line, or the first LINE_ROOM bytes of it; 0 at the end; or -errno. */
static int next_line(struct reader *reader, char **ret)
{
    for (;;) {
        char *start = reader->text + reader->next;
        char *end = memchr(start, '\n', reader->end - reader->next);
        bool was_cut = reader->cut, full = !end && reader->next == 0 && reader->end == LINE_ROOM;
        ssize_t n = end || full ? 1 : fill(reader);

        if (n < 0)
            return (int)n;
        if (n == 0)
            return reader->end == 0 || was_cut ? 0 : -EBADMSG;
        if (!end && !full)
            continue;
        reader->next = end ? (size_t)(end - reader->text) + 1 : reader->end;
        reader->cut = full;
        end = end ? end : reader->text + reader->end;
        if (was_cut)
            continue;
        *end = '\0';
        *ret = start;
        return memchr(start, '\0', (size_t)(end - start)) ? -EBADMSG : 1;
    }
}

/* The word at *at, which moves behind it and is NULL after the last. */
static char *next_word(char **at)
{
    return *at ? strsep(at, " ") : NULL;
}

static bool take_number(const char **text, uint64_t max, uint64_t *ret)
{
    const char *p = *text;
    uint64_t value = 0;

    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*p - '0'), &value) || value > max)
            return false;
    if (p == *text)
        return false;
    *text = p;
    *ret = value;
    return true;
}

static bool take_id(const char *word, uint64_t *ret)
{
    return word && take_number(&word, UINT64_MAX, ret) && *word == '\0';
}

static bool take_device(const char *word, struct line *line)
{
    uint64_t major_number, minor_number;

    if (!word || !take_number(&word, UINT32_MAX, &major_number) || *word++ != ':' ||
        !take_number(&word, UINT32_MAX, &minor_number) || *word != '\0')
        return false;
    line->major = (uint32_t)major_number;
    line->minor = (uint32_t)minor_number;
    return true;
}

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* "\040" becomes a space. False: a backslash without a byte behind it, which the kernel never writes. */
static bool unescape(char *text)
{
    char *out = text;

    for (; *text; out++) {
        int byte = *text++;

        if (byte == '\\') {
            if (text[0] < '0' || text[0] > '3' || !is_octal(text[1]) || !is_octal(text[2]))
                return false;
            byte = (text[0] - '0') << 6 | (text[1] - '0') << 3 | (text[2] - '0');
            text += 3;
        }
        if (byte == 0)
            return false;
        *out = (char)byte;
    }
    *out = '\0';
    return true;
}

/*
 * id parent major:minor root path options [more...] - type source options. 1: taken apart; 0: on no block
 * device; -EBADMSG.
 */
static int take_line(char *text, struct line *line)
{
    const char *id = next_word(&text), *parent = next_word(&text), *device = next_word(&text), *word;
    uint64_t unused;

    if (!take_id(id, &line->id) || !take_id(parent, &unused) || !take_device(device, line))
        return -EBADMSG;
    (void)next_word(&text);
    line->path = next_word(&text);
    do
        word = next_word(&text);
    while (word && strcmp(word, "-") != 0);
    line->type = next_word(&text);
    line->source = next_word(&text);
    if (line->major == 0 && (!line->source || strcmp(line->type, "btrfs") != 0))
        return 0;
    if (!line->source || line->path[0] != '/' || line->type[0] == '\0')
        return -EBADMSG;
    return unescape(line->path) && unescape(line->type) && unescape(line->source) ? 1 : -EBADMSG;
}

/* The one that is there already; NULL if there is none. A source says which btrfs it is without a stat. */
static struct bh_filesystem *find(const struct bh_filesystems *all, const struct line *line)
{
    for (uint32_t i = all->n; i-- > 0;) {
        struct bh_filesystem *one = &all->list[i];

        if (line->major == 0
                ? strcmp(one->type.ptr, "btrfs") == 0 && strcmp(one->source.ptr, line->source) == 0
                : one->major == line->major && one->minor == line->minor)
            return one;
    }
    return NULL;
}

/* The block device that a btrfs names; false if it names none. */
static bool find_device(struct line *line)
{
    struct stat st;

    if (line->source[0] != '/' || stat(line->source, &st) < 0 || !S_ISBLK(st.st_mode))
        return false;
    line->major = major(st.st_rdev);
    line->minor = minor(st.st_rdev);
    return line->major != 0;
}

static int add(struct bh_filesystems *all, struct bh_arena *arena, const struct line *line,
               struct bh_filesystem **ret)
{
    struct bh_filesystem *list, *new;

    if (all->n == BH_FILESYSTEMS_MAX)
        return -E2BIG;
    list = bh_arena_more(arena, all->list, all->n, sizeof(*list));
    if (!list)
        return -ENOMEM;
    all->list = list;
    new = &list[all->n];
    *new = (struct bh_filesystem){ .major = line->major,
                                   .minor = line->minor,
                                   .type = bh_arena_str(arena, line->type, strlen(line->type)),
                                   .source = bh_arena_str(arena, line->source, strlen(line->source)) };
    if (!new->type.ptr || !new->source.ptr)
        return -ENOMEM;
    all->n++;
    *ret = new;
    return 0;
}

static int add_mount(struct bh_filesystem *filesystem, struct bh_arena *arena, const struct line *line)
{
    struct bh_mount *mounts = bh_arena_more(arena, filesystem->mounts, filesystem->n_mounts, sizeof(*mounts));

    if (!mounts)
        return -ENOMEM;
    filesystem->mounts = mounts;
    mounts[filesystem->n_mounts] =
        (struct bh_mount){ line->id, bh_arena_str(arena, line->path, strlen(line->path)) };
    if (!mounts[filesystem->n_mounts].path.ptr)
        return -ENOMEM;
    filesystem->n_mounts++;
    return 0;
}

/* 1: its mount is noted; 0: it has no block device; or -errno. */
static int take_mount(struct bh_filesystems *all, struct bh_arena *arena, char *text)
{
    struct bh_filesystem *filesystem;
    struct line line;
    int r = take_line(text, &line);

    if (r <= 0)
        return r;
    filesystem = find(all, &line);
    if (!filesystem && line.major == 0) {
        if (!find_device(&line))
            return 0;
        filesystem = find(all, &line); /* the same device, by another name */
    }
    r = filesystem ? 0 : add(all, arena, &line, &filesystem);
    if (r == 0)
        r = add_mount(filesystem, arena, &line);
    return r < 0 ? r : 1;
}

int bh_mounts_read(int mountinfo, struct bh_arena *arena, struct bh_filesystems *ret)
{
    static char text[LINE_ROOM + 1]; /* not worth an allocation at each request */
    struct reader reader = { .fd = mountinfo, .text = text };
    struct bh_filesystems all = { 0 };
    uint32_t n_mounts = 0;
    char *line;
    int r;

    while ((r = next_line(&reader, &line)) > 0) {
        r = take_mount(&all, arena, line);
        if (r < 0)
            return r;
        n_mounts += (uint32_t)r;
        if (n_mounts > BH_MOUNTS_MAX)
            return -E2BIG;
    }
    if (r == 0)
        *ret = all;
    return r;
}

/*
 * Is what stands there (an open folder, or at a path) the mount that was meant, and not one that lies upon
 * it? A kernel before 5.8 tells the device only, and for a btrfs a number of its own.
 */
static bool is_mount(int fd, const char *path, const struct bh_filesystem *filesystem,
                     const struct bh_mount *mount)
{
    const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT | AT_SYMLINK_NOFOLLOW;
    struct statx st;

    if (statx(fd, path, flags, STATX_MNT_ID, &st) < 0)
        return false;
    if (st.stx_mask & STATX_MNT_ID)
        return st.stx_mnt_id == mount->id;
    return strcmp(filesystem->type.ptr, "btrfs") == 0 ||
           (st.stx_dev_major == filesystem->major && st.stx_dev_minor == filesystem->minor);
}

const struct bh_mount *bh_mounts_seen(const struct bh_filesystem *filesystem)
{
    for (uint32_t i = 0; i < filesystem->n_mounts; i++)
        if (is_mount(AT_FDCWD, filesystem->mounts[i].path.ptr, filesystem, &filesystem->mounts[i]))
            return &filesystem->mounts[i];
    return NULL;
}

int bh_mounts_open(const struct bh_filesystem *filesystem, const struct bh_mount **ret_mount)
{
    int failed = 0;

    for (uint32_t i = 0; i < filesystem->n_mounts; i++) {
        const struct bh_mount *mount = &filesystem->mounts[i];
        int fd = open(mount->path.ptr, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);

        if (fd >= 0 && is_mount(fd, "", filesystem, mount)) {
            *ret_mount = mount;
            return fd;
        }
        if (fd < 0 && failed == 0)
            failed = -errno;
        if (fd >= 0)
            (void)close(fd);
    }
    return failed ? failed : -ENODEV;
}
