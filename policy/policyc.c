/*
 * bulkhead-policyc: the one process that parses policy text. Packed files in
 * (BH_FD_POLICY), a bundle out (BH_FD_PEER), findings on descriptor 2. It is confined
 * before it looks at its input, holds no privilege, and ends after one policy: 0, or 1
 * if the text has errors (BH_FD_PEER is then empty).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "policy/confine/profiles.h"
#include "policy/lang/lang.h"
#include "policy/profiles.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/boot.h"

#define ACCOUNTS_MAX (4u << 20) /* bytes of /etc/passwd or /etc/group */
#define EXIT_INPUT 78           /* not started as the supervisor starts it */

/* The pack is read, not mapped: what a writer might still change is a copy here. */
static void read_pack(struct bh_arena *arena, struct bh_policy_input *input)
{
    struct bh_pack_file *files;
    void *data = malloc(BH_PACK_SIZE_MAX);
    ssize_t size = data ? bh_read_file(BH_FD_POLICY, data, BH_PACK_SIZE_MAX) : -ENOMEM;
    int r = size < 0 ? (int)size : bh_pack_read(data, (size_t)size, arena, &files, &input->n_files);

    if (r < 0)
        bh_die(EXIT_INPUT, "the packed policy cannot be read: %s", strerror(-r));
    input->files = files;
}

/* An account file that cannot be read is empty: its accounts do not exist, and the compiler says so. */
static struct bh_str read_accounts(const char *path)
{
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *text = malloc(ACCOUNTS_MAX);
    ssize_t size = fd >= 0 && text ? bh_read_file(fd, text, ACCOUNTS_MAX) : -ENOENT;

    if (size >= 0)
        return (struct bh_str){ text, (uint32_t)size };
    bh_log(BH_LOG_WARNING, "%s cannot be read: its accounts count as missing", path);
    return BH_STR("");
}

static int say(const struct bh_diags *diags)
{
    for (uint32_t i = 0; i < diags->n; i++) {
        struct bh_str line = bh_diag_line(diags, &diags->items[i]);
        int r = line.ptr ? bh_write_all(STDERR_FILENO, line.ptr, line.len) : -ENOMEM;

        if (r == 0)
            r = bh_write_all(STDERR_FILENO, "\n", 1);
        if (r < 0)
            return r;
    }
    return 0;
}

int main(void)
{
    struct bh_arena arena;
    struct bh_diags diags = { .arena = &arena };
    struct bh_policy_input input = { .profiles = bh_profiles, .n_profiles = bh_n_profiles };
    struct bh_bytes bundle;
    int compiled, r;

    bh_log_init("bulkhead-policyc", BH_LOG_NOTICE);
    (void)bh_confine_self(&bh_profile_policyc, &bh_filter_policyc, bh_boot_map(), bh_profile_policyc.paths,
                          bh_profile_policyc.n_paths, 0, 0);
    bh_arena_init(&arena, BH_POLICY_MEMORY_MAX);
    read_pack(&arena, &input);
    input.passwd = read_accounts("/etc/passwd");
    input.group = read_accounts("/etc/group");
    compiled = bh_policy_compile(&input, &diags, &bundle);
    if (compiled < 0)
        bh_die(1, "the policy cannot be compiled: %s", strerror(-compiled));
    r = say(&diags);
    if (r == 0 && compiled == 0)
        r = bh_write_all(BH_FD_PEER, bundle.ptr, bundle.len);
    if (r < 0)
        bh_die(1, "the result cannot be written: %s", strerror(-r));
    return compiled;
}
