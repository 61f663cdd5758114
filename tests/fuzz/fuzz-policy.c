/*
 * Any bytes as policy files: refused with an error, or compiled to a bundle that opens, whose
 * dump compiles again to the same slice. A line "----" begins a drop-in.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/lang/lang.h"

#define FILES_MAX 4
#define MEMORY_MAX (16u << 20)
#define CUT "\n----\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static int compile(const struct bh_pack_file *files, size_t n, struct bh_arena *arena, struct bh_bytes *ret)
{
    struct bh_policy_input input = { .files = files,
                                     .n_files = n,
                                     .passwd = BH_STR("root:x:0:0::/:\nwww:x:33:33::/:\n"),
                                     .group = BH_STR("a:x:4:www\n") };
    struct bh_diags diags = { .arena = arena };
    int r = bh_policy_compile(&input, &diags, ret);

    require(r == 0 || r < 0 || diags.n_errors > 0);
    require(r != 0 || diags.n_errors == 0);
    for (uint32_t i = 0; i < diags.n; i++)
        (void)bh_diag_line(&diags, &diags.items[i]);
    return r;
}

static size_t split(const char *text, size_t len, struct bh_pack_file *files)
{
    size_t n = 0;

    for (;;) {
        const char *end = n + 1 < FILES_MAX ? memmem(text, len, CUT, strlen(CUT)) : NULL;
        size_t piece = end ? (size_t)(end - text) + 1 : len;

        files[n] =
            (struct bh_pack_file){ .name = BH_STR("f"), .drop_in = n > 0, .text = { text, (uint32_t)piece } };
        n++;
        if (!end)
            return n;
        text = end + strlen(CUT);
        len -= piece + strlen(CUT) - 1;
    }
}

/* Everything but the digest, which is of the text. */
static void require_same(const struct bh_slice *a, const struct bh_slice *b)
{
    size_t tail = offsetof(struct bh_slice, only);

    require(a->size == b->size && memcmp(a, b, offsetof(struct bh_slice, digest)) == 0);
    require(memcmp((const char *)a + tail, (const char *)b + tail, a->size - tail) == 0);
}

static void round_trip(const struct bh_bundle *bundle, uint32_t i, struct bh_arena *arena)
{
    const struct bh_bundle_row *row = &bundle->rows[i];
    struct bh_pack_file file = { .name = BH_STR("dump") };
    const struct bh_bundle *again;
    struct bh_policy first, second;
    struct bh_bytes bytes;

    require(bh_policy_open(&first, (const char *)bundle + row->offset, row->size) == 0);
    if (bh_policy_dump(&first, row, arena, &file.text) < 0 || file.text.len > BH_POLICY_FILE_MAX)
        return;
    if (compile(&file, 1, arena, &bytes) < 0)
        return;
    require(bh_bundle_open(&again, bytes.ptr, bytes.len) == 0);
    require(bh_policy_open(&second, bytes.ptr + again->rows[0].offset, again->rows[0].size) == 0);
    require_same(first.slice, second.slice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_pack_file files[FILES_MAX];
    const struct bh_bundle *bundle;
    struct bh_arena arena;
    struct bh_bytes bytes;
    size_t n;

    bh_arena_init(&arena, MEMORY_MAX);
    n = split((const char *)data, size, files);
    if (compile(files, n, &arena, &bytes) == 0) {
        require(bh_bundle_open(&bundle, bytes.ptr, bytes.len) == 0);
        for (uint32_t i = 0; i < bundle->count; i++)
            round_trip(bundle, i, &arena);
    }
    bh_arena_deinit(&arena);
    return 0;
}
