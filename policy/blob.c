/*
 * Verification of compiled policies: each table is checked against the ones it refers
 * to, in the order of their dependence. What passes can be evaluated without a check.
 */
#include "policy/blob.h"

#include <errno.h>
#include <string.h>

#include "policy/blobexec.h"
#include "policy/listed.h"
#include "policy/mounts.h"
#include "protocol/wire/hook.h"
#include "protocol/wire/utf8.h"

_Static_assert(BH_HOOK_TIMEOUT_MAX_S * 1000u == BH_HOOK_TIMEOUT_MAX_MS, "one limit");

#define FENCES_ALL ((uint64_t)BH_FENCE_RLIMITS * 2 - 1)

_Static_assert(sizeof(struct bh_exec_rule) == 8 + 22 * 4 + 32, "no hidden padding");
_Static_assert(sizeof(struct bh_rule) == 80, "no hidden padding: every byte of a slice is verified");
_Static_assert(sizeof(struct bh_slice) % 8 == 0 && sizeof(struct bh_bundle) % 8 == 0, "sections are aligned");
_Static_assert(sizeof(struct bh_bundle_row) % 8 == 0, "slices are aligned");
_Static_assert(BH_CMD_COUNT <= 128, "command masks have two words");

const uint32_t bh_section_element_size[BH_SECTION_COUNT] = {
    [BH_SECTION_RULES] = sizeof(struct bh_rule),
    [BH_SECTION_INDEX] = sizeof(uint16_t),
    [BH_SECTION_PATHS] = sizeof(struct bh_path),
    [BH_SECTION_NAMES] = sizeof(struct bh_name),
    [BH_SECTION_EXECS] = sizeof(struct bh_exec_rule),
    [BH_SECTION_ARGS] = sizeof(struct bh_exec_arg),
    [BH_SECTION_MATCHES] = sizeof(struct bh_exec_match),
    [BH_SECTION_WORDS] = sizeof(struct bh_name),
    [BH_SECTION_EXCEPTS] = sizeof(uint16_t),
    [BH_SECTION_USERS] = sizeof(struct bh_policy_user),
    [BH_SECTION_GROUPS] = sizeof(uint32_t),
    [BH_SECTION_STRINGS] = 1,
};

static bool all_zero(const void *data, size_t len)
{
    const char *p = data;

    while (len > 0 && *p == '\0') {
        p++;
        len--;
    }
    return len == 0;
}

/* A NUL-terminated text in a fixed field, zeros up to its end. */
bool bh_blob_field_ok(const char *field, size_t size)
{
    size_t len = strnlen(field, size);

    return len < size && all_zero(field + len, size - len);
}

bool bh_blob_channel_ok(const char *name)
{
    if (!bh_blob_field_ok(name, BH_CHANNEL_NAME_MAX) || name[0] < 'a' || name[0] > 'z')
        return false;
    return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name);
}

static bool mask_ok(const uint64_t mask[2])
{
    for (unsigned command = BH_CMD_COUNT; command < 128; command++)
        if (mask[command / 64] >> (command % 64) & 1)
            return false;
    return true;
}

/* The sections follow each other without gaps; padding is zero; the last one ends with the slice. */
static bool layout_ok(const struct bh_slice *slice, size_t size)
{
    const char *bytes = (const char *)slice;
    size_t at = sizeof(*slice);

    for (unsigned i = 0; i < BH_SECTION_COUNT; i++) {
        const struct bh_section_row *row = &slice->sections[i];
        size_t end, next;

        if (row->offset != at || row->count > (size - at) / bh_section_element_size[i])
            return false;
        end = at + (size_t)row->count * bh_section_element_size[i];
        next = (end + 7) & ~(size_t)7;
        if (next > size || !all_zero(bytes + end, next - end))
            return false;
        at = next;
    }
    return at == size;
}

static bool freeze_settings_ok(const uint64_t *set)
{
    return set[BH_SET_FREEZE_TIMEOUT_S] <= BH_FREEZE_TIMEOUT_MAX_S && set[BH_SET_FREEZE_EXPIRED] <= 1 &&
           set[BH_SET_FREEZE_ON_RESTART] <= 1 && set[BH_SET_HOOK_TIMEOUT_S] >= 1 &&
           set[BH_SET_HOOK_TIMEOUT_S] <= BH_HOOK_TIMEOUT_MAX_S;
}

static bool head_ok(const struct bh_slice *slice, size_t size)
{
    const uint64_t *set = slice->settings;

    if (slice->magic != BH_SLICE_MAGIC || slice->format != BH_POLICY_FORMAT ||
        slice->schema != BH_SCHEMA_HASH)
        return false;
    if (slice->size != size || !bh_blob_channel_ok(slice->channel) || !mask_ok(slice->only))
        return false;
    if (set[BH_SET_EXPLAIN_TO_CLIENT] > 1 || set[BH_SET_HANDLE_IDLE_S] > BH_IDLE_MAX_S ||
        set[BH_SET_AUDIT_FAILURE] > 1)
        return false;
    if (set[BH_SET_FENCES_REQUIRED] > FENCES_ALL || set[BH_SET_FENCES_OFF] > FENCES_ALL)
        return false;
    if (set[BH_SET_FENCES_REQUIRED] & set[BH_SET_FENCES_OFF] || set[BH_SET_COMMANDS] > BH_CMD_COUNT)
        return false;
    if (set[BH_SET_VSOCK_PEERS] == 0 || set[BH_SET_VSOCK_PEERS] > BH_VSOCK_ALL)
        return false;
    return set[BH_SET_NVME_SMART] <= 1 && set[BH_SET_ON_RESTART] <= 1 &&
           set[BH_SET_EXEC_IDLE_S] <= BH_IDLE_MAX_S && freeze_settings_ok(set) &&
           all_zero(set + BH_SET_END, (BH_SET_COUNT - BH_SET_END) * sizeof(*set));
}

bool bh_blob_string_ok(const struct bh_policy *policy, uint32_t offset)
{
    return offset < bh_blob_count(policy, BH_SECTION_STRINGS) &&
           (offset == 0 || policy->strings[offset - 1] == '\0');
}

bool bh_blob_text_ok(const struct bh_policy *policy, uint32_t offset, uint32_t len)
{
    return bh_blob_string_ok(policy, offset) && strlen(bh_policy_string(policy, offset)) == len;
}

static bool strings_ok(const struct bh_policy *policy)
{
    uint32_t n = bh_blob_count(policy, BH_SECTION_STRINGS);

    return n > 0 && policy->strings[n - 1] == '\0' && bh_utf8_valid(policy->strings, n);
}

bool bh_path_is_clean(const char *path, size_t len)
{
    size_t start = 1;

    if (len == 0 || len >= BH_POLICY_PATH_MAX || path[0] != '/')
        return false;
    if (len == 1)
        return true;
    for (size_t i = 1; i <= len; i++) {
        size_t n = i - start;

        if (i < len && path[i] == '\0')
            return false;
        if (i < len && path[i] != '/')
            continue;
        if (n == 0 || (n <= 2 && memcmp(path + start, "..", n) == 0))
            return false;
        start = i + 1;
    }
    return true;
}

static bool paths_ok(const struct bh_policy *policy)
{
    for (uint32_t i = 0; i < bh_blob_count(policy, BH_SECTION_PATHS); i++) {
        const struct bh_path *path = &policy->paths[i];

        if (path->kind > BH_PATH_GLOB || path->use > BH_USE_REQUIRED ||
            !bh_blob_string_ok(policy, path->text))
            return false;
        if (strlen(bh_policy_string(policy, path->text)) != path->len)
            return false;
        if (!bh_path_is_clean(bh_policy_string(policy, path->text), path->len))
            return false;
    }
    return true;
}

/* Names only where all the rule's commands list the same, and each one can be such a name. */
static bool names_ok(const struct bh_policy *policy, const struct bh_rule *rule)
{
    enum bh_listed listed = bh_mask_lists(rule->commands);

    if (rule->n_names > BH_NAMES_MAX ||
        !bh_blob_range_ok(rule->first_name, rule->n_names, bh_blob_count(policy, BH_SECTION_NAMES)))
        return false;
    for (uint32_t i = 0; i < rule->n_names; i++) {
        const struct bh_name *name = &policy->names[rule->first_name + i];

        if (listed == BH_LISTED_NOTHING || !bh_blob_string_ok(policy, name->text) ||
            strlen(bh_policy_string(policy, name->text)) != name->len ||
            bh_name_fails(listed, bh_policy_string(policy, name->text), name->len))
            return false;
    }
    return true;
}

static bool users_ok(const struct bh_policy *policy)
{
    if (policy->n_users > BH_USERS_MAX)
        return false;
    for (uint32_t i = 0; i < policy->n_users; i++) {
        const struct bh_policy_user *user = &policy->users[i];

        if (!bh_blob_string_ok(policy, user->name) || user->found > 1 || user->n_groups > BH_GROUPS_MAX)
            return false;
        if (!bh_blob_range_ok(user->first_group, user->n_groups, bh_blob_count(policy, BH_SECTION_GROUPS)))
            return false;
        if (user->found && (user->uid == UINT32_MAX || user->gid == UINT32_MAX))
            return false;
    }
    return true;
}

/* What a deny spares: allow rules, in ascending order, so that a set of them is one pass. */
static bool excepts_ok(const struct bh_policy *policy, const struct bh_rule *rule)
{
    if (!bh_blob_range_ok(rule->first_except, rule->n_excepts, bh_blob_count(policy, BH_SECTION_EXCEPTS)))
        return false;
    if (rule->effect == BH_EFFECT_ALLOW)
        return rule->n_excepts == 0;
    for (uint32_t i = 0; i < rule->n_excepts; i++) {
        const uint16_t *spared = &policy->excepts[rule->first_except + i];

        if (*spared >= policy->n_rules || policy->rules[*spared].effect != BH_EFFECT_ALLOW)
            return false;
        if (i > 0 && spared[0] <= spared[-1])
            return false;
    }
    return true;
}

/* Paths that speak of mounts: of commands that act on them, each use where it means something, in order. */
static bool mounts_ok(const struct bh_policy *policy, const struct bh_rule *rule)
{
    const struct bh_path *paths = policy->paths + rule->first_path;
    uint32_t most = bh_mask_freezes(rule->commands) ? BH_USE_REQUIRED : BH_USE_EXCLUDED;

    if (rule->effect == BH_EFFECT_DENY)
        most = BH_USE_COVERED;
    for (uint32_t i = 0; i < rule->n_paths; i++)
        if (paths[i].use > most || (i > 0 && paths[i].use < paths[i - 1].use))
            return false;
    return bh_mask_about_mounts(rule->commands, rule->effect == BH_EFFECT_DENY);
}

static bool all_covered(const struct bh_policy *policy, const struct bh_rule *rule)
{
    for (uint32_t i = 0; i < rule->n_paths; i++)
        if (policy->paths[rule->first_path + i].use != BH_USE_COVERED)
            return false;
    return true;
}

/* File conditions make sense, and an allow that can write says as whom. */
static bool object_ok(const struct bh_policy *policy, const struct bh_rule *rule)
{
    bool opens = rule->commands[BH_CMD_GUEST_FILE_OPEN / 64] >> (BH_CMD_GUEST_FILE_OPEN % 64) & 1;

    if (rule->verbs & ~BH_VERB_ALL || rule->create_mode > 0777 || rule->symlinks > BH_SYMLINKS_FOLLOW)
        return false;
    if (rule->types > BH_TYPES_ANY || opens != (rule->verbs != 0))
        return false;
    if (rule->user != BH_NO_USER && rule->user >= policy->n_users)
        return false;
    if (!bh_blob_range_ok(rule->first_path, rule->n_paths, bh_blob_count(policy, BH_SECTION_PATHS)))
        return false;
    if (!rule->has_object)
        return (rule->user == BH_NO_USER || rule->exec != BH_NO_EXEC) &&
               (rule->n_paths == 0 || mounts_ok(policy, rule));
    if (!all_covered(policy, rule))
        return false;
    if (rule->effect == BH_EFFECT_DENY)
        return opens && rule->user == BH_NO_USER;
    return opens && (rule->user != BH_NO_USER || (rule->verbs & ~BH_VERB_READ) == 0);
}

static bool rule_ok(const struct bh_policy *policy, const struct bh_rule *rule)
{
    const uint64_t *only = policy->slice->only;

    if (rule->effect > BH_EFFECT_DENY || rule->has_object > 1)
        return false;
    if (!bh_blob_string_ok(policy, rule->name) || !bh_blob_string_ok(policy, rule->file) ||
        !mask_ok(rule->commands))
        return false;
    if (rule->effect == BH_EFFECT_ALLOW && ((rule->commands[0] & ~only[0]) || (rule->commands[1] & ~only[1])))
        return false;
    if (rule->effect == BH_EFFECT_ALLOW && rule->verbs && !rule->has_object)
        return false;
    return rule->zero == 0 && excepts_ok(policy, rule) && object_ok(policy, rule) && names_ok(policy, rule) &&
           bh_blob_rule_exec_ok(policy, rule);
}

/* The index names exactly the rules of each command: as many entries as bits, each in its place, none twice.
 */
static bool index_ok(const struct bh_policy *policy)
{
    uint32_t bits = 0, next = 0;

    for (uint32_t i = 0; i < policy->n_rules; i++)
        for (unsigned word = 0; word < 2; word++)
            bits += (uint32_t)__builtin_popcountll(policy->rules[i].commands[word]);
    for (unsigned command = 0; command < BH_CMD_COUNT; command++) {
        const struct bh_command_rules *row = &policy->slice->commands[command];

        if (row->first != next ||
            !bh_blob_range_ok(row->first, row->count, bh_blob_count(policy, BH_SECTION_INDEX)))
            return false;
        for (uint32_t i = 0; i < row->count; i++) {
            const uint16_t *rule = &policy->index[row->first + i];

            if (*rule >= policy->n_rules || (i > 0 && rule[0] <= rule[-1]))
                return false;
            if (!(policy->rules[*rule].commands[command / 64] >> (command % 64) & 1))
                return false;
        }
        next += row->count;
    }
    return next == bits && next == bh_blob_count(policy, BH_SECTION_INDEX);
}

static const void *section(const struct bh_slice *slice, enum bh_section which)
{
    return (const char *)slice + slice->sections[which].offset;
}

int bh_policy_open(struct bh_policy *ret, const void *data, size_t size)
{
    const struct bh_slice *slice = data;
    struct bh_policy policy;

    if (size < sizeof(*slice) || size > BH_POLICY_SIZE_MAX || (uintptr_t)data % 8 != 0)
        return -EBADMSG;
    if (!head_ok(slice, size) || !layout_ok(slice, size))
        return -EBADMSG;
    policy = (struct bh_policy){
        .slice = slice,
        .rules = section(slice, BH_SECTION_RULES),
        .index = section(slice, BH_SECTION_INDEX),
        .paths = section(slice, BH_SECTION_PATHS),
        .names = section(slice, BH_SECTION_NAMES),
        .execs = section(slice, BH_SECTION_EXECS),
        .exec_args = section(slice, BH_SECTION_ARGS),
        .exec_matches = section(slice, BH_SECTION_MATCHES),
        .words = section(slice, BH_SECTION_WORDS),
        .excepts = section(slice, BH_SECTION_EXCEPTS),
        .users = section(slice, BH_SECTION_USERS),
        .groups = section(slice, BH_SECTION_GROUPS),
        .strings = section(slice, BH_SECTION_STRINGS),
        .n_rules = slice->sections[BH_SECTION_RULES].count,
        .n_users = slice->sections[BH_SECTION_USERS].count,
    };
    if (policy.n_rules > BH_RULES_MAX || !strings_ok(&policy) || !paths_ok(&policy) || !users_ok(&policy))
        return -EBADMSG;
    if (!bh_blob_execs_ok(&policy))
        return -EBADMSG;
    for (uint32_t i = 0; i < policy.n_rules; i++)
        if (!rule_ok(&policy, &policy.rules[i]))
            return -EBADMSG;
    if (!index_ok(&policy))
        return -EBADMSG;
    *ret = policy;
    return 0;
}
