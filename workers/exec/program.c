/*
 * Opening and judging a program: the path is walked one component at a time, from the root of the tree, so
 * that each folder is judged through the descriptor that the next one is opened from. A link is followed if
 * its folder is root's, which it is, or the walk had ended.
 */
#include "workers/exec/program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol/base/mem.h"

#define LINKS_MAX 40 /* as the kernel */
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

struct walk {
    int at; /* the folder reached so far */
    unsigned links;
    char rest[PATH_MAX];
    struct bh_program *program;
};

/* The first flaw is told. */
static void __attribute__((format(printf, 2, 3))) blame(struct bh_program *program, const char *format, ...)
{
    va_list args;

    if (program->flaw[0])
        return;
    va_start(args, format);
    (void)vsnprintf(program->flaw, sizeof(program->flaw), format, args);
    va_end(args);
}

static int name_of(int fd, char ret[PATH_MAX])
{
    char link[64];
    ssize_t n;

    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, ret, PATH_MAX);
    if (n < 0 || n == PATH_MAX)
        return n < 0 ? -errno : -ENAMETOOLONG;
    ret[n] = '\0';
    return 0;
}

/* Could nobody but root have written here? */
static bool is_roots(const struct stat *st)
{
    return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & OTHERS_WRITE);
}

static void judge_folder(const struct walk *walk, const struct stat *st)
{
    char name[PATH_MAX];

    if (is_roots(st))
        return;
    if (name_of(walk->at, name) < 0)
        (void)snprintf(name, sizeof(name), "one of its folders");
    blame(walk->program,
          "others than root may write to %.300s and could put another program in the place of this one",
          name);
}

static int set_at(struct walk *walk, int fd)
{
    struct stat st;

    (void)close(walk->at);
    walk->at = fd;
    if (fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        judge_folder(walk, &st);
    return 0;
}

static int set_at_root(struct walk *walk)
{
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    return fd < 0 ? -errno : set_at(walk, fd);
}

/* Puts the target of a link before what is left of the path. */
static int follow(struct walk *walk, int link, const char *left)
{
    char target[PATH_MAX], joined[PATH_MAX];
    ssize_t n;
    int len;

    if (++walk->links > LINKS_MAX)
        return -ELOOP;
    n = readlinkat(link, "", target, sizeof(target));
    if (n < 0 || (size_t)n == sizeof(target))
        return n < 0 ? -errno : -ENAMETOOLONG;
    len = snprintf(joined, sizeof(joined), "%.*s%s", (int)n, target, left);
    if (len < 0 || (size_t)len >= sizeof(joined))
        return -ENAMETOOLONG;
    memcpy(walk->rest, joined, (size_t)len + 1);
    return walk->rest[0] == '/' ? set_at_root(walk) : 0;
}

/* One component on. 1 = there is more. */
static int step(struct walk *walk)
{
    char name[NAME_MAX + 1];
    const char *start = walk->rest + strspn(walk->rest, "/");
    size_t len = strcspn(start, "/");
    _cleanup_close_ int next = -1;
    struct stat st;
    int r;

    if (len == 0)
        return walk->rest[0] == '/' && (fstat(walk->at, &st) < 0 || !S_ISDIR(st.st_mode)) ? -ENOTDIR : 0;
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    memcpy(name, start, len);
    name[len] = '\0';
    next = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 || fstat(next, &st) < 0)
        return -errno;
    if (S_ISLNK(st.st_mode)) {
        r = follow(walk, next, start + len);
        return r < 0 ? r : 1;
    }
    memmove(walk->rest, start + len, strlen(start + len) + 1);
    r = set_at(walk, bh_take_fd(&next));
    return r < 0 ? r : 1;
}

/* A descriptor (O_PATH) of what the path names, or -errno. */
static int resolve(const char *path, struct bh_program *program)
{
    struct walk walk = { .at = -1, .program = program };
    int r;

    if (path[0] != '/' || strlen(path) >= sizeof(walk.rest))
        return path[0] == '/' ? -ENAMETOOLONG : -ENOENT;
    strcpy(walk.rest, path);
    r = set_at_root(&walk);
    if (r == 0)
        do
            r = step(&walk);
        while (r > 0);
    if (r == 0)
        return walk.at;
    bh_close_p(&walk.at);
    return r;
}

static int judge_file(const struct stat *st, const char *name, struct bh_program *program)
{
    if (!S_ISREG(st->st_mode))
        return -EACCES;
    if (!(st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
        return -EACCES;
    if (!is_roots(st))
        blame(program, "others than root may write to %.300s; chown it to root, and chmod go-w it", name);
    return 0;
}

/* Opens what the path names to be read and executed. */
static int open_file(const char *path, struct bh_program *program, struct stat *st, char name[PATH_MAX])
{
    _cleanup_close_ int fd = resolve(path, program);
    char link[64];
    int r;

    if (fd < 0)
        return fd;
    if (fstat(fd, st) < 0)
        return -errno;
    r = name_of(fd, name);
    if (r == 0)
        r = judge_file(st, name, program);
    if (r < 0)
        return r;
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    r = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return r >= 0 ? r : bh_take_fd(&fd); /* it may be executed though we may not read it */
}

/* "#!interpreter arg" as the kernel splits it: one argument, whatever is in it. */
static bool parse_shebang(char *line, struct bh_program *program)
{
    char *name = line + 2 + strspn(line + 2, " \t"), *end = name + strcspn(name, " \t"),
         *arg = end + strspn(end, " \t");

    *end = '\0';
    for (size_t n = strlen(arg); n > 0 && (arg[n - 1] == ' ' || arg[n - 1] == '\t'); n--)
        arg[n - 1] = '\0';
    (void)snprintf(program->interpreter_name, sizeof(program->interpreter_name), "%s", name);
    (void)snprintf(program->interpreter_arg, sizeof(program->interpreter_arg), "%s", arg);
    return name[0] == '/';
}

static void open_interpreter(struct bh_program *program)
{
    struct stat st;
    char head[2];

    program->interpreter = open_file(program->interpreter_name, program, &st, program->interpreter_path);
    if (program->interpreter < 0)
        blame(program, "its interpreter %.300s cannot be executed", program->interpreter_name);
    else if (pread(program->interpreter, head, sizeof(head), 0) == sizeof(head) && memcmp(head, "#!", 2) == 0)
        blame(program, "its interpreter %.300s is a script itself", program->interpreter_name);
}

/* What the kernel would do with the first line, done where it can be judged. */
static void look_for_interpreter(struct bh_program *program)
{
    char line[BH_PROGRAM_SHEBANG_MAX + 1] = { 0 }, *end;
    ssize_t n = pread(program->fd, line, BH_PROGRAM_SHEBANG_MAX, 0);

    program->script = n >= 2 && memcmp(line, "#!", 2) == 0;
    if (!program->script)
        return;
    end = strchr(line, '\n');
    if (end)
        *end = '\0';
    if (!end || !parse_shebang(line, program))
        blame(program, "the first line of %.300s does not name an interpreter by its absolute path",
              program->name);
    else
        open_interpreter(program);
}

int bh_program_open(const char *path, struct bh_program *ret)
{
    *ret = (struct bh_program){ .fd = -1, .interpreter = -1 };
    ret->fd = open_file(path, ret, &ret->st, ret->name);
    if (ret->fd < 0)
        return ret->fd;
    look_for_interpreter(ret);
    return 0;
}

int bh_program_search(const char *name, const char *path, char ret[PATH_MAX])
{
    struct stat st;

    while (*path) {
        size_t len = strcspn(path, ":");

        if (snprintf(ret, PATH_MAX, "%.*s/%s", (int)len, path, name) < PATH_MAX && ret[0] == '/' &&
            stat(ret, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)))
            return 0;
        path += len + (path[len] == ':');
    }
    return -ENOENT;
}

void bh_program_close(struct bh_program *program)
{
    bh_close_p(&program->fd);
    bh_close_p(&program->interpreter);
}
