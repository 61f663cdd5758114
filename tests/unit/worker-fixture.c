/* The fixture of worker-fixture.h. */
#include "tests/unit/worker-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ftw.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy/lang/lang.h"

static void expand(char *out, size_t cap, const char *text, const char *dir)
{
    size_t used = 0;

    while (*text && used < cap - 64) {
        if (strncmp(text, "$DIR", 4) == 0) {
            used += (size_t)snprintf(out + used, cap - used, "%s", dir);
            text += 4;
        } else {
            out[used++] = *text++;
        }
    }
    out[used] = '\0';
}

void policy_from(struct bh_policy *ret, const char *text, const char *dir)
{
    static struct bh_arena arena;
    static char whole[8192];
    struct bh_pack_file file = { 0 };
    struct bh_policy_input input = { .files = &file, .n_files = 1 };
    struct bh_diags diags = { .arena = &arena };
    const struct bh_bundle *bundle;
    struct bh_bytes bytes;
    int r;

    bh_arena_deinit(&arena);
    bh_arena_init(&arena, BH_POLICY_MEMORY_MAX);
    expand(whole, sizeof(whole), text, dir);
    file.name = BH_STR("test");
    file.text = (struct bh_str){ whole, (uint32_t)strlen(whole) };
    input.passwd = BH_STR("root:x:0:0::/:/bin/sh\n");
    input.group = BH_STR("root:x:0:\n");
    r = bh_policy_compile(&input, &diags, &bytes);
    for (uint32_t i = 0; r && i < diags.n; i++)
        print_error("%s\n", bh_diag_line(&diags, &diags.items[i]).ptr);
    assert_int_equal(r, 0);
    assert_int_equal(bh_bundle_open(&bundle, bytes.ptr, bytes.len), 0);
    assert_int_equal(bh_policy_open(ret, bytes.ptr + bundle->rows[0].offset, bundle->rows[0].size), 0);
}

void worker_init(struct bh_worker *worker, struct records *records, const char *policy, const char *dir)
{
    static struct bh_boot boot;
    static struct bh_state state;
    static const struct bh_frozen thawed;
    int pair[2];

    boot = (struct bh_boot){ .source = 18 };
    state = (struct bh_state){ 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    *worker = (struct bh_worker){ .boot = &boot, .state = &state, .frozen = &thawed };
    worker->audit = (struct bh_audit){ .fd = pair[1], .source = 18, .state = &state };
    records->fd = pair[0];
    if (policy)
        policy_from(&worker->policy, policy, dir);
}

void worker_deinit(struct bh_worker *worker, struct records *records)
{
    (void)close(worker->audit.fd);
    (void)close(records->fd);
}

bool records_next(struct records *records)
{
    ssize_t n = recv(records->fd, records->data, sizeof(records->data), MSG_DONTWAIT);

    if (n <= 0)
        return false;
    assert_int_equal(bh_record_parse(records->data, (size_t)n, &records->last, records->counts), 0);
    return true;
}

void dir_make(char ret[64])
{
    strcpy(ret, "/tmp/bulkhead-test-XXXXXX");
    assert_non_null(mkdtemp(ret));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void dir_remove(const char *dir)
{
    (void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void dir_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}
