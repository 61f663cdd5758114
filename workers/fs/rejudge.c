/* The judgement of rejudge.h. Users are told by uid, for each policy numbers them anew. */
#include "workers/fs/rejudge.h"

#include <string.h>

struct bh_decision bh_rejudge(const struct bh_policy *policy, const struct bh_handle *handle)
{
    struct bh_decision decision = { BH_VERDICT_NO_RULE, BH_NO_RULE };
    struct bh_file_object file = { .path = { handle->name, (uint32_t)strlen(handle->name) },
                                   .verbs = handle->verbs,
                                   .found = true,
                                   .regular = handle->regular,
                                   .user = BH_NO_USER };

    if (handle->uid == BH_NO_USER)
        return bh_policy_file(policy, &file, NULL);
    for (uint32_t user = 0; user < policy->n_users && decision.verdict != BH_VERDICT_ALLOW; user++) {
        if (!policy->users[user].found || policy->users[user].uid != handle->uid)
            continue;
        file.user = user;
        decision = bh_policy_file(policy, &file, NULL);
    }
    return decision;
}
