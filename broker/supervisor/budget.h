/*
 * When a process that died may be started again: at once the first time, then after
 * 100 ms, doubling up to 30 s. Only deaths without a finished request in between
 * count, so a client that kills a worker once an hour never exhausts it. Whatever was
 * finished, a row is not started more than BH_DEATHS_PER_SECOND times a second: a
 * taken-over front, which counts its workers' requests up and has them killed, costs
 * that much and no more. A front that ends with status 0 has died too, unless it had a
 * client and that has left.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = supervisor
 */
#pragma once

#include <stdint.h>

#define BH_RESTART_DELAY_FIRST_MS 100u
#define BH_RESTART_DELAY_MAX_MS 30000u
#define BH_DEATHS_PER_SECOND 50u

struct bh_budget {
    uint32_t fruitless;     /* deaths in a row without a finished request */
    uint64_t not_before_ms; /* CLOCK_BOOTTIME */
    uint64_t requests;      /* finished when it was last started */
    uint64_t second_ms;     /* beginning of the second in which deaths are counted */
    uint32_t deaths;        /* in it */
};

/* Notes a start; `requests` finished so far by this process and its predecessors. */
void bh_budget_started(struct bh_budget *budget, uint64_t requests);

/* Notes a death at `now_ms`. */
void bh_budget_died(struct bh_budget *budget, uint64_t requests, uint64_t now_ms);

/* Milliseconds until a start is allowed; 0 = now. */
uint64_t bh_budget_wait(const struct bh_budget *budget, uint64_t now_ms);
