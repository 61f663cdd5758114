/*
 * Compiled policy -> text, in a form that compiles to the same slice again: commands one
 * by one, each setting that is not the initial one, each rule's name and place.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/confine/confine.h"
#include "policy/lang/dump.h"
#include "policy/lang/model.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"

void bh_dump_string(FILE *out, const char *text)
{
    (void)fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
    (void)fputc('"', out);
}

/* The commands of `mask` that are not in `but`, after what was written already. */
static void write_commands(FILE *out, const uint64_t mask[2], const uint64_t but[2], bool first)
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++) {
        if (!bh_mask_has(mask, i) || bh_mask_has(but, i))
            continue;
        (void)fprintf(out, "%s%s", first ? "" : ", ", bh_commands[i].name);
        first = false;
    }
}

static bool has_other_than_files(const uint64_t mask[2])
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        if (bh_mask_has(mask, i) &&
            !(bh_commands[i].classes & (1u << BH_CLASS_FILE_READ | 1u << BH_CLASS_FILE_WRITE)))
            return true;
    return false;
}

/* Conditions that no block said: they came with a class, beside commands that a block could not speak of. */
static bool by_class(const struct bh_rule *rule)
{
    if (!rule->has_object || rule->n_paths > 0)
        return false;
    if (rule->effect == BH_EFFECT_ALLOW)
        return has_other_than_files(rule->commands);
    return __builtin_popcountll(rule->commands[0]) + __builtin_popcountll(rule->commands[1]) > 1;
}

static void write_targets(FILE *out, const struct bh_rule *rule)
{
    struct bh_targets written = { 0 };
    struct bh_str class = { 0 };

    if (by_class(rule)) {
        const char *name =
            bh_class_names[rule->verbs == BH_VERB_READ ? BH_CLASS_FILE_READ : BH_CLASS_FILE_WRITE];

        class = bh_str_of(name);
        (void)bh_targets_add(&written, class, rule->effect);
        (void)fputs(name, out);
    }
    write_commands(out, rule->commands, written.mask, !class.ptr);
}

static void write_words(FILE *out, const struct bh_setting_row *row, uint64_t mask)
{
    for (unsigned i = 0; row->words[i]; i++)
        if (mask >> i & 1)
            (void)fprintf(out, " %s", row->words[i]);
}

/* Which rows speak of this rule. */
static enum bh_setting_domain domain_of(const struct bh_rule *rule)
{
    if (rule->exec != BH_NO_EXEC)
        return BH_DOMAIN_EXEC;
    if (rule->n_names > 0)
        return BH_DOMAIN_NAMES;
    return rule->has_object ? BH_DOMAIN_FILE : BH_DOMAIN_MOUNTS;
}

static void write_paths(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule,
                        const struct bh_setting_row *row)
{
    static const char *const kinds[] = { "is", "beneath", "glob" };

    for (uint32_t i = 0; i < rule->n_paths; i++) {
        const struct bh_path *path = &policy->paths[rule->first_path + i];

        if (path->use != row->use || row->domain != domain_of(rule))
            continue;
        (void)fprintf(out, "    %s %s ", row->name, kinds[path->kind]);
        bh_dump_string(out, bh_policy_string(policy, path->text));
        (void)fputc('\n', out);
    }
}

/* The row that speaks of what the rule's commands list says its patterns. */
static void write_names(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule,
                        const struct bh_setting_row *row)
{
    if (rule->n_names == 0 || row->listed != bh_mask_lists(rule->commands))
        return;
    (void)fprintf(out, "    %s", row->name);
    for (uint32_t i = 0; i < rule->n_names; i++) {
        (void)fputc(' ', out);
        bh_dump_string(out, bh_policy_string(policy, policy->names[rule->first_name + i].text));
    }
    (void)fputc('\n', out);
}

static uint64_t value_of(const struct bh_rule *rule, enum bh_rule_slot slot)
{
    switch (slot) {
    case BH_SLOT_VERBS:
        return rule->verbs;
    case BH_SLOT_MAX_SIZE:
        return rule->max_size;
    case BH_SLOT_CREATE_MODE:
        return rule->create_mode;
    case BH_SLOT_TYPES:
        return rule->types;
    case BH_SLOT_SYMLINKS:
        return rule->symlinks;
    default:
        return 0;
    }
}

void bh_policy_dump_setting(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule,
                            const struct bh_setting_row *row)
{
    uint64_t value = value_of(rule, row->slot);

    if (row->domain == BH_DOMAIN_EXEC) {
        bh_dump_exec_setting(out, policy, rule, row);
        return;
    }
    if (row->domain == BH_DOMAIN_FILE && !rule->has_object)
        return;
    if (row->type == BH_TYPE_NAMES) {
        write_names(out, policy, rule, row);
        return;
    }
    if (row->type == BH_TYPE_PATH) {
        write_paths(out, policy, rule, row);
        return;
    }
    if (row->type == BH_TYPE_USER ? rule->user == BH_NO_USER
                                  : row->type != BH_TYPE_WORDS && value == row->initial)
        return;
    if (rule->effect == BH_EFFECT_DENY && !row->deny)
        return;
    (void)fprintf(out, "    %s", row->name);
    if (row->type == BH_TYPE_USER)
        (void)fprintf(out, " %s", bh_policy_string(policy, policy->users[rule->user].name));
    else if (row->type == BH_TYPE_WORDS)
        write_words(out, row, value);
    else if (row->type == BH_TYPE_WORD)
        (void)fprintf(out, " %s", row->words[value]);
    else
        (void)fprintf(out, row->type == BH_TYPE_MODE ? " 0%llo" : " %llu", (unsigned long long)value);
    (void)fputc('\n', out);
}

/* The name, unless it is the place. */
static void write_name(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule)
{
    const char *name = bh_policy_string(policy, rule->name);

    if (!strchr(name, ':'))
        (void)fprintf(out, "rule %s: ", name);
}

static void write_rule(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule)
{
    (void)fputs("\norigin ", out);
    bh_dump_string(out, bh_policy_string(policy, rule->file));
    (void)fprintf(out, " %u\n", rule->line);
    write_name(out, policy, rule);
    (void)fputs(rule->effect == BH_EFFECT_ALLOW ? "allow " : "deny ", out);
    write_targets(out, rule);
    for (uint32_t i = 0; i < rule->n_excepts; i++)
        (void)fprintf(out, "%s %s", i == 0 ? " except" : ",",
                      bh_policy_string(policy, policy->rules[policy->excepts[rule->first_except + i]].name));
    if (rule->n_names > 0 || rule->exec != BH_NO_EXEC ||
        (rule->has_object ? !by_class(rule) : rule->n_paths > 0)) {
        (void)fputs(" {\n", out);
        for (unsigned i = 0; i < bh_n_settings; i++)
            if (bh_settings[i].domain == domain_of(rule))
                bh_policy_dump_setting(out, policy, rule, &bh_settings[i]);
        (void)fputc('}', out);
    }
    (void)fputc('\n', out);
}

static void write_channel(FILE *out, const struct bh_slice *slice, const struct bh_bundle_row *row)
{
    static const uint64_t none[2];
    uint64_t all[2] = { 0 };

    (void)fprintf(out, row->method[0] ? "channel %s %s:%s" : "channel %s", row->name, row->method, row->path);
    for (unsigned i = 0; i < slice->settings[BH_SET_COMMANDS]; i++)
        bh_mask_add(all, i);
    if (memcmp(all, slice->only, sizeof(all)) != 0) {
        (void)fputs(" only ", out);
        write_commands(out, slice->only, none, true);
        if (!slice->only[0] && !slice->only[1])
            (void)fputs(bh_class_names[BH_CLASS_EXTENSION], out); /* a class without commands */
    }
    (void)fputc('\n', out);
}

static void write_set(FILE *out, const struct bh_slice *slice, const struct bh_setting_row *row)
{
    uint64_t value = slice->settings[row->slot];

    if (row->type == BH_TYPE_FENCE) {
        for (uint32_t bit = 1; bh_fence_name(bit); bit <<= 1)
            if ((value | slice->settings[BH_SET_FENCES_OFF]) & bit)
                (void)fprintf(out, "set %s%s %s\n", row->name, bh_fence_name(bit),
                              value & bit ? "required" : "off");
        return;
    }
    if (value == row->initial)
        return;
    if (row->type == BH_TYPE_WORDS) {
        (void)fprintf(out, "set %s", row->name);
        write_words(out, row, value);
        (void)fputc('\n', out);
    } else if (row->words)
        (void)fprintf(out, "set %s %s\n", row->name, row->words[value]);
    else
        (void)fprintf(out, "set %s %llus\n", row->name, (unsigned long long)value);
}

int bh_policy_dump(const struct bh_policy *policy, const struct bh_bundle_row *row, struct bh_arena *arena,
                   struct bh_str *ret_text)
{
    _cleanup_free_ char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    bool failed;

    if (!out)
        return -ENOMEM;
    (void)fprintf(out, "policy 1\ncommands %u\n", (unsigned)policy->slice->settings[BH_SET_COMMANDS]);
    write_channel(out, policy->slice, row);
    for (unsigned i = 0; i < bh_n_settings; i++)
        if (bh_settings[i].domain == BH_DOMAIN_SET)
            write_set(out, policy->slice, &bh_settings[i]);
    for (uint32_t i = 0; i < policy->n_rules; i++)
        write_rule(out, policy, &policy->rules[i]);
    failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed)
        return -ENOMEM;
    *ret_text = bh_arena_str(arena, text, len);
    return ret_text->ptr ? 0 : -ENOMEM;
}
