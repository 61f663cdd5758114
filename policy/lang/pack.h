/*
 * Policy files on their way to the compiler: one piece of sealed memory.
 *
 * Layout: magic, count (u32 each); then for each file four u32 (bytes of the name,
 * bytes of the text, 1 for a drop-in, 0), the name, the text, and zeros up to a
 * multiple of 4; then nothing.
 *
 * Trust: in = CONFIG (verified as if PEER); out = CHECKED (shape only; the text is the
 *        compiler's business); called by = supervisor, bulkheadctl (write), policyc (read)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/arena.h"

#define BH_PACK_FILES_MAX 1024u      /* more than a policy may have: the compiler says so in words */
#define BH_PACK_NAME_MAX 255u        /* bytes; printable, no ':' and no '"': a name stands in messages */
#define BH_PACK_SIZE_MAX (32u << 20) /* bytes of a pack */

struct bh_pack_file {
    struct bh_str name; /* as messages show it: "/etc/bulkhead/policy" */
    bool drop_in;
    struct bh_str text;
};

/* Bytes of the pack, or 0 if a name or the whole breaks a limit. */
size_t bh_pack_size(const struct bh_pack_file *files, size_t n);

/* Writes bh_pack_size() bytes to `out`. */
void bh_pack_write(const struct bh_pack_file *files, size_t n, void *out);

/* The files of a pack, pointing into `data` (4-byte aligned); the list is the arena's. 0, -EBADMSG, -ENOMEM.
 */
int bh_pack_read(const void *data, size_t size, struct bh_arena *arena, struct bh_pack_file **ret_files,
                 size_t *ret_n);
