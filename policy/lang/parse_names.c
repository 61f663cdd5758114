/* `interfaces` and `users`: patterns for what is listed by name, in rules that name only commands which list
 * it. */
#include "policy/lang/parser.h"
#include "protocol/commands.h"

/* One string of `interfaces` or `users`. */
static bool add_name(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row)
{
    struct bh_name_line *line, **end = &rule->names;
    struct bh_token token;
    const char *fails;

    if (!bh_parser_take(parser, BH_TOKEN_STRING, "a name or pattern in quotes", &token))
        return false;
    fails = bh_name_fails(row->listed, token.text.ptr, token.text.len);
    if (fails) {
        bh_error_at(parser->model->diags, token.pos, "this pattern matches nothing: %s", fails);
        return false;
    }
    if (rule->n_names == BH_NAMES_MAX) {
        bh_error_at(parser->model->diags, token.pos,
                    "one rule has at most %u patterns in `%s`: use wildcards, or write another rule",
                    BH_NAMES_MAX, row->name);
        return false;
    }
    line = bh_model_alloc(parser->model, sizeof(*line));
    if (!line)
        return false;
    while (*end)
        end = &(*end)->next;
    *line = (struct bh_name_line){ .text = token.text };
    *end = line;
    rule->n_names++;
    return true;
}

bool bh_parser_names(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row)
{
    do
        if (!add_name(parser, rule, row))
            return false;
    while (parser->token.kind == BH_TOKEN_STRING);
    return true;
}

bool bh_parser_names_fit(struct bh_parser *parser, const struct bh_rule_line *rule)
{
    struct bh_str commands = BH_STR("");

    for (unsigned i = 0; i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain != BH_DOMAIN_NAMES || !(rule->given & 1ull << row->slot) ||
            bh_mask_lists(rule->targets.mask) == (enum bh_listed)row->listed)
            continue;
        for (unsigned k = 0; k < BH_CMD_COUNT && commands.ptr; k++)
            if (bh_command_lists(k) == (enum bh_listed)row->listed)
                commands = bh_arena_printf(parser->model->arena, "%s%s%s", commands.ptr,
                                           commands.len ? ", " : "", bh_commands[k].name);
        bh_error_at(parser->model->diags, rule->pos,
                    "`%s` chooses among what is listed by %s: let the rule name nothing else, and write "
                    "another rule for the other commands",
                    row->name, commands.ptr ? commands.ptr : "a command");
        return false;
    }
    return true;
}
