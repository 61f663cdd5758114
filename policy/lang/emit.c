/*
 * Writing compiled policies: the tables of a slice are built one after the other, then
 * laid out as policy/blob.h says, then the slices as a bundle.
 */
#include <errno.h>
#include <string.h>

#include "policy/lang/emit.h"
#include "policy/mounts.h"
#include "protocol/commands.h"

/* Counts what one rule needs at most. */
static void count_rule(const struct bh_slot_rule *rule, uint32_t count[BH_SECTION_COUNT], size_t *bytes)
{
    const struct bh_rule_line *line = rule->line;

    for (const struct bh_path_line *path = line->paths; path; path = path->next, count[BH_SECTION_PATHS]++)
        *bytes += path->text.len + 1;
    for (const struct bh_name_line *name = line->names; name; name = name->next, count[BH_SECTION_NAMES]++)
        *bytes += name->text.len + 1;
    for (const struct bh_ref *ref = line->excepts; ref; ref = ref->next)
        count[BH_SECTION_EXCEPTS]++;
    for (unsigned word = 0; word < 2; word++)
        count[BH_SECTION_INDEX] += (uint32_t)__builtin_popcountll(rule->mask[word]);
    bh_exec_count(line, count, bytes);
    *bytes += (size_t)line->name.len + line->file.len + line->user.len + 3;
}

/* Makes room for what there will be at most. */
static int make_room(struct bh_model *model, const struct bh_plan *plan, struct bh_tables *t)
{
    struct bh_arena *arena = model->arena;
    uint32_t n[BH_SECTION_COUNT] = { [BH_SECTION_GROUPS] = BH_USERS_MAX * BH_GROUPS_MAX };
    size_t bytes = 0;

    for (uint32_t i = 0; i < plan->n_rules; i++)
        count_rule(&plan->rules[i], n, &bytes);
    t->rules = bh_arena_array(arena, plan->n_rules, sizeof(*t->rules));
    t->paths = bh_arena_array(arena, n[BH_SECTION_PATHS], sizeof(*t->paths));
    t->names = bh_arena_array(arena, n[BH_SECTION_NAMES], sizeof(*t->names));
    t->words = bh_arena_array(arena, n[BH_SECTION_WORDS], sizeof(*t->words));
    t->execs = bh_arena_array(arena, n[BH_SECTION_EXECS] + 1, sizeof(*t->execs));
    t->args = bh_arena_array(arena, n[BH_SECTION_ARGS], sizeof(*t->args));
    t->matches = bh_arena_array(arena, n[BH_SECTION_MATCHES], sizeof(*t->matches));
    t->excepts = bh_arena_array(arena, n[BH_SECTION_EXCEPTS], sizeof(*t->excepts));
    t->index = bh_arena_array(arena, n[BH_SECTION_INDEX], sizeof(*t->index));
    t->users = bh_arena_array(arena, BH_USERS_MAX, sizeof(*t->users));
    t->groups = bh_arena_array(arena, n[BH_SECTION_GROUPS], sizeof(*t->groups));
    if (!t->rules || !t->paths || !t->names || !t->words || !t->execs || !t->args || !t->matches ||
        !t->excepts || !t->index || !t->users || !t->groups)
        return -ENOMEM;
    return bh_strings_init(&t->strings, arena,
                           plan->n_rules * 5 + n[BH_SECTION_PATHS] + n[BH_SECTION_NAMES] +
                               n[BH_SECTION_WORDS] + n[BH_SECTION_MATCHES],
                           bytes);
}

/* Reports what keeps an account from being what the rule's author thinks. */
static void look_up(struct bh_model *model, const struct bh_rule_line *line, struct bh_tables *t,
                    struct bh_policy_user *user)
{
    struct bh_account account = { .uid = UINT32_MAX, .gid = UINT32_MAX };

    user->found = bh_account_find(model->input->passwd, model->input->group, line->user.ptr, &account);
    if (!user->found)
        bh_report(model->diags, BH_SEVERITY_WARNING, line->user_pos,
                  "there is no account '%s' here: rules with it grant nothing until there is, and the policy "
                  "is read "
                  "again",
                  line->user.ptr);
    if (account.cut)
        bh_report(model->diags, BH_SEVERITY_WARNING, line->user_pos,
                  "account '%s' is in more than %u groups: the others are left out", line->user.ptr,
                  BH_GROUPS_MAX);
    user->uid = account.uid;
    user->gid = account.gid;
    user->first_group = t->count[BH_SECTION_GROUPS];
    user->n_groups = account.n_groups;
    memcpy(t->groups + user->first_group, account.groups, account.n_groups * sizeof(account.groups[0]));
    t->count[BH_SECTION_GROUPS] += account.n_groups;
}

static uint32_t add_user(struct bh_model *model, const struct bh_rule_line *line, struct bh_tables *t)
{
    uint32_t name = bh_strings_add(&t->strings, line->user), i = 0;

    while (i < t->count[BH_SECTION_USERS] && t->users[i].name != name)
        i++;
    if (i < t->count[BH_SECTION_USERS])
        return i;
    if (i == BH_USERS_MAX) {
        bh_error_at(model->diags, line->user_pos, "the rules of one channel may name %u accounts, not more",
                    BH_USERS_MAX);
        return BH_NO_USER;
    }
    t->users[i].name = name;
    look_up(model, line, t, &t->users[i]);
    return t->count[BH_SECTION_USERS]++;
}

/* The paths of one use. */
static void add_paths(const struct bh_rule_line *line, enum bh_path_use use, struct bh_tables *t,
                      struct bh_rule *rule)
{
    uint32_t *n = &t->count[BH_SECTION_PATHS];

    for (const struct bh_path_line *path = line->paths; path; path = path->next)
        if (path->use == use)
            t->paths[(*n)++] = (struct bh_path){ .text = bh_strings_add(&t->strings, path->text),
                                                 .len = path->text.len,
                                                 .kind = path->kind,
                                                 .use = use };
    rule->n_paths = *n - rule->first_path;
}

/* What is said of mounts, as far as the ceiling has left commands for it. */
static void add_mounts(const struct bh_slot_rule *from, struct bh_tables *t, struct bh_rule *rule)
{
    if (!bh_mask_about_mounts(from->mask, false))
        return;
    add_paths(from->line, BH_USE_COVERED, t, rule);
    add_paths(from->line, BH_USE_EXCLUDED, t, rule);
    if (bh_mask_freezes(from->mask))
        add_paths(from->line, BH_USE_REQUIRED, t, rule);
}

static void add_names(const struct bh_rule_line *line, struct bh_tables *t, struct bh_rule *rule)
{
    uint32_t *n = &t->count[BH_SECTION_NAMES];

    rule->first_name = *n;
    for (const struct bh_name_line *name = line->names; name; name = name->next)
        t->names[(*n)++] =
            (struct bh_name){ .text = bh_strings_add(&t->strings, name->text), .len = name->text.len };
    rule->n_names = *n - rule->first_name;
}

/* Numbers of the spared rules that are on this channel, sorted, each once. */
static void add_excepts(const struct bh_rule_line *line, struct bh_tables *t, struct bh_rule *rule)
{
    uint16_t *list = t->excepts + t->count[BH_SECTION_EXCEPTS];
    uint32_t n = 0;

    for (const struct bh_ref *ref = line->excepts; ref; ref = ref->next) {
        uint32_t at = n, number = ref->rule ? ref->rule->number : BH_NO_RULE;

        if (number == BH_NO_RULE)
            continue;
        while (at > 0 && list[at - 1] >= number)
            at--;
        if (at < n && list[at] == number)
            continue;
        memmove(list + at + 1, list + at, (n - at) * sizeof(*list));
        list[at] = (uint16_t)number;
        n++;
    }
    rule->first_except = t->count[BH_SECTION_EXCEPTS];
    rule->n_excepts = n;
    t->count[BH_SECTION_EXCEPTS] += n;
}

/* A setting that the ceiling has left without a meaning is not said. */
static uint64_t value_of(const struct bh_slot_rule *from, enum bh_rule_slot slot)
{
    for (unsigned i = 0; i < bh_n_settings; i++) {
        const struct bh_setting_row *row = &bh_settings[i];

        if (row->domain == BH_DOMAIN_FILE && row->slot == slot && row->verbs && !(row->verbs & from->verbs))
            return from->line->effect == BH_EFFECT_ALLOW ? row->initial : 0;
    }
    return from->line->values[slot];
}

static void add_rule(struct bh_model *model, const struct bh_slot_rule *from, struct bh_tables *t)
{
    const struct bh_rule_line *line = from->line;
    struct bh_rule *rule = &t->rules[t->count[BH_SECTION_RULES]++];

    *rule = (struct bh_rule){
        .commands = { from->mask[0], from->mask[1] },
        .name = bh_strings_add(&t->strings, line->name),
        .file = bh_strings_add(&t->strings, line->file),
        .line = line->line,
        .user = BH_NO_USER,
        .exec = BH_NO_EXEC,
        .verbs = from->verbs,
        .effect = (uint8_t)line->effect,
        .has_object = from->verbs && line->conditional,
    };
    add_excepts(line, t, rule);
    add_names(line, t, rule);
    rule->first_path = t->count[BH_SECTION_PATHS];
    if (bh_mask_has(from->mask, BH_CMD_GUEST_EXEC))
        rule->exec = bh_exec_add(model, line, t);
    if (line->user.ptr && (rule->has_object || rule->exec != BH_NO_EXEC))
        rule->user = add_user(model, line, t);
    if (!rule->has_object) {
        add_mounts(from, t, rule);
        return;
    }
    add_paths(line, BH_USE_COVERED, t, rule);
    rule->max_size = value_of(from, BH_SLOT_MAX_SIZE);
    rule->create_mode = (uint16_t)value_of(from, BH_SLOT_CREATE_MODE);
    rule->types = (uint8_t)value_of(from, BH_SLOT_TYPES);
    rule->symlinks = (uint8_t)value_of(from, BH_SLOT_SYMLINKS);
}

static void add_index(struct bh_tables *t, struct bh_slice *slice)
{
    uint32_t *n = &t->count[BH_SECTION_INDEX];

    for (unsigned command = 0; command < BH_CMD_COUNT; command++) {
        slice->commands[command].first = *n;
        for (uint32_t i = 0; i < t->count[BH_SECTION_RULES]; i++)
            if (bh_mask_has(t->rules[i].commands, command))
                t->index[(*n)++] = (uint16_t)i;
        slice->commands[command].count = *n - slice->commands[command].first;
    }
}

static int lay_out(struct bh_model *model, struct bh_tables *t, struct bh_slice *slice, struct bh_bytes *ret)
{
    const void *data[BH_SECTION_COUNT] = {
        [BH_SECTION_RULES] = t->rules,     [BH_SECTION_INDEX] = t->index,
        [BH_SECTION_PATHS] = t->paths,     [BH_SECTION_NAMES] = t->names,
        [BH_SECTION_EXECS] = t->execs,     [BH_SECTION_ARGS] = t->args,
        [BH_SECTION_MATCHES] = t->matches, [BH_SECTION_WORDS] = t->words,
        [BH_SECTION_EXCEPTS] = t->excepts, [BH_SECTION_USERS] = t->users,
        [BH_SECTION_GROUPS] = t->groups,   [BH_SECTION_STRINGS] = t->strings.bytes,
    };
    size_t size = sizeof(*slice);
    char *bytes;

    t->count[BH_SECTION_STRINGS] = t->strings.len;
    for (unsigned i = 0; i < BH_SECTION_COUNT; i++) {
        slice->sections[i] = (struct bh_section_row){ (uint32_t)size, t->count[i] };
        size = (size + t->count[i] * bh_section_element_size[i] + 7) & ~(size_t)7;
    }
    bytes = bh_arena_alloc(model->arena, size);
    if (!bytes)
        return -ENOMEM;
    slice->size = (uint32_t)size;
    memcpy(bytes, slice, sizeof(*slice));
    for (unsigned i = 0; i < BH_SECTION_COUNT; i++)
        memcpy(bytes + slice->sections[i].offset, data[i], t->count[i] * bh_section_element_size[i]);
    *ret = (struct bh_bytes){ (uint8_t *)bytes, (uint32_t)size };
    return 0;
}

int bh_plan_write(struct bh_model *model, const struct bh_plan *plan, const uint8_t digest[32],
                  struct bh_bytes *ret)
{
    struct bh_slice slice = { .magic = BH_SLICE_MAGIC, .format = BH_POLICY_FORMAT, .schema = BH_SCHEMA_HASH };
    struct bh_tables t = { 0 };

    if (make_room(model, plan, &t) < 0)
        return -ENOMEM;
    memcpy(slice.channel, plan->channel->name.ptr, plan->channel->name.len);
    memcpy(slice.digest, digest, sizeof(slice.digest));
    memcpy(slice.only, plan->only, sizeof(slice.only));
    memcpy(slice.settings, model->settings, sizeof(slice.settings));
    for (uint32_t i = 0; i < plan->n_rules; i++)
        add_rule(model, &plan->rules[i], &t);
    add_index(&t, &slice);
    return lay_out(model, &t, &slice, ret);
}

/* Copies the slices behind the directory. */
static int bind_slices(struct bh_model *model, const struct bh_bytes *slices, struct bh_bytes *ret)
{
    size_t size = sizeof(struct bh_bundle) + model->n_channels * sizeof(struct bh_bundle_row), at = size;
    struct bh_pos pos = model->channels[0].pos.line ? model->channels[0].pos : model->commands_at;
    struct bh_bundle *bundle;

    for (uint32_t i = 0; i < model->n_channels; i++)
        size += slices[i].len;
    if (size > BH_POLICY_SIZE_MAX) {
        pos = pos.line ? pos : (struct bh_pos){ model->rules->pos.file, 1, 1 };
        bh_error_at(model->diags, pos,
                    "the compiled policy takes %zu bytes, and %u are the most: make it smaller", size,
                    BH_POLICY_SIZE_MAX);
        return 0;
    }
    bundle = bh_arena_alloc(model->arena, size);
    if (!bundle)
        return -ENOMEM;
    *bundle = (struct bh_bundle){ BH_BUNDLE_MAGIC, BH_POLICY_FORMAT, (uint32_t)size, model->n_channels };
    for (uint32_t i = 0; i < model->n_channels; i++) {
        const struct bh_channel_line *channel = &model->channels[i];

        bundle->rows[i] = (struct bh_bundle_row){ .offset = (uint32_t)at, .size = slices[i].len };
        memcpy(bundle->rows[i].name, channel->name.ptr, channel->name.len);
        memcpy(bundle->rows[i].method, channel->method.ptr, channel->method.len);
        memcpy(bundle->rows[i].path, channel->path.ptr, channel->path.len);
        memcpy((char *)bundle + at, slices[i].ptr, slices[i].len);
        at += slices[i].len;
    }
    *ret = (struct bh_bytes){ (const uint8_t *)bundle, (uint32_t)size };
    return 0;
}

int bh_model_emit(struct bh_model *model, const uint8_t digest[32], struct bh_bytes *ret)
{
    struct bh_bytes slices[BH_CHANNELS_MAX];

    for (uint32_t i = 0; i < model->n_channels; i++) {
        struct bh_plan plan;

        if (bh_model_plan(model, i, &plan) < 0 || bh_plan_write(model, &plan, digest, &slices[i]) < 0)
            return -ENOMEM;
        bh_slice_check_folders(model, &plan, &slices[i]);
    }
    return bind_slices(model, slices, ret);
}
