/* Reading and judging the files of policyfile.h. */
#include "broker/policyfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/why.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

#define SUFFIX ".policy"

/* The part of the rules that folder and file share. */
static int judge_owner(const struct stat *st, const char *path, const struct bh_why *why)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return bh_why_fail(why, -EPERM,
                           "%s belongs to uid %u; a policy must belong to root or to the user who uses it",
                           path, st->st_uid);
    if (st->st_mode & 022)
        return bh_why_fail(why, -EPERM, "%s may be written to by others; run: chmod go-w %s", path, path);
    return 0;
}

static int judge(const struct stat *st, const char *path, const struct bh_why *why)
{
    if (!S_ISREG(st->st_mode))
        return bh_why_fail(why, -EINVAL, "%s is not a regular file", path);
    if (st->st_size > (off_t)BH_POLICY_FILE_MAX)
        return bh_why_fail(why, -EFBIG, "%s is larger than %u bytes; split it into drop-ins", path,
                           BH_POLICY_FILE_MAX);
    return judge_owner(st, path, why);
}

/* Reads a file that passes the rules into memory of its own. */
static int read_file(const char *path, struct bh_str *ret, const struct bh_why *why)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    _cleanup_free_ char *text = NULL;
    struct stat st;
    ssize_t n;
    int r;

    if (fd < 0 || fstat(fd, &st) < 0)
        return bh_why_fail(why, -errno, "the policy file %s cannot be opened: %s", path, strerror(errno));
    r = judge(&st, path, why);
    if (r < 0)
        return r;
    text = malloc(BH_POLICY_FILE_MAX + 1);
    if (!text)
        return bh_why_fail(why, -ENOMEM, "there is no memory for the policy");
    n = bh_read_file(fd, text, BH_POLICY_FILE_MAX);
    if (n < 0)
        return bh_why_fail(why, (int)n, "the policy file %s cannot be read: %s", path, strerror((int)-n));
    text[n] = '\0';
    *ret = (struct bh_str){ bh_take_ptr(text), (uint32_t)n };
    return 0;
}

int bh_policy_files_add(struct bh_policy_files *files, const char *path, bool drop_in, char *why_text,
                        size_t why_size)
{
    const struct bh_why why = { why_text, why_size };
    struct bh_pack_file file = { .drop_in = drop_in };
    int r;

    if (strlen(path) > BH_PACK_NAME_MAX || strpbrk(path, ":\""))
        return bh_why_fail(
            &why, -EINVAL,
            "the policy file %s has a name that cannot stand in messages; use at most %u bytes "
            "without ':' and quotes",
            path, BH_PACK_NAME_MAX);
    if (files->count == BH_POLICY_FILES_MAX)
        return bh_why_fail(&why, -E2BIG, "a policy has at most %u files; %s is one too many",
                           BH_POLICY_FILES_MAX, path);
    r = read_file(path, &file.text, &why);
    if (r < 0)
        return r;
    file.name.ptr = strdup(path);
    if (!file.name.ptr) {
        free((void *)(uintptr_t)file.text.ptr);
        return bh_why_fail(&why, -ENOMEM, "there is no memory for the policy");
    }
    file.name.len = (uint32_t)strlen(path);
    files->files[files->count++] = file;
    return 0;
}

static int is_drop_in(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), suffix = sizeof(SUFFIX) - 1;

    return entry->d_name[0] != '.' && len > suffix && strcmp(entry->d_name + len - suffix, SUFFIX) == 0;
}

/* By bytes: the same order under every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_all(struct bh_policy_files *files, const char *folder, const struct bh_why *why)
{
    struct dirent **entries = NULL;
    int n = scandir(folder, &entries, is_drop_in, by_name), r = 0;

    if (n < 0)
        return bh_why_fail(why, -errno, "the folder of drop-ins %s cannot be read: %s", folder,
                           strerror(errno));
    for (int i = 0; i < n; i++) {
        _cleanup_free_ char *path = NULL;

        if (r == 0 && asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0)
            r = bh_why_fail(why, -ENOMEM, "there is no memory for the policy");
        if (r == 0)
            r = bh_policy_files_add(files, path, true, why->text, why->size);
        free(entries[i]);
    }
    free(entries);
    return r;
}

static int add_drop_ins(struct bh_policy_files *files, const char *path, const struct bh_why *why)
{
    _cleanup_free_ char *folder = NULL;
    struct stat st;
    int r;

    if (asprintf(&folder, "%s.d", path) < 0)
        return bh_why_fail(why, -ENOMEM, "there is no memory for the policy");
    if (stat(folder, &st) < 0 && errno == ENOENT)
        return 0;
    if (stat(folder, &st) < 0)
        return bh_why_fail(why, -errno, "the folder of drop-ins %s cannot be read: %s", folder,
                           strerror(errno));
    r = judge_owner(&st, folder, why);
    return r < 0 ? r : add_all(files, folder, why);
}

int bh_policy_files_load(struct bh_policy_files *ret, const char *path, char *why_text, size_t why_size)
{
    const struct bh_why why = { why_text, why_size };
    int r;

    ret->count = 0;
    r = bh_policy_files_add(ret, path, false, why_text, why_size);
    if (r == 0)
        r = add_drop_ins(ret, path, &why);
    if (r < 0)
        bh_policy_files_free(ret);
    return r;
}

void bh_policy_files_free(struct bh_policy_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        free((void *)(uintptr_t)files->files[i].name.ptr);
        free((void *)(uintptr_t)files->files[i].text.ptr);
    }
    files->count = 0;
}
