/* What a rule for guest-exec says: its settings but for single values, and whether they go together. */
#include <string.h>

#include "policy/environ.h"
#include "policy/lang/parser.h"
#include "protocol/commands.h"

static bool at_setting_end(const struct bh_parser *parser)
{
    return parser->token.kind == BH_TOKEN_LINE || parser->token.kind == BH_TOKEN_CLOSE ||
           parser->token.kind == BH_TOKEN_END;
}

/* Is this a text for this setting? Reports otherwise. */
static bool text_fits(struct bh_parser *parser, const struct bh_setting_row *row,
                      const struct bh_token *token)
{
    const char *text = token->text.ptr, *why = NULL;

    if (row->slot == BH_SLOT_ENV && !bh_env_name_ok(text, token->text.len))
        why = "this is no name of a variable: letters, digits and _, no digit first";
    else if (row->slot == BH_SLOT_ENV && bh_env_is_refused(text, token->text.len))
        why = "a client may never set this variable, for it can turn the program into another one: remove it";
    else if (row->slot == BH_SLOT_SHA256 &&
             (token->text.len != 64 || strspn(text, "0123456789abcdefABCDEF") != 64))
        why = "a digest has 64 hexadecimal digits, as sha256sum prints them";
    else if (row->slot == BH_SLOT_ARGV0 && token->text.len == 0)
        why = "a program has a name: write one, or remove `argv0`";
    else if (row->slot != BH_SLOT_ENV && row->slot != BH_SLOT_SHA256 && row->slot != BH_SLOT_ARGV0 &&
             !bh_path_is_clean(text, token->text.len))
        why = BH_PATH_HINT;
    else if (row->slot == BH_SLOT_PROGRAM && token->text.len == 1)
        why = "this is a folder and no program";
    if (why)
        bh_error_at(parser->model->diags, token->pos, "%s", why);
    return !why;
}

static struct bh_texts *texts_of(struct bh_rule_line *rule, const struct bh_setting_row *row)
{
    switch (row->slot) {
    case BH_SLOT_PROGRAM:
        return &rule->exec.programs;
    case BH_SLOT_ENV:
        return &rule->exec.env;
    case BH_SLOT_RUN_GROUPS:
        return &rule->exec.groups;
    default:
        return &rule->exec.sockets;
    }
}

static bool add_text(struct bh_parser *parser, struct bh_texts *texts, const struct bh_setting_row *row,
                     const struct bh_token *token, uint32_t most)
{
    struct bh_name_line *line = bh_model_alloc(parser->model, sizeof(*line)), **end = &texts->first;

    if (!line)
        return false;
    if (texts->n++ == most) {
        bh_error_at(parser->model->diags, token->pos, "one rule has at most %u in `%s`: write another rule",
                    most, row->name);
        return false;
    }
    while (*end)
        end = &(*end)->next;
    *line = (struct bh_name_line){ .text = token->text, .pos = token->pos };
    *end = line;
    return true;
}

static bool parse_texts(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row)
{
    struct bh_texts *texts = texts_of(rule, row);
    struct bh_pos pos = parser->token.pos;
    struct bh_token token;

    if (row->any && bh_parser_accept(parser, "any"))
        texts->any = true;
    else
        do
            if (!bh_parser_take(parser, BH_TOKEN_STRING,
                                row->any ? "one or more strings, or `any`," : "one or more strings",
                                &token) ||
                !text_fits(parser, row, &token) || !add_text(parser, texts, row, &token, BH_EXEC_WORDS_MAX))
                return false;
        while (parser->token.kind == BH_TOKEN_STRING);
    if (!texts->any || texts->n == 0)
        return true;
    bh_error_at(parser->model->diags, pos, "`%s any` leaves nothing to name: keep one of the two", row->name);
    return false;
}

static bool parse_groups(struct bh_parser *parser, struct bh_rule_line *rule,
                         const struct bh_setting_row *row)
{
    struct bh_token token;

    if (bh_parser_accept(parser, "none"))
        return true;
    do {
        if (!bh_parser_take(parser, BH_TOKEN_WORD, "names of groups, or `none`,", &token))
            return false;
        if (token.text.len > BH_POLICY_NAME_MAX || strpbrk(token.text.ptr, ":/@+=%")) {
            bh_error_at(parser->model->diags, token.pos, "'%.64s' is no name of a group", token.text.ptr);
            return false;
        }
        if (!add_text(parser, &rule->exec.groups, row, &token, BH_GROUPS_MAX))
            return false;
    } while (!at_setting_end(parser));
    return true;
}

static bool parse_args(struct bh_parser *parser, struct bh_rule_line *rule)
{
    struct bh_arg_line **end = &rule->exec.args;

    while (*end)
        end = &(*end)->next;
    do {
        struct bh_pos pos = parser->token.pos;

        if (!bh_parser_arg(parser, end))
            return false;
        end = &(*end)->next;
        if (rule->exec.n_args++ == BH_EXEC_ARGS_MAX) {
            bh_error_at(parser->model->diags, pos,
                        "`args` has at most %u positions: let `rest` speak of the others", BH_EXEC_ARGS_MAX);
            return false;
        }
    } while (!at_setting_end(parser));
    return true;
}

static bool parse_text(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row)
{
    struct bh_str *place = row->slot == BH_SLOT_SHA256 ? &rule->exec.sha256
                           : row->slot == BH_SLOT_CWD  ? &rule->exec.cwd
                                                       : &rule->exec.argv0;
    struct bh_token token;

    if (!bh_parser_take(parser, BH_TOKEN_STRING, "one string", &token) || !text_fits(parser, row, &token))
        return false;
    *place = token.text;
    return true;
}

bool bh_parser_exec(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row)
{
    switch ((enum bh_setting_type)row->type) {
    case BH_TYPE_TEXTS:
        return parse_texts(parser, rule, row);
    case BH_TYPE_GROUPS:
        return parse_groups(parser, rule, row);
    case BH_TYPE_ARGS:
        return parse_args(parser, rule);
    case BH_TYPE_REST:
        return bh_parser_accept(parser, "none") || bh_parser_arg(parser, &rule->exec.rest);
    default:
        return parse_text(parser, rule, row);
    }
}

static bool says(const struct bh_rule_line *rule, enum bh_rule_slot slot)
{
    return rule->given & 1ull << slot;
}

/* Only guest-exec, and the command that asks what became of it. */
static bool runs_only(const uint64_t mask[2])
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        if (bh_mask_has(mask, i) && i != BH_CMD_GUEST_EXEC && i != BH_CMD_GUEST_EXEC_STATUS)
            return false;
    return bh_mask_has(mask, BH_CMD_GUEST_EXEC);
}

/* NULL, or why an allow cannot be as it is. */
static const char *allow_fails(const struct bh_rule_line *rule)
{
    uint64_t sandbox = rule->values[BH_SLOT_SANDBOX];
    bool open = sandbox == BH_SANDBOX_PLAIN || sandbox == BH_SANDBOX_NONE;

    if (!says(rule, BH_SLOT_PROGRAM))
        return "this rule does not say what may be run: add `program \"/path\"`, or `program any`";
    if (rule->exec.programs.any && says(rule, BH_SLOT_SHA256))
        return "`sha256` is the digest of one program, and this rule has `program any`: keep one of the two";
    if (open && !rule->user.ptr)
        return "`sandbox plain` and `sandbox none` have no user of their own: add `user NAME`";
    if (open && says(rule, BH_SLOT_SOCKET))
        return "`socket` has no meaning in `sandbox plain` and `sandbox none`, where a program may connect "
               "to every "
               "socket: remove it";
    if (sandbox == BH_SANDBOX_NONE && says(rule, BH_SLOT_NET) && !rule->values[BH_SLOT_NET])
        return "`sandbox none` has the guest's network: remove `net none`, or take another sandbox";
    return NULL;
}

bool bh_parser_exec_fits(struct bh_parser *parser, const struct bh_rule_line *rule)
{
    bool runs = bh_mask_has(rule->targets.mask, BH_CMD_GUEST_EXEC), allow = rule->effect == BH_EFFECT_ALLOW;
    const char *why = NULL;

    if (!bh_rule_given(rule, BH_DOMAIN_EXEC)) {
        if (allow && runs)
            why = "guest-exec is granted program by program: give it a rule of its own with a block, such as "
                  "`allow guest-exec { program \"/usr/bin/uptime\" }`";
    } else if (!runs_only(rule->targets.mask)) {
        why = "the settings of this rule speak of running programs: let it name guest-exec or @exec, and "
              "write another "
              "rule for the other commands";
    } else if (allow) {
        why = allow_fails(rule);
    }
    if (why)
        bh_error_at(parser->model->diags, rule->pos, "%s", why);
    return !why;
}

void bh_parser_exec_settle(struct bh_rule_line *rule)
{
    if (!bh_rule_given(rule, BH_DOMAIN_EXEC))
        return;
    if (rule->effect == BH_EFFECT_DENY) { /* what became of an execution is not asked of a program */
        memset(rule->targets.mask, 0, sizeof(rule->targets.mask));
        bh_mask_add(rule->targets.mask, BH_CMD_GUEST_EXEC);
    }
    for (unsigned i = 0; i < bh_n_settings && rule->effect == BH_EFFECT_ALLOW; i++)
        if (bh_settings[i].domain == BH_DOMAIN_EXEC && !says(rule, bh_settings[i].slot))
            rule->values[bh_settings[i].slot] =
                bh_setting_initial(&bh_settings[i], (enum bh_sandbox)rule->values[BH_SLOT_SANDBOX]);
}
