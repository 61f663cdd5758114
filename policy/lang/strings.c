/* The table of strings.h: FNV-1a, linear probing, at most half full. */
#include "policy/lang/strings.h"

#include <errno.h>
#include <string.h>

int bh_strings_init(struct bh_strings *strings, struct bh_arena *arena, uint32_t n, size_t bytes)
{
    uint32_t size = 16;

    while (size < 2 * (n + 1))
        size *= 2;
    *strings = (struct bh_strings){ .mask = size - 1 };
    strings->bytes = bh_arena_alloc(arena, bytes + 1);
    strings->table = bh_arena_array(arena, size, sizeof(*strings->table));
    if (!strings->bytes || !strings->table)
        return -ENOMEM;
    (void)bh_strings_add(strings, BH_STR(""));
    return 0;
}

uint32_t bh_strings_add(struct bh_strings *strings, struct bh_str text)
{
    uint32_t hash = 2166136261u, offset = strings->len;

    for (uint32_t i = 0; i < text.len; i++)
        hash = (hash ^ (unsigned char)text.ptr[i]) * 16777619u;
    for (;; hash++) {
        uint32_t *place = &strings->table[hash & strings->mask];

        if (*place && strcmp(strings->bytes + *place - 1, text.ptr) != 0)
            continue;
        if (*place)
            return *place - 1;
        *place = offset + 1;
        memcpy(strings->bytes + offset, text.ptr, (size_t)text.len + 1);
        strings->len += text.len + 1;
        return offset;
    }
}
