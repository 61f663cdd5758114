/* The arithmetic of budget.h. */
#include "broker/supervisor/budget.h"

void bh_budget_started(struct bh_budget *budget, uint64_t requests)
{
    budget->requests = requests;
}

/* Deaths of this second, fruitless or not. */
static void count_death(struct bh_budget *budget, uint64_t now_ms)
{
    if (now_ms - budget->second_ms >= 1000 || now_ms < budget->second_ms) {
        budget->second_ms = now_ms;
        budget->deaths = 0;
    }
    if (++budget->deaths >= BH_DEATHS_PER_SECOND)
        budget->not_before_ms = budget->second_ms + 1000;
}

void bh_budget_died(struct bh_budget *budget, uint64_t requests, uint64_t now_ms)
{
    uint64_t delay = BH_RESTART_DELAY_FIRST_MS;

    count_death(budget, now_ms);
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
