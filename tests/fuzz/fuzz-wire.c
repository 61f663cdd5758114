/*
 * Any bytes, taken as a message of each type of the schema, as an error payload and as text: they are
 * refused, or they are a value that encodes to the very same bytes. The arena's limit is low, so that a
 * message that costs more memory than it should shows as slow growth, not as none.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/err.h"
#include "protocol/commands.h"
#include "protocol/wire/codec.h"
#include "protocol/wire/frame.h"
#include "protocol/wire/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_type(const struct bh_type *type, const uint8_t *data, size_t size)
{
    struct bh_arena arena;
    struct bh_bytes again;
    void *value;

    bh_arena_init(&arena, 1u << 20);
    value = bh_arena_alloc(&arena, type->size);
    if (value && bh_decode(type, data, size, &arena, value) == 0) {
        struct bh_arena other;

        bh_arena_init(&other, size + 1);
        if (bh_encode(type, value, size, &other, &again) != 0 || again.len != size ||
            memcmp(again.ptr, data, size) != 0)
            abort();
        bh_arena_deinit(&other);
    }
    bh_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_error error;

    for (unsigned i = 0; i < bh_n_wire_types; i++)
        check_type(bh_wire_types[i], data, size);
    if (bh_error_parse(data, size, &error) == 0 && !bh_utf8_valid(error.text, strlen(error.text)))
        abort();
    (void)bh_utf8_valid((const char *)data, size);
    return 0;
}
