/*
 * Do the folders of each account's rules fit into the view of the process that opens files
 * for it? What does not fit would be left out there, and its rules would open nothing.
 */
#include <string.h>

#include "policy/lang/model.h"
#include "policy/paths.h"

/* Where to say it: at the first rule that opens files as this user. */
static struct bh_pos place_of(const struct bh_plan *plan, const struct bh_policy *policy, uint32_t user)
{
    uint32_t i = 0;

    while (i + 1 < plan->n_rules &&
           (!plan->rules[i].verbs || plan->rules[i].line->effect != BH_EFFECT_ALLOW ||
            policy->rules[i].user != user))
        i++;
    return plan->rules[i].line->pos;
}

void bh_slice_check_folders(struct bh_model *model, const struct bh_plan *plan, const struct bh_bytes *slice)
{
    /* One more than there may be, so that too many are seen. */
    static struct bh_view_path paths[BH_PATHS_MAX + 1];
    static char storage[BH_PATHS_STORAGE + BH_POLICY_PATH_MAX];
    struct bh_policy policy;

    if (model->diags->n_errors > 0 || bh_policy_open(&policy, slice->ptr, slice->len) < 0)
        return;
    for (uint32_t i = 0; i <= policy.n_users; i++) {
        uint32_t user = i < policy.n_users ? i : BH_NO_USER;
        uint32_t n = bh_policy_paths(&policy, user, paths, BH_PATHS_MAX + 1, storage, sizeof(storage));
        size_t bytes = 0;

        for (uint32_t k = 0; k < n; k++)
            bytes += strlen(paths[k].path) + 1;
        if (n > BH_PATHS_MAX || bytes > BH_PATHS_STORAGE)
            bh_error_at(
                model->diags, place_of(plan, &policy, user),
                "the rules of channel '%s' open files %s%s in more than %u folders, or in folders with "
                "very long names: name fewer, larger ones",
                plan->channel->name.ptr, user == BH_NO_USER ? "without a user" : "as ",
                user == BH_NO_USER ? "" : bh_policy_string(&policy, policy.users[user].name), BH_PATHS_MAX);
    }
}
