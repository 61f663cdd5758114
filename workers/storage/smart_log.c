/*
 * The page "SMART / Health Information" (log 2) of the NVMe base specification: numbers lie little end first,
 * and counters have 128 bits.
 */
#include "workers/storage/smart.h"

enum {
    WARNING = 0,
    TEMPERATURE = 1, /* two bytes */
    SPARE = 3,
    SPARE_THRESHOLD = 4,
    USED = 5,
    UNITS_READ = 32, /* from here on sixteen bytes each */
    UNITS_WRITTEN = 48,
    READS = 64,
    WRITES = 80,
    BUSY_MINUTES = 96,
    POWER_CYCLES = 112,
    POWER_HOURS = 128,
    UNSAFE_SHUTDOWNS = 144,
    MEDIA_ERRORS = 160,
    LOG_ENTRIES = 176,
};

static uint64_t little(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;

    while (bytes-- > 0)
        value = value << 8 | at[bytes];
    return value;
}

static void counter(const uint8_t *at, uint64_t *ret_lo, uint64_t *ret_hi)
{
    *ret_lo = little(at, 8);
    *ret_hi = little(at + 8, 8);
}

void bh_smart_decode(const uint8_t log[BH_SMART_LOG_BYTES], struct bh_guest_nvme_smart *ret)
{
    *ret = (struct bh_guest_nvme_smart){
        .type = BH_GUEST_DISK_SMART_TYPE_NVME,
        .critical_warning = log[WARNING],
        .temperature = (int64_t)little(log + TEMPERATURE, 2),
        .available_spare = log[SPARE],
        .available_spare_threshold = log[SPARE_THRESHOLD],
        .percentage_used = log[USED],
    };
    counter(log + UNITS_READ, &ret->data_units_read_lo, &ret->data_units_read_hi);
    counter(log + UNITS_WRITTEN, &ret->data_units_written_lo, &ret->data_units_written_hi);
    counter(log + READS, &ret->host_read_commands_lo, &ret->host_read_commands_hi);
    counter(log + WRITES, &ret->host_write_commands_lo, &ret->host_write_commands_hi);
    counter(log + BUSY_MINUTES, &ret->controller_busy_time_lo, &ret->controller_busy_time_hi);
    counter(log + POWER_CYCLES, &ret->power_cycles_lo, &ret->power_cycles_hi);
    counter(log + POWER_HOURS, &ret->power_on_hours_lo, &ret->power_on_hours_hi);
    counter(log + UNSAFE_SHUTDOWNS, &ret->unsafe_shutdowns_lo, &ret->unsafe_shutdowns_hi);
    counter(log + MEDIA_ERRORS, &ret->media_errors_lo, &ret->media_errors_hi);
    counter(log + LOG_ENTRIES, &ret->number_of_error_log_entries_lo, &ret->number_of_error_log_entries_hi);
}
