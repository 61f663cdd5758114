/* From rules to folders, for paths.h. Pure: no allocation, no system call. */
#include "policy/paths.h"

#include <string.h>

#include "policy/eval.h"
#include "policy/mounts.h"
#include "protocol/base/mem.h"
#include "protocol/types.h"

struct list {
    struct bh_view_path *rows;
    uint32_t n, cap;
    char *storage;
    size_t left;
};

static bool opens_files(const struct bh_rule *rule)
{
    const unsigned bit = BH_CMD_GUEST_FILE_OPEN;

    return rule->effect == BH_EFFECT_ALLOW && (rule->commands[bit / 64] >> (bit % 64) & 1);
}

static bool is_for(const struct bh_rule *rule, uint32_t user)
{
    return opens_files(rule) && rule->user == user;
}

static uint32_t access_of(const struct bh_rule *rule)
{
    uint32_t verbs = rule->has_object ? rule->verbs : BH_VERB_ALL;
    uint32_t access = verbs & BH_VERB_READ ? BH_ACCESS_READ : 0;

    if (rule->user == BH_NO_USER) /* the fs worker only reads, whatever the rule says */
        access = BH_ACCESS_READ;
    else if (verbs & ~(uint32_t)BH_VERB_READ)
        access |= BH_ACCESS_WRITE;
    return rule->types == BH_TYPES_ANY ? access | BH_ACCESS_ANY : access;
}

static void add(struct list *list, const char *path, size_t len, uint32_t access)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (strncmp(list->rows[i].path, path, len) != 0 || list->rows[i].path[len] != '\0')
            continue;
        list->rows[i].access |= access;
        return;
    }
    if (list->n == list->cap || list->left < len + 1)
        return;
    memcpy(list->storage, path, len);
    list->storage[len] = '\0';
    list->rows[list->n++] = (struct bh_view_path){ list->storage, access };
    list->storage += len + 1;
    list->left -= len + 1;
}

/* Length of the folder that a path condition needs. */
static size_t folder_len(const char *text, const struct bh_path *path)
{
    size_t end = path->len;

    if (path->kind == BH_PATH_BENEATH)
        return end;
    if (path->kind == BH_PATH_GLOB)
        end = strcspn(text, "*?");
    while (end > 0 && text[end] != '/')
        end--;
    return end > 0 ? end : 1;
}

uint32_t bh_policy_paths(const struct bh_policy *policy, uint32_t user, struct bh_view_path *paths,
                         uint32_t cap, char *storage, size_t storage_size)
{
    struct list list = { paths, 0, cap, storage, storage_size };

    for (uint32_t i = 0; i < policy->n_rules; i++) {
        const struct bh_rule *rule = &policy->rules[i];

        if (!is_for(rule, user))
            continue;
        if (rule->n_paths == 0)
            add(&list, "/", 1, access_of(rule) | BH_ACCESS_ANY);
        for (uint32_t j = 0; j < rule->n_paths; j++) {
            const struct bh_path *path = &policy->paths[rule->first_path + j];
            const char *text = bh_policy_string(policy, path->text);

            add(&list, text, folder_len(text, path), access_of(rule));
        }
    }
    return list.n;
}

bool bh_policy_opens_as(const struct bh_policy *policy, uint32_t user)
{
    for (uint32_t i = 0; i < policy->n_rules; i++)
        if (is_for(&policy->rules[i], user))
            return true;
    return false;
}

bool bh_policy_needs_fs_reader(const struct bh_policy *policy)
{
    return bh_policy_opens_as(policy, BH_NO_USER);
}

bool bh_policy_needs_mounts(const struct bh_policy *policy)
{
    for (unsigned command = 0; command < BH_CMD_COUNT; command++)
        if (bh_acts_on_mounts(command) && bh_policy_grants(policy, command))
            return true;
    return false;
}

uint32_t bh_policy_mode_verbs(uint8_t mode)
{
    static const uint32_t verbs[BH_GUEST_FILE_MODE_COUNT] = {
        [BH_GUEST_FILE_MODE_R] = BH_VERB_READ,
        [BH_GUEST_FILE_MODE_W] = BH_VERB_WRITE | BH_VERB_CREATE | BH_VERB_TRUNCATE,
        [BH_GUEST_FILE_MODE_A] = BH_VERB_APPEND | BH_VERB_CREATE,
        [BH_GUEST_FILE_MODE_R_PLUS] = BH_VERB_READ | BH_VERB_WRITE,
        [BH_GUEST_FILE_MODE_W_PLUS] = BH_VERB_READ | BH_VERB_WRITE | BH_VERB_CREATE | BH_VERB_TRUNCATE,
        [BH_GUEST_FILE_MODE_A_PLUS] = BH_VERB_READ | BH_VERB_APPEND | BH_VERB_CREATE,
    };

    return mode < BH_GUEST_FILE_MODE_COUNT ? verbs[mode] : BH_VERB_ALL;
}

uint32_t bh_profile_paths(const struct bh_profile *profile, const char *file, struct bh_view_path *paths,
                          uint32_t cap, char storage[PATH_MAX])
{
    const char *slash = file && file[0] == '/' ? strrchr(file, '/') : NULL;
    size_t len = slash ? (size_t)(slash - file) : 0;
    uint32_t n = profile->n_paths < cap ? profile->n_paths : cap;

    memcpy(paths, profile->paths, n * sizeof(*paths));
    if (len == 0 || len >= PATH_MAX || n == cap)
        return n;
    memcpy(storage, file, len);
    storage[len] = '\0';
    paths[n] = (struct bh_view_path){ storage, BH_ACCESS_READ };
    return n + 1;
}
