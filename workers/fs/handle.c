/* The table of handle.h. */
#include "protocol/base/clock.h"
#include "workers/fs/handle.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void bh_handles_set_idle(struct bh_handles *handles, uint64_t idle_s)
{
    handles->idle_ms = idle_s < UINT64_MAX / 1000u ? idle_s * 1000u : 0;
    handles->check_ms = handles->n > 0 && handles->idle_ms ? 0 : UINT64_MAX;
}

void bh_handles_init(struct bh_handles *handles, struct bh_state *state, struct bh_audit *audit,
                     uint64_t idle_s)
{
    handles->state = state;
    handles->audit = audit;
    bh_handles_set_idle(handles, idle_s);
    state->open_handles = 0; /* a predecessor's are gone with it */
}

/* The next number whose slot is free. The state page is a predecessor's word: what cannot be is replaced. */
static uint64_t take_number(struct bh_handles *handles)
{
    uint64_t number = handles->state->next_number;

    if (number == 0 || number >= BH_NUMBER_END - BH_HANDLES_MAX)
        number = bh_clock_ns(CLOCK_BOOTTIME) / 1000u;
    while (handles->slots[number % BH_HANDLES_MAX].number != 0)
        number++;
    handles->state->next_number = number + 1;
    return number;
}

/* Not before this moment can `used_ms` have idled out. */
static void watch(struct bh_handles *handles, uint64_t used_ms)
{
    if (handles->idle_ms && used_ms + handles->idle_ms < handles->check_ms)
        handles->check_ms = used_ms + handles->idle_ms;
}

struct bh_handle *bh_handle_new(struct bh_handles *handles, int fd, uint32_t rule, uint64_t record)
{
    struct bh_handle *handle;
    uint64_t number;

    if (handles->n == BH_HANDLES_MAX)
        return NULL;
    number = take_number(handles);
    handle = &handles->slots[number % BH_HANDLES_MAX];
    *handle = (struct bh_handle){
        .number = number, .used_ms = bh_clock_ms(CLOCK_BOOTTIME), .record = record, .rule = rule, .fd = fd
    };
    watch(handles, handle->used_ms);
    handles->state->open_handles = ++handles->n;
    return handle;
}

struct bh_handle *bh_handle_find(struct bh_handles *handles, int64_t number)
{
    struct bh_handle *handle = &handles->slots[(uint64_t)number % BH_HANDLES_MAX];

    if (number <= 0 || handle->number != (uint64_t)number)
        return NULL;
    if (handles->idle_ms)
        handle->used_ms = bh_clock_ms(CLOCK_BOOTTIME);
    return handle;
}

int bh_handle_close(struct bh_handles *handles, struct bh_handle *handle, const char *why)
{
    struct bh_record record = { .kind = BH_RECORD_CLOSED,
                                .command = BH_CMD_GUEST_FILE_OPEN,
                                .of = handle->record,
                                .handle = handle->number,
                                .bytes_read = handle->bytes_read,
                                .bytes_written = handle->bytes_written,
                                .text = { why, (uint32_t)strlen(why) } };
    int r = close(handle->fd) < 0 ? -errno : 0;

    (void)bh_audit_send(handles->audit, &record, NULL);
    free(handle->name);
    *handle = (struct bh_handle){ 0 };
    handles->state->open_handles = --handles->n;
    return r;
}

void bh_handles_close(struct bh_handles *handles, const char *why)
{
    for (uint32_t i = 0; i < BH_HANDLES_MAX && handles->n > 0; i++)
        if (handles->slots[i].number)
            (void)bh_handle_close(handles, &handles->slots[i], why);
}

int bh_handles_next(const struct bh_handles *handles)
{
    uint64_t now;

    if (handles->n == 0 || handles->check_ms == UINT64_MAX)
        return -1;
    now = bh_clock_ms(CLOCK_BOOTTIME);
    if (handles->check_ms <= now)
        return 0;
    return handles->check_ms - now < INT_MAX ? (int)(handles->check_ms - now) : INT_MAX;
}

void bh_handles_expire(struct bh_handles *handles)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    handles->check_ms = UINT64_MAX;
    for (uint32_t i = 0; i < BH_HANDLES_MAX; i++) {
        struct bh_handle *handle = &handles->slots[i];

        if (handle->number == 0)
            continue;
        if (handle->used_ms + handles->idle_ms <= now)
            (void)bh_handle_close(handles, handle, "not used for too long");
        else
            watch(handles, handle->used_ms);
    }
}
