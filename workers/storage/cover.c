/* Place by place (cover.h). */
#include "workers/storage/cover.h"

#include <errno.h>
#include <string.h>

#include "policy/eval.h"
#include "workers/lib/text.h"

static bool is_named(const struct bh_places *places, struct bh_str place)
{
    for (uint32_t i = 0; places && i < places->n; i++)
        if (places->list[i].len == place.len && memcmp(places->list[i].ptr, place.ptr, place.len) == 0)
            return true;
    return false;
}

static int refuse(struct bh_call *call, struct bh_str place, const struct bh_decision *decision)
{
    const struct bh_policy *policy = &call->worker->policy;
    struct bh_record record = { .object = place };

    if (decision->rule != BH_NO_RULE) {
        const char *rule = bh_policy_string(policy, policy->rules[decision->rule].name);

        record.rule = (struct bh_str){ rule, (uint32_t)strlen(rule) };
    }
    return bh_call_refuse(call, bh_verdict_code(decision->verdict), &record, "%s: denied by policy",
                          place.ptr);
}

static int judge(struct bh_call *call, struct bh_str place, bool named, bool *denied, struct bh_cover *ret)
{
    const struct bh_policy *policy = &call->worker->policy;
    const unsigned command = (unsigned)(call->command - bh_commands);
    struct bh_decision decision = bh_policy_mount(policy, command, place, NULL);
    bool granted = decision.verdict == BH_VERDICT_ALLOW;

    if (named && !granted)
        return refuse(call, place, &decision);
    if (named || !ret->place || (granted && !ret->granted && !ret->wanted))
        ret->place = place.ptr;
    ret->wanted |= named;
    ret->granted |= granted;
    ret->required |= granted && bh_policy_mount_required(policy, command, place);
    *denied |= decision.verdict == BH_VERDICT_DENIED;
    return 0;
}

int bh_cover(struct bh_call *call, const struct bh_filesystem *filesystem, const struct bh_places *places,
             struct bh_cover *ret)
{
    bool denied = false;
    int r = 0;

    *ret = (struct bh_cover){ 0 };
    for (uint32_t i = 0; i < filesystem->n_mounts && r == 0; i++) {
        const struct bh_str *path = &filesystem->mounts[i].path;
        struct bh_str place = bh_text_of(call->arena, path->ptr, path->len);

        r = place.ptr ? judge(call, place, is_named(places, place), &denied, ret) : -ENOMEM;
    }
    ret->wanted |= !places;
    ret->granted &= !denied;
    return r;
}
