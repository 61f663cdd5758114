/*
 * The request's own members: where `execute`, `id` and `arguments` stand in the text, which
 * arguments are lifted, and how many members `arguments` has.
 */
#include <string.h>

#include "protocol/codes.h"
#include "protocol/json/lexer_state.h"

static bool in_arguments(const struct bh_lexer *lexer)
{
    return lexer->member == BH_MEMBER_ARGUMENTS && lexer->depth >= 2;
}

static bool name_is(const char *name, size_t len, const char *wanted)
{
    return len == strlen(wanted) && memcmp(name, wanted, len) == 0;
}

static void see(struct bh_lexer *lexer, bool *has, enum bh_member member)
{
    lexer->text.repeated |= *has;
    *has = true;
    lexer->member = (uint8_t)member;
}

static void envelope_member(struct bh_lexer *lexer, const char *name, size_t len)
{
    struct bh_text *text = &lexer->text;

    lexer->which = -1;
    if (name_is(name, len, "execute"))
        see(lexer, &text->has_execute, BH_MEMBER_EXECUTE);
    else if (name_is(name, len, "id"))
        see(lexer, &text->has_id, BH_MEMBER_ID);
    else if (name_is(name, len, "arguments"))
        see(lexer, &text->has_arguments, BH_MEMBER_ARGUMENTS);
    else
        lexer->member = BH_MEMBER_UNKNOWN;
    if (lexer->member == BH_MEMBER_UNKNOWN && text->unknown.len == 0)
        text->unknown = len ? (struct bh_span){ lexer->token_at + 1, (uint32_t)len }
                            : (struct bh_span){ lexer->token_at, 2 };
}

/* Canonical names hold a plain name as it is: escapes of plain characters are undone in them. */
static int find_lifted(const char *name, size_t len)
{
    unsigned i;

    for (i = 0; i < bh_n_lifted; i++)
        if (name_is(name, len, bh_lifted[i].name))
            return (int)i;
    return -1;
}

enum bh_step bh_envelope_key(struct bh_lexer *lexer)
{
    const char *name = lexer->canon.data + lexer->token_at + 1;
    size_t len = lexer->canon.len - lexer->token_at - 2;

    if (lexer->depth == 1)
        envelope_member(lexer, name, len);
    if (in_arguments(lexer)) {
        lexer->text.members++;
        if (lexer->depth == 2)
            lexer->which = lexer->lift ? find_lifted(name, len) : -1;
    }
    if (++lexer->total > BH_MEMBERS_MAX)
        return bh_lexer_fail(lexer, BH_E_JSON_MEMBERS, "the request has too many members and elements");
    return BH_STEP_ON;
}

bool bh_envelope_lifts(const struct bh_lexer *lexer)
{
    return in_arguments(lexer) && lexer->depth == 2 && lexer->which >= 0;
}

void bh_envelope_value_begins(struct bh_lexer *lexer, char first)
{
    if (lexer->depth == 0)
        lexer->text.is_object = first == '{';
    if (lexer->depth != 1 || lexer->member == BH_MEMBER_NONE)
        return;
    lexer->value_at = lexer->canon.len;
    if (lexer->member == BH_MEMBER_EXECUTE)
        lexer->text.execute_is_string = first == '"' || first == '\'';
}

void bh_envelope_value_ended(struct bh_lexer *lexer)
{
    struct bh_span span = { lexer->value_at, lexer->canon.len - lexer->value_at };

    if (lexer->depth != 1)
        return;
    if (lexer->member == BH_MEMBER_EXECUTE)
        lexer->text.execute = lexer->text.execute_is_string ? (struct bh_span){ span.at + 1, span.len - 2 }
                                                            : (struct bh_span){ 0 };
    else if (lexer->member == BH_MEMBER_ID)
        lexer->text.id = span;
    else if (lexer->member == BH_MEMBER_ARGUMENTS)
        lexer->text.arguments = span;
    lexer->member = BH_MEMBER_NONE;
}

enum bh_step bh_envelope_finish(struct bh_lexer *lexer)
{
    struct bh_span *execute = &lexer->text.execute;

    if (execute->len && memchr(lexer->canon.data + execute->at, '\\', execute->len) &&
        !bh_canon_undo_escapes(&lexer->canon, execute->at, execute->len, &execute->at, &execute->len))
        return bh_lexer_fail_size(lexer);
    lexer->canon.data[lexer->canon.len] = '\0';
    lexer->text.text = lexer->canon.data;
    lexer->text.len = lexer->canon.len;
    return BH_STEP_DONE;
}
