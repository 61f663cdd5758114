/* The arithmetic of budget.h. */
#include "broker/supervisor/budget.h"

void bh_budget_started(struct bh_budget *budget, uint64_t requests)
{
    budget->requests = requests;
}

void bh_budget_died(struct bh_budget *budget, uint64_t requests, uint64_t now_ms)
{
    uint64_t delay = BH_RESTART_DELAY_FIRST_MS;

    if (requests != budget->requests)
        budget->fruitless = 0;
    if (budget->fruitless++ == 0)
        return;
    for (uint32_t i = 2; i < budget->fruitless && delay < BH_RESTART_DELAY_MAX_MS; i++)
        delay *= 2;
    if (delay > BH_RESTART_DELAY_MAX_MS)
        delay = BH_RESTART_DELAY_MAX_MS;
    budget->not_before_ms = now_ms + delay;
}

uint64_t bh_budget_wait(const struct bh_budget *budget, uint64_t now_ms)
{
    return budget->not_before_ms > now_ms ? budget->not_before_ms - now_ms : 0;
}
