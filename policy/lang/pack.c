/* Writer and reader of pack.h. */
#include "policy/lang/pack.h"

#include <errno.h>
#include <string.h>

#define PACK_MAGIC 0x4b504842u

struct pack_head {
    uint32_t magic, count;
};

struct pack_row {
    uint32_t name_len, text_len, drop_in, zero;
};

static size_t padded(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

static bool name_ok(const char *name, size_t len)
{
    if (len == 0 || len > BH_PACK_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++)
        if (name[i] <= ' ' || name[i] > '~' || strchr("\":\\", name[i]))
            return false;
    return true;
}

size_t bh_pack_size(const struct bh_pack_file *files, size_t n)
{
    size_t size = sizeof(struct pack_head);

    if (n > BH_PACK_FILES_MAX)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!name_ok(files[i].name.ptr, files[i].name.len) || files[i].text.len > BH_PACK_SIZE_MAX)
            return 0;
        size += sizeof(struct pack_row) + padded((size_t)files[i].name.len + files[i].text.len);
        if (size > BH_PACK_SIZE_MAX)
            return 0;
    }
    return size;
}

void bh_pack_write(const struct bh_pack_file *files, size_t n, void *out)
{
    struct pack_head head = { PACK_MAGIC, (uint32_t)n };
    char *p = out;

    memcpy(p, &head, sizeof(head));
    p += sizeof(head);
    for (size_t i = 0; i < n; i++) {
        struct pack_row row = { files[i].name.len, files[i].text.len, files[i].drop_in, 0 };
        size_t len = (size_t)row.name_len + row.text_len;

        memcpy(p, &row, sizeof(row));
        p += sizeof(row);
        memcpy(p, files[i].name.ptr, row.name_len);
        if (row.text_len > 0)
            memcpy(p + row.name_len, files[i].text.ptr, row.text_len);
        memset(p + len, 0, padded(len) - len);
        p += padded(len);
    }
}

/* One file at `p`; bytes it takes, or 0. */
static size_t read_file(const char *p, size_t left, struct bh_pack_file *ret)
{
    struct pack_row row;
    size_t len;

    if (left < sizeof(row))
        return 0;
    memcpy(&row, p, sizeof(row));
    p += sizeof(row);
    left -= sizeof(row);
    if (row.drop_in > 1 || row.zero != 0 || row.name_len > left || row.text_len > left - row.name_len)
        return 0;
    len = (size_t)row.name_len + row.text_len;
    if (padded(len) > left || !name_ok(p, row.name_len))
        return 0;
    for (size_t i = len; i < padded(len); i++)
        if (p[i] != '\0')
            return 0;
    *ret = (struct bh_pack_file){ .name = { p, row.name_len },
                                  .drop_in = row.drop_in,
                                  .text = { p + row.name_len, row.text_len } };
    return sizeof(row) + padded(len);
}

int bh_pack_read(const void *data, size_t size, struct bh_arena *arena, struct bh_pack_file **ret_files,
                 size_t *ret_n)
{
    size_t at = sizeof(struct pack_head);
    struct bh_pack_file *files;
    struct pack_head head;

    if (size < sizeof(head) || size > BH_PACK_SIZE_MAX)
        return -EBADMSG;
    memcpy(&head, data, sizeof(head));
    if (head.magic != PACK_MAGIC || head.count > BH_PACK_FILES_MAX)
        return -EBADMSG;
    files = bh_arena_array(arena, head.count, sizeof(*files));
    if (!files)
        return -ENOMEM;
    for (uint32_t i = 0; i < head.count; i++) {
        size_t taken = read_file((const char *)data + at, size - at, &files[i]);

        if (taken == 0)
            return -EBADMSG;
        at += taken;
    }
    if (at != size)
        return -EBADMSG;
    *ret_files = files;
    *ret_n = head.count;
    return 0;
}
