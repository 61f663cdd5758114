/*
 * The calendar of clock.h, by hand: gmtime_r reads the time zone file, which a confined
 * process cannot. Years of 365.2425 days, counted from 1 March 0000.
 */
#include "protocol/base/clock.h"

#include <inttypes.h>
#include <stdio.h>

#define NS_PER_S 1000000000u

void bh_clock_text(uint64_t ns, char ret[BH_CLOCK_TEXT_MAX])
{
    uint64_t seconds = ns / NS_PER_S, day = seconds / 86400 + 719468, rest = seconds % 86400;
    uint64_t era = day / 146097, of_era = day % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;

    year += era * 400 + (month >= 10);
    (void)snprintf(ret, BH_CLOCK_TEXT_MAX,
                   "%04" PRIu64 "-%02" PRIu64 "-%02" PRIu64 "T%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64
                   ".%06" PRIu64 "Z",
                   year, month < 10 ? month + 3 : month - 9, of_year - (153 * month + 2) / 5 + 1, rest / 3600,
                   rest / 60 % 60, rest % 60, ns % NS_PER_S / 1000);
}
