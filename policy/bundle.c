/* Verification of a bundle's directory: the rows one after the other, each in its place, no two alike. */
#include <errno.h>
#include <string.h>

#include "policy/blobexec.h"

static bool way_ok(const struct bh_bundle_row *row)
{
    return bh_blob_field_ok(row->method, sizeof(row->method)) &&
           bh_blob_field_ok(row->path, sizeof(row->path)) &&
           !bh_channel_way_fails(row->name, row->method, row->path);
}

/* Do two channels have the same name, or the same way? */
static bool rows_clash(const struct bh_bundle_row *a, const struct bh_bundle_row *b)
{
    return strcmp(a->name, b->name) == 0 ||
           (a->method[0] && strcmp(a->method, b->method) == 0 && strcmp(a->path, b->path) == 0);
}

int bh_bundle_open(const struct bh_bundle **ret, const void *data, size_t size)
{
    const struct bh_bundle *bundle = data;
    size_t at;

    if (size < sizeof(*bundle) || size > BH_POLICY_SIZE_MAX || (uintptr_t)data % 8 != 0)
        return -EBADMSG;
    if (bundle->magic != BH_BUNDLE_MAGIC || bundle->format != BH_POLICY_FORMAT || bundle->size != size)
        return -EBADMSG;
    if (bundle->count == 0 || bundle->count > BH_CHANNELS_MAX)
        return -EBADMSG;
    at = sizeof(*bundle) + bundle->count * sizeof(bundle->rows[0]);
    for (uint32_t i = 0; i < bundle->count; i++) {
        const struct bh_bundle_row *row = &bundle->rows[i];

        if (at > size || row->offset != at || row->size > size - at || row->size % 8 != 0)
            return -EBADMSG;
        if (!bh_blob_channel_ok(row->name) || !way_ok(row))
            return -EBADMSG;
        for (uint32_t k = 0; k < i; k++)
            if (rows_clash(row, &bundle->rows[k]))
                return -EBADMSG;
        at += row->size;
    }
    if (at != size)
        return -EBADMSG;
    *ret = bundle;
    return 0;
}
