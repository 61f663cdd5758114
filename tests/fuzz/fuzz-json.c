/*
 * Text -> struct -> text, over the argument types of every command.
 *
 * The input goes through the lexer as the front does it; what it lets through is converted
 * for every command. What is accepted must come out as text that is accepted again and comes
 * out the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/base/mem.h"
#include "protocol/commands.h"
#include "protocol/json/convert.h"
#include "protocol/json/lexer.h"

#define ARENA_LIMIT (8u << 20)
#define OUT_LIMIT (8u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static bool lift(void *context, unsigned which, const char *data, size_t len)
{
    (void)context;
    (void)which;
    (void)data;
    (void)len;
    return true;
}

/* The text of a struct, wrapped as a request, is lexed and converted again; `out` gets the text of the
 * result. */
static void again(const struct bh_type *type, uint64_t lifted, const struct bh_out *first, struct bh_out *out)
{
    struct bh_lexer *lexer = bh_lexer_new(NULL, NULL);
    struct bh_arena arena;
    struct bh_error error;
    struct bh_text text;
    struct bh_out input;
    void *value = calloc(1, type->size);
    size_t eaten;
    bool half;

    require(lexer && value);
    bh_arena_init(&arena, ARENA_LIMIT);
    bh_out_init(&input, OUT_LIMIT + 64);
    bh_out_raw(&input, "{\"arguments\":", 13);
    bh_out_raw(&input, first->data, first->len);
    bh_out_raw(&input, "}", 1);
    require(bh_lexer_feed(lexer, input.data, input.len, &eaten, &text, &error, &half) == BH_LEX_REQUEST);
    require(bh_json_to_struct(type, text.text + text.arguments.at, text.arguments.len, text.members, lifted,
                              &arena, value, &error) == 0);
    bh_struct_to_json(type, value, false, out);
    bh_out_deinit(&input);
    bh_arena_deinit(&arena);
    bh_lexer_free(lexer);
    free(value);
}

/* Secret fields come out as empty strings, which is what stands in the text when they were lifted. */
static void try_type(const struct bh_type *type, const struct bh_text *text)
{
    struct bh_arena arena;
    struct bh_error error;
    struct bh_out first, second;
    void *value = calloc(1, type->size);
    int r;

    require(value);
    bh_arena_init(&arena, ARENA_LIMIT);
    bh_out_init(&first, OUT_LIMIT);
    bh_out_init(&second, OUT_LIMIT);
    r = bh_json_to_struct(type, text->text + text->arguments.at, text->arguments.len, text->members,
                          text->lifted, &arena, value, &error);
    require(r <= 0 || r == error.code);
    if (r == 0) {
        bh_struct_to_json(type, value, false, &first);
        require(!first.failed);
        if (!text->lifted) {
            again(type, 0, &first, &second);
            require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        }
    }
    bh_out_deinit(&first);
    bh_out_deinit(&second);
    bh_arena_deinit(&arena);
    free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bh_lexer *lexer = bh_lexer_new(lift, NULL);
    struct bh_error error;
    struct bh_text text;
    size_t eaten;
    unsigned i;
    bool half;

    require(lexer);
    if (bh_lexer_feed(lexer, (const char *)data, size, &eaten, &text, &error, &half) == BH_LEX_REQUEST &&
        text.arguments.len > 0)
        for (i = 0; i < BH_CMD_COUNT; i++)
            if (bh_commands[i].args)
                try_type(bh_commands[i].args, &text);
    bh_lexer_free(lexer);
    return 0;
}
