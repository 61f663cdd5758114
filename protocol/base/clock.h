/*
 * Clocks as plain numbers. What must go on through a suspend (budgets, idle handles, record
 * times) asks for CLOCK_BOOTTIME; how long to wait for a process of ours, for CLOCK_MONOTONIC.
 *
 * Trust: in = nothing; out = CHECKED; called by = every process
 */
#pragma once

#include <stdint.h>
#include <time.h>

static inline uint64_t bh_clock_ns(clockid_t clock)
{
    struct timespec now;

    (void)clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t bh_clock_ms(clockid_t clock)
{
    return bh_clock_ns(clock) / 1000000u;
}

#define BH_CLOCK_TEXT_MAX 64

/* A moment, in nanoseconds since 1970, as people read it: RFC 3339 in UTC with microseconds. */
void bh_clock_text(uint64_t ns, char ret[BH_CLOCK_TEXT_MAX]);
