/* One decision over all places; those that were named stand for themselves too (cover.h). */
#include "workers/storage/cover.h"

#include <errno.h>
#include <string.h>

#include "policy/eval.h"
#include "workers/lib/text.h"

struct question {
    struct bh_call *call;
    unsigned command;
    struct bh_str *places;
    uint32_t n;
};

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

        record.rule = bh_str_of(rule);
    }
    return bh_call_refuse(call, bh_verdict_code(decision->verdict), &record, "%s: denied by policy",
                          place.ptr);
}

/* Where it is mounted, as clients know it. 0 or -ENOMEM. */
static int ask(struct bh_call *call, const struct bh_filesystem *filesystem, struct question *ret)
{
    *ret = (struct question){ call, (unsigned)(call->command - bh_commands),
                              bh_arena_array(call->arena, filesystem->n_mounts, sizeof(*ret->places)),
                              filesystem->n_mounts };
    for (uint32_t i = 0; i < ret->n && ret->places; i++) {
        const struct bh_str *path = &filesystem->mounts[i].path;

        ret->places[i] = bh_text_of(call->arena, path->ptr, path->len);
        if (!ret->places[i].ptr)
            return -ENOMEM;
    }
    return ret->places ? 0 : -ENOMEM;
}

static bool is_granted(const struct question *q, struct bh_str place)
{
    return bh_policy_mount(&q->call->worker->policy, q->command, place, NULL).verdict == BH_VERDICT_ALLOW;
}

/* The place to tell: one that was named, else one that the policy covers, else the first. */
static uint32_t tell(const struct question *q, const struct bh_places *named, bool *ret_named)
{
    uint32_t granted = q->n;

    for (uint32_t i = 0; i < q->n; i++) {
        *ret_named = is_named(named, q->places[i]);
        if (*ret_named)
            return i;
        if (granted == q->n && is_granted(q, q->places[i]))
            granted = i;
    }
    return granted < q->n ? granted : 0;
}

/* A place that was named has to be covered itself: another place of it does not make it so. */
static int refuse_named(const struct question *q, const struct bh_places *named,
                        const struct bh_decision *all)
{
    for (uint32_t i = 0; i < q->n; i++) {
        struct bh_decision one = bh_policy_mount(&q->call->worker->policy, q->command, q->places[i], NULL);

        if (!is_named(named, q->places[i]))
            continue;
        if (one.verdict != BH_VERDICT_ALLOW)
            return refuse(q->call, q->places[i], &one);
        if (all->verdict != BH_VERDICT_ALLOW)
            return refuse(q->call, q->places[i], all);
    }
    return 0;
}

int bh_cover(struct bh_call *call, const struct bh_filesystem *filesystem, const struct bh_places *places,
             struct bh_cover *ret)
{
    const struct bh_policy *policy = &call->worker->policy;
    struct bh_decision decision;
    struct question q;
    bool named;
    int r = ask(call, filesystem, &q);

    if (r < 0)
        return r;
    decision = bh_policy_mounts(policy, q.command, q.places, q.n, NULL);
    ret->place = q.places[tell(&q, places, &named)].ptr;
    ret->wanted = !places || named;
    ret->granted = decision.verdict == BH_VERDICT_ALLOW;
    ret->required = ret->granted && bh_policy_mounts_required(policy, q.command, q.places, q.n);
    return refuse_named(&q, places, &decision);
}
