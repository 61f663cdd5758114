/*
 * `mount`, `exclude` and `required`: in rules of @freeze and @trim. Thawing and the state of freezing, which
 * are of @freeze too, are never limited: an allow grants them as they are, a deny leaves them alone.
 */
#include "policy/lang/parser.h"
#include "policy/mounts.h"
#include "protocol/commands.h"

void bh_mask_keep_mounts(uint64_t mask[2])
{
    for (unsigned command = 0; command < BH_CMD_COUNT; command++)
        if (!bh_acts_on_mounts(command))
            mask[command / 64] &= ~(1ull << (command % 64));
}

/* The commands that act on mounts, for a message. */
static const char *list_commands(struct bh_parser *parser, bool (*belongs)(unsigned command))
{
    struct bh_str list = BH_STR("");

    for (unsigned i = 0; i < BH_CMD_COUNT && list.ptr; i++)
        if (belongs(i))
            list = bh_arena_printf(parser->model->arena, "%s%s%s", list.ptr, list.len ? ", " : "",
                                   bh_commands[i].name);
    return list.ptr ? list.ptr : "commands";
}

bool bh_parser_mounts_fit(struct bh_parser *parser, const struct bh_rule_line *rule)
{
    if (!bh_rule_given(rule, BH_DOMAIN_MOUNTS))
        return true;
    if (!bh_mask_about_mounts(rule->targets.mask, false)) {
        bh_error_at(parser->model->diags, rule->pos,
                    "the settings of this rule speak of mounts: let it name %s, @freeze or @trim, and write "
                    "another rule for the other commands",
                    list_commands(parser, bh_acts_on_mounts));
        return false;
    }
    if (rule->given & 1ull << BH_SLOT_REQUIRED && !bh_mask_freezes(rule->targets.mask)) {
        bh_error_at(parser->model->diags, rule->pos,
                    "this rule freezes nothing, so `required` has no meaning in it: remove it, or name %s or "
                    "@freeze as well",
                    list_commands(parser, bh_freezes_mounts));
        return false;
    }
    return true;
}
