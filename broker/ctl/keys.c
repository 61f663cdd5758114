/* The reader of keys.h. */
#include "broker/ctl/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/mem.h"

static bool parse(const char *line, struct ctl_key *ret)
{
    char hex[BH_CHAIN_HEX + 2];

    return sscanf(line, "%" SCNu64 " %65s", &ret->segment, hex) == 2 && strlen(hex) == BH_CHAIN_HEX &&
           bh_chain_unhex(hex, BH_CHAIN_HEX, ret->key);
}

int ctl_keys_read(struct ctl_keys *ret, int dir, const char *path)
{
    _cleanup_fclose_ FILE *file = NULL;
    int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
    char line[256];

    *ret = (struct ctl_keys){ 0 };
    file = fd < 0 ? NULL : fdopen(fd, "r");
    if (!file)
        return -errno;
    while (fgets(line, sizeof(line), file)) {
        struct ctl_key key, *more;

        if (!parse(line, &key))
            continue;
        more = reallocarray(ret->keys, ret->n + 1, sizeof(key));
        if (!more)
            return -ENOMEM;
        ret->keys = more;
        ret->keys[ret->n++] = key;
    }
    explicit_bzero(line, sizeof(line));
    return 0;
}

void ctl_keys_free(struct ctl_keys *keys)
{
    if (keys->keys)
        explicit_bzero(keys->keys, keys->n * sizeof(*keys->keys));
    free(keys->keys);
}

const struct ctl_key *ctl_keys_find(const struct ctl_keys *keys, uint64_t segment)
{
    const struct ctl_key *found = NULL;

    for (size_t i = 0; i < keys->n; i++)
        if (keys->keys[i].segment <= segment && (!found || keys->keys[i].segment >= found->segment))
            found = &keys->keys[i];
    return found;
}
