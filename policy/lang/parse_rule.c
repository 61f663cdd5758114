/* Rules: [rule NAME:] allow|deny TARGET, ... [on CHANNEL, ...] [except RULE, ...] [{ settings }]. */
#include <string.h>

#include "policy/lang/parser.h"
#include "protocol/commands.h"

#define NAME_HINT "a name with a colon (`rule NAME:`)"

static bool parse_name(struct bh_parser *parser, struct bh_rule_line *rule)
{
    struct bh_token token;

    if (!bh_parser_take(parser, BH_TOKEN_WORD, NAME_HINT, &token))
        return false;
    if (token.text.len < 2 || token.text.ptr[token.text.len - 1] != ':') {
        bh_error_at(parser->model->diags, token.pos, "a colon ends the name of a rule: write `rule %.32s:`",
                    token.text.ptr);
        return false;
    }
    token.text = bh_arena_str(parser->model->arena, token.text.ptr, token.text.len - 1);
    if (!token.text.ptr || !bh_parser_name_ok(parser, &token, "rule"))
        return false;
    rule->name = token.text;
    return true;
}

/* One string of `path`, `mount`, `exclude` or `required`. */
static bool add_path(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row,
                     enum bh_path_kind kind)
{
    struct bh_path_line *line, **end = &rule->paths;
    struct bh_token token;

    if (!bh_parser_take(parser, BH_TOKEN_STRING, "a path in quotes", &token))
        return false;
    if (!bh_path_is_clean(token.text.ptr, token.text.len)) {
        bh_error_at(parser->model->diags, token.pos, BH_PATH_HINT);
        return false;
    }
    line = bh_model_alloc(parser->model, sizeof(*line));
    if (!line)
        return false;
    while (*end)
        end = &(*end)->next;
    *line = (struct bh_path_line){ .text = token.text, .kind = kind, .use = row->use, .pos = token.pos };
    *end = line;
    return true;
}

static bool parse_path(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row)
{
    static const char *const kinds[] = { "is", "beneath", "glob" };
    enum bh_path_kind kind = BH_PATH_IS;
    struct bh_token token;

    while (kind <= BH_PATH_GLOB && !bh_parser_is_word(parser, kinds[kind]))
        kind++;
    if (kind > BH_PATH_GLOB)
        return bh_parser_expected(parser, "`is`, `beneath` or `glob`");
    bh_parser_advance(parser);
    if (parser->token.kind != BH_TOKEN_OPEN)
        return add_path(parser, rule, row, kind);
    bh_parser_advance(parser);
    bh_parser_skip_lines(parser);
    do
        if (!add_path(parser, rule, row, kind))
            return false;
    while (bh_parser_comma(parser));
    bh_parser_skip_lines(parser);
    return bh_parser_take(parser, BH_TOKEN_CLOSE, "a comma or } at the end of the set", &token);
}

static bool parse_user(struct bh_parser *parser, struct bh_rule_line *rule)
{
    struct bh_token token;

    if (!bh_parser_take(parser, BH_TOKEN_WORD, "the name of an account", &token))
        return false;
    if (token.text.len > BH_POLICY_NAME_MAX || strpbrk(token.text.ptr, ":/@+=")) {
        bh_error_at(parser->model->diags, token.pos, "'%.64s' is no name of an account", token.text.ptr);
        return false;
    }
    rule->user = token.text;
    rule->user_pos = token.pos;
    return true;
}

static bool parse_setting_value(struct bh_parser *parser, struct bh_rule_line *rule,
                                const struct bh_setting_row *row)
{
    switch ((enum bh_setting_type)row->type) {
    case BH_TYPE_PATH:
        return parse_path(parser, rule, row);
    case BH_TYPE_NAMES:
        return bh_parser_names(parser, rule, row);
    case BH_TYPE_USER:
        return parse_user(parser, rule);
    case BH_TYPE_WORDS:
        return bh_parser_words(parser, row, &rule->values[row->slot]);
    case BH_TYPE_TEXT:
    case BH_TYPE_TEXTS:
    case BH_TYPE_GROUPS:
    case BH_TYPE_ARGS:
    case BH_TYPE_REST:
        return bh_parser_exec(parser, rule, row);
    default:
        return bh_parser_value(parser, row, &rule->values[row->slot]);
    }
}

static bool parse_setting(struct bh_parser *parser, struct bh_rule_line *rule)
{
    struct bh_diags *diags = parser->model->diags;
    const struct bh_setting_row *row;
    struct bh_token token;
    uint64_t bit;

    if (!bh_parser_take(parser, BH_TOKEN_WORD, "the name of a setting, or }", &token))
        return false;
    row = bh_setting_of_rule(token.text.ptr, bh_mask_has(rule->targets.mask, BH_CMD_GUEST_EXEC));
    if (!row) {
        bh_error_at(diags, token.pos, "a rule has no setting '%.64s'", token.text.ptr);
        return false;
    }
    bit = 1ull << row->slot;
    if (row->merge != BH_MERGE_UNITE && rule->given & bit) {
        bh_error_at(diags, token.pos, "this rule says `%s` twice: keep one", row->name);
        return false;
    }
    if (rule->effect == BH_EFFECT_DENY && !row->deny) {
        bh_error_at(diags, token.pos, "a deny grants nothing, so `%s` has no meaning in it: remove it",
                    row->name);
        return false;
    }
    rule->given |= bit;
    return parse_setting_value(parser, rule, row);
}

/* Settings, one a line. After a bad one the block goes on. */
static bool parse_block(struct bh_parser *parser, struct bh_rule_line *rule)
{
    bool ok = true;

    bh_parser_advance(parser);
    for (;;) {
        bh_parser_skip_lines(parser);
        if (parser->token.kind == BH_TOKEN_CLOSE)
            break;
        if (parser->token.kind == BH_TOKEN_END) {
            bh_error_at(parser->model->diags, rule->pos,
                        "the block of this rule is not closed: a } is missing");
            return false;
        }
        if (parse_setting(parser, rule) &&
            (parser->token.kind == BH_TOKEN_LINE || parser->token.kind == BH_TOKEN_CLOSE ||
             bh_parser_expected(parser, "the end of the line (one setting a line)")))
            continue;
        ok = false;
        while (parser->token.kind != BH_TOKEN_END &&
               !(parser->depth == 1 &&
                 (parser->token.kind == BH_TOKEN_LINE || parser->token.kind == BH_TOKEN_CLOSE)))
            bh_parser_advance(parser);
    }
    bh_parser_advance(parser);
    return ok;
}

uint64_t bh_rule_given(const struct bh_rule_line *rule, enum bh_setting_domain domain)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < bh_n_settings; i++)
        if (bh_settings[i].domain == domain)
            bits |= 1ull << bh_settings[i].slot;
    return rule->given & bits;
}

/* Settings that the rule gives but that what it grants has no use for. */
static bool check_given(struct bh_parser *parser, struct bh_rule_line *rule)
{
    struct bh_diags *diags = parser->model->diags;

    if (!bh_parser_names_fit(parser, rule) || !bh_parser_mounts_fit(parser, rule) ||
        !bh_parser_exec_fits(parser, rule))
        return false;
    if (bh_rule_given(rule, BH_DOMAIN_FILE) &&
        (rule->targets.others || !bh_mask_has(rule->targets.mask, BH_CMD_GUEST_FILE_OPEN))) {
        bh_error_at(
            diags, rule->pos,
            "the settings of this rule speak of opening files: let it name guest-file-open, @file-read or "
            "@file-write, and write another rule for the other commands");
        return false;
    }
    for (unsigned i = 0; i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain != BH_DOMAIN_FILE || !(rule->given & 1ull << row->slot) || !row->verbs)
            continue;
        if (row->verbs & rule->values[BH_SLOT_VERBS])
            continue;
        bh_error_at(diags, rule->pos, "`%s` has no meaning beside the verbs that this rule grants: remove it",
                    row->name);
        return false;
    }
    return true;
}

/* Settles the verbs, what the rule leaves open, and whether it has conditions. */
static bool settle(struct bh_parser *parser, struct bh_rule_line *rule)
{
    struct bh_diags *diags = parser->model->diags;
    uint64_t *verbs = &rule->values[BH_SLOT_VERBS];
    bool allow = rule->effect == BH_EFFECT_ALLOW,
         opens = bh_mask_has(rule->targets.mask, BH_CMD_GUEST_FILE_OPEN);

    if (allow && rule->targets.bare_open && !(rule->given & 1ull << BH_SLOT_VERBS)) {
        bh_error_at(diags, rule->pos,
                    "this rule grants guest-file-open without saying for what: add `verbs read`, or name "
                    "@file-read or @file-write instead");
        return false;
    }
    if (!(rule->given & 1ull << BH_SLOT_VERBS))
        *verbs = bh_targets_verbs(&rule->targets);
    if (!check_given(parser, rule))
        return false;
    if (allow && *verbs & ~(uint64_t)BH_VERB_READ && !rule->user.ptr) {
        bh_error_at(diags, rule->pos,
                    "this rule grants more than reading, so it must say as whom: add `user NAME`");
        return false;
    }
    for (unsigned i = 0; allow && opens && i < bh_n_settings; i++)
        if (bh_settings[i].domain == BH_DOMAIN_FILE && bh_settings[i].merge == BH_MERGE_AGREE &&
            !(rule->given & 1ull << bh_settings[i].slot))
            rule->values[bh_settings[i].slot] = bh_settings[i].initial;
    rule->conditional = opens && (allow || rule->paths || *verbs != BH_VERB_ALL);
    bh_parser_exec_settle(rule);
    if (!allow && bh_rule_given(rule, BH_DOMAIN_MOUNTS))
        bh_mask_keep_mounts(rule->targets.mask);
    if (!allow && bh_rule_given(rule, BH_DOMAIN_FILE)) {
        /* these conditions can be judged for an open only: the others are not denied by them */
        memset(rule->targets.mask, 0, sizeof(rule->targets.mask));
        bh_mask_add(rule->targets.mask, BH_CMD_GUEST_FILE_OPEN);
    }
    return true;
}

static bool parse_clauses(struct bh_parser *parser, struct bh_rule_line *rule)
{
    struct bh_pos pos = parser->token.pos;

    if (bh_parser_accept(parser, "on")) {
        if (parser->kind == BH_FILE_PROFILE) {
            bh_error_at(parser->model->diags, pos, "a profile knows no channels: `use` says where it holds");
            return false;
        }
        if (!bh_parser_refs(parser, "the name of a channel", &rule->on))
            return false;
    }
    pos = parser->token.pos;
    if (bh_parser_accept(parser, "except")) {
        if (rule->effect == BH_EFFECT_ALLOW) {
            bh_error_at(parser->model->diags, pos,
                        "only a deny has exceptions: write a deny for what this rule must not "
                        "grant");
            return false;
        }
        if (!bh_parser_refs(parser, "the name of a rule", &rule->excepts))
            return false;
    }
    return parser->token.kind != BH_TOKEN_OPEN || parse_block(parser, rule);
}

static bool parse_body(struct bh_parser *parser, struct bh_rule_line *rule)
{
    bool targets_ok;

    if (bh_parser_accept(parser, "rule") && !parse_name(parser, rule))
        return false;
    if (bh_parser_accept(parser, "deny"))
        rule->effect = BH_EFFECT_DENY;
    else if (!bh_parser_accept(parser, "allow"))
        return bh_parser_expected(parser, "`allow` or `deny`");
    if (rule->effect == BH_EFFECT_DENY && parser->kind == BH_FILE_PROFILE) {
        bh_error_at(parser->model->diags, rule->pos,
                    "profiles hold only allows: put the deny into the policy");
        return false;
    }
    targets_ok = bh_parser_targets(parser, rule->effect, &rule->targets);
    if (!targets_ok && parser->token.kind != BH_TOKEN_OPEN && !bh_parser_is_word(parser, "on") &&
        !bh_parser_is_word(parser, "except"))
        return false;
    return parse_clauses(parser, rule) && targets_ok;
}

bool bh_parser_rule(struct bh_parser *parser)
{
    struct bh_model *model = parser->model;
    struct bh_rule_line *rule = bh_model_alloc(model, sizeof(*rule));

    if (!rule)
        return false;
    rule->pos = parser->token.pos;
    rule->kind = parser->kind;
    rule->reviewed = parser->reviewed;
    rule->file = parser->origin_file.ptr ? parser->origin_file : rule->pos.file;
    rule->line = parser->origin_file.ptr ? parser->origin_line : rule->pos.line;
    parser->origin_file = (struct bh_str){ 0 };
    if (!parse_body(parser, rule) || !settle(parser, rule))
        return false;
    *model->rules_end = rule;
    model->rules_end = &rule->next;
    return true;
}
