/* The question of listing.h. */
#include "workers/info/listing.h"

#include "policy/eval.h"
#include "workers/lib/worker.h"

bool bh_listing_shown(void *context, const char *name, size_t len)
{
    const struct bh_call *call = context;
    const struct bh_str listed = { name, (uint32_t)len };

    return bh_policy_name(&call->worker->policy, (unsigned)(call->command - bh_commands), listed, NULL)
               .verdict == BH_VERDICT_ALLOW;
}
