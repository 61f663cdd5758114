/*
 * The statements of a policy file, but for rules (parse_rule.c), and the loop over them.
 * The grammar is in bulkhead-policy(5); each function here is one production.
 */
#include <string.h>

#include "policy/lang/parser.h"
#include "protocol/commands.h"

#define POLICY_VERSION 1u
#define CHANNEL_PATH_MAX (sizeof(((struct bh_bundle_row *)0)->path) - 1)

void *bh_model_alloc(struct bh_model *model, size_t size)
{
    void *p = bh_arena_alloc(model->arena, size);
    struct bh_pos pos = { BH_STR("policy"), 1, 1 };

    if (!p)
        bh_error_at(model->diags, pos, "the policy takes more memory than a policy may: make it smaller");
    return p;
}

/* What only the main file may say. */
static bool main_only(struct bh_parser *parser, struct bh_pos pos, const char *what)
{
    if (parser->kind == BH_FILE_MAIN)
        return true;
    bh_error_at(parser->model->diags, pos, "a %s has no `%s`: put it into the main file",
                parser->kind == BH_FILE_PROFILE ? "profile" : "drop-in", what);
    return false;
}

static bool parse_version(struct bh_parser *parser)
{
    uint64_t version;

    return bh_parser_number(parser, "`1`, the version of the language,", POLICY_VERSION, &version) &&
           (version == POLICY_VERSION || bh_parser_expected(parser, "version 1"));
}

static bool parse_commands(struct bh_parser *parser)
{
    struct bh_model *model = parser->model;
    struct bh_pos pos = parser->token.pos;
    uint64_t n;

    if (!bh_parser_number(parser, "how many commands were reviewed (a number)", UINT32_MAX, &n))
        return false;
    if (n > BH_CMD_COUNT) {
        bh_error_at(model->diags, pos,
                    "this build knows %u commands, not %u: review the policy and write `commands %u`",
                    (unsigned)BH_CMD_COUNT, (unsigned)n, (unsigned)BH_CMD_COUNT);
        return false;
    }
    if (parser->kind == BH_FILE_PROFILE) { /* it narrows the profile's own rules, not those that use it */
        parser->reviewed = (uint32_t)n;
        return true;
    }
    if (!main_only(parser, pos, "commands"))
        return false;
    if (model->commands_at.line) {
        bh_error_at(model->diags, pos, "`commands` was said in line %u already: keep one",
                    model->commands_at.line);
        return false;
    }
    model->commands_at = pos;
    model->settings[BH_SET_COMMANDS] = n;
    return true;
}

/* METHOD:PATH, if it stands here: `main` and `local` need none. */
static bool parse_way(struct bh_parser *parser, struct bh_channel_line *channel)
{
    struct bh_token token = parser->token;
    struct bh_pos pos = channel->pos;
    const char *colon, *fails;

    channel->method = channel->path = BH_STR("");
    if (token.kind == BH_TOKEN_WORD && strcmp(token.text.ptr, "only") != 0) {
        bh_parser_advance(parser);
        colon = strchr(token.text.ptr + 1, ':'); /* a method has a name */
        channel->method = bh_arena_str(parser->model->arena, token.text.ptr,
                                       colon ? (size_t)(colon - token.text.ptr) : token.text.len);
        channel->path = colon ? bh_str_of(colon + 1) : BH_STR("");
        pos = token.pos;
    }
    fails = channel->method.ptr
                ? bh_channel_way_fails(channel->name.ptr, channel->method.ptr, channel->path.ptr)
                : "the policy takes more memory than a policy may: make it smaller";
    if (!fails && channel->path.len > CHANNEL_PATH_MAX)
        fails = "what stands behind the method is too long: 127 bytes are the most";
    if (fails)
        bh_error_at(parser->model->diags, pos, "%s", fails);
    return !fails;
}

/* No other channel has its name or its way, and there is room for it. */
static bool add_channel(struct bh_model *model, const struct bh_channel_line *channel)
{
    for (uint32_t i = 0; i < model->n_channels; i++) {
        const struct bh_channel_line *other = &model->channels[i];

        if (strcmp(other->name.ptr, channel->name.ptr) == 0) {
            bh_error_at(model->diags, channel->pos,
                        "channel '%s' was opened in line %u already: choose another name", channel->name.ptr,
                        other->pos.line);
            return false;
        }
        if (channel->method.len && strcmp(other->method.ptr, channel->method.ptr) == 0 &&
            strcmp(other->path.ptr, channel->path.ptr) == 0) {
            bh_error_at(model->diags, channel->pos,
                        "channel '%s' in line %u is opened by %s:%s already: a way has one channel",
                        other->name.ptr, other->pos.line, other->method.ptr, other->path.ptr);
            return false;
        }
    }
    if (model->n_channels == BH_CHANNELS_MAX) {
        bh_error_at(model->diags, channel->pos, "%u channels are the most: remove one", BH_CHANNELS_MAX);
        return false;
    }
    model->channels[model->n_channels++] = *channel;
    return true;
}

static bool parse_channel(struct bh_parser *parser)
{
    struct bh_channel_line channel = { 0 };
    struct bh_token token;

    if (!main_only(parser, parser->token.pos, "channel"))
        return false;
    if (!bh_parser_take(parser, BH_TOKEN_WORD, "the name of a channel", &token) ||
        !bh_parser_name_ok(parser, &token, "channel"))
        return false;
    channel.name = token.text;
    channel.pos = token.pos;
    if (!parse_way(parser, &channel))
        return false;
    if (bh_parser_accept(parser, "only")) {
        channel.has_only = true;
        if (!bh_parser_targets(parser, BH_EFFECT_ALLOW, &channel.only))
            return false;
    }
    return add_channel(parser->model, &channel);
}

static bool parse_use(struct bh_parser *parser)
{
    struct bh_use_line *use = bh_model_alloc(parser->model, sizeof(*use));
    struct bh_token token;

    if (!use || !main_only(parser, parser->token.pos, "use"))
        return false;
    if (!bh_parser_take(parser, BH_TOKEN_WORD, "the name of a profile", &token) ||
        !bh_parser_name_ok(parser, &token, "profile"))
        return false;
    use->name = token.text;
    use->pos = token.pos;
    if (bh_parser_accept(parser, "on") && !bh_parser_refs(parser, "the name of a channel", &use->on))
        return false;
    *parser->model->uses_end = use;
    parser->model->uses_end = &use->next;
    return true;
}

/* Fences are two masks: what is required, and what is off; the rest is preferred. */
static void set_fence(struct bh_model *model, uint32_t fence, const char *word)
{
    model->fences_said |= fence;
    if (strcmp(word, "required") == 0)
        model->settings[BH_SET_FENCES_REQUIRED] |= fence;
    if (strcmp(word, "off") == 0)
        model->settings[BH_SET_FENCES_OFF] |= fence;
}

static bool parse_set(struct bh_parser *parser)
{
    struct bh_model *model = parser->model;
    const struct bh_setting_row *row;
    struct bh_token token;
    uint32_t fence = 0;
    uint64_t value;

    if (!main_only(parser, parser->token.pos, "set") ||
        !bh_parser_take(parser, BH_TOKEN_WORD, "the name of a setting", &token))
        return false;
    row = bh_setting_find(BH_DOMAIN_SET, token.text.ptr, &fence);
    if (!row) {
        bh_error_at(model->diags, token.pos,
                    "there is no setting '%.64s': see the list in bulkhead-policy(5)", token.text.ptr);
        return false;
    }
    if (!bh_parser_value(parser, row, &value))
        return false;
    if (fence ? (model->fences_said & fence) != 0 : model->set_at[row->slot].line != 0) {
        bh_error_at(model->diags, token.pos, "`%s` is set twice: keep one", token.text.ptr);
        return false;
    }
    if (fence) {
        set_fence(model, fence, row->words[value]);
        return true;
    }
    model->settings[row->slot] = value;
    model->set_at[row->slot] = token.pos;
    return true;
}

static bool parse_drop_ins(struct bh_parser *parser)
{
    if (!main_only(parser, parser->token.pos, "drop-ins"))
        return false;
    if (!bh_parser_accept(parser, "may") || !bh_parser_accept(parser, "allow"))
        return bh_parser_expected(parser, "`may allow`");
    return bh_parser_targets(parser, BH_EFFECT_ALLOW, &parser->model->drop_ins);
}

/* Where the next rule is said to stand: a dump keeps the places of the text that it was compiled from. */
static bool parse_origin(struct bh_parser *parser)
{
    struct bh_token token;
    uint64_t line;

    if (!main_only(parser, parser->token.pos, "origin"))
        return false;
    if (!bh_parser_take(parser, BH_TOKEN_STRING, "the name of a file in quotes", &token) ||
        !bh_parser_number(parser, "the number of a line", UINT32_MAX, &line))
        return false;
    parser->origin_file = token.text;
    parser->origin_line = (uint32_t)line;
    return true;
}

static bool parse_statement(struct bh_parser *parser)
{
    static const struct {
        const char *word;
        bool (*parse)(struct bh_parser *parser);
    } statements[] = {
        { "commands", parse_commands }, { "channel", parse_channel },   { "use", parse_use },
        { "set", parse_set },           { "drop-ins", parse_drop_ins }, { "origin", parse_origin },
    };

    if (parser->n_statements++ == 0)
        return bh_parser_accept(parser, "policy")
                   ? parse_version(parser)
                   : bh_parser_expected(parser, "`policy 1`, the first line of a file,");
    if (bh_parser_is_word(parser, "rule") || bh_parser_is_word(parser, "allow") ||
        bh_parser_is_word(parser, "deny"))
        return bh_parser_rule(parser);
    for (size_t i = 0; i < sizeof(statements) / sizeof(statements[0]); i++)
        if (bh_parser_accept(parser, statements[i].word))
            return statements[i].parse(parser);
    return bh_parser_expected(parser,
                              "`allow`, `deny`, `rule`, `use`, `channel`, `commands`, `set` or `drop-ins`");
}

static bool at_line_end(const struct bh_parser *parser)
{
    return parser->token.kind == BH_TOKEN_LINE || parser->token.kind == BH_TOKEN_END;
}

void bh_model_parse(struct bh_model *model, struct bh_str name, struct bh_str text, enum bh_file_kind kind)
{
    struct bh_parser parser = { .model = model, .kind = kind, .reviewed = BH_CMD_COUNT };

    if (!bh_scan_begin(&parser.scan, model->diags, name, text))
        return;
    parser.token = bh_scan_next(&parser.scan);
    while (parser.token.kind != BH_TOKEN_END) {
        if (parser.token.kind == BH_TOKEN_LINE) {
            bh_parser_advance(&parser);
            continue;
        }
        if (parse_statement(&parser) && !at_line_end(&parser))
            (void)bh_parser_expected(&parser, "the end of the line");
        while (parser.token.kind != BH_TOKEN_END &&
               !(parser.depth == 0 && parser.token.kind == BH_TOKEN_LINE))
            bh_parser_advance(&parser);
    }
    if (parser.n_statements == 0)
        bh_error_at(model->diags, parser.token.pos, "the file says nothing: its first line is `policy 1`");
}
