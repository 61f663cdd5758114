/*
 * The executions of spool.h. They are few, so they are found by their numbers in a row, which is also the
 * order in which they are listed.
 */
#include "workers/spool/spool.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "protocol/base/clock.h"
#include "protocol/base/mem.h"

int bh_spool_init(struct bh_spool *spool, struct bh_audit *audit, int control, uint64_t idle_s)
{
    memset(spool, 0, sizeof(*spool));
    spool->audit = audit;
    audit->state->executions = 0; /* a predecessor's are gone with it */
    spool->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (spool->epoll < 0)
        return -errno;
    for (unsigned i = 0; i < BH_SPOOL_FEEDERS_MAX; i++)
        spool->feeders[i].watch = (struct bh_watch){ .kind = BH_WATCH_FEEDER, .fd = -1, .which = i };
    bh_spool_set_idle(spool, idle_s);
    spool->control = (struct bh_watch){ .kind = BH_WATCH_CONTROL, .fd = control };
    return control < 0 ? 0 : bh_watch_add(spool, &spool->control, EPOLLIN);
}

/* Nobody fetches it, and it is no use to wait: the program is gone, and what it left writes no more or is
 * held up. */
static bool ages(const struct bh_spooled *execution)
{
    if (execution->lost || execution->over)
        return true;
    if (execution->ended_ms == 0)
        return false;
    for (unsigned i = 0; i < 2; i++)
        if (execution->streams[i].watch.fd >= 0 && !execution->streams[i].watch.watched)
            return true;
    return false;
}

/* Not before this moment can it be too old. */
static void watch_age(struct bh_spool *spool, const struct bh_spooled *execution)
{
    uint64_t due = execution->asked_ms + spool->idle_ms;

    if (spool->idle_ms && due < spool->check_ms)
        spool->check_ms = due;
}

void bh_spool_touch(struct bh_spool *spool, struct bh_spooled *execution)
{
    execution->asked_ms = bh_clock_ms(CLOCK_BOOTTIME);
    if (ages(execution))
        watch_age(spool, execution);
}

void bh_spool_set_idle(struct bh_spool *spool, uint64_t idle_s)
{
    spool->idle_ms = idle_s < UINT64_MAX / 1000u ? idle_s * 1000u : 0;
    spool->check_ms = spool->n > 0 && spool->idle_ms ? 0 : UINT64_MAX;
}

struct bh_spooled *bh_spool_find(const struct bh_spool *spool, int64_t number)
{
    for (uint32_t i = 0; i < spool->n; i++)
        if (spool->numbers[i] == (uint64_t)number)
            return spool->executions[i];
    return NULL;
}

int bh_spool_add(struct bh_spool *spool, struct bh_spooled *execution)
{
    if (spool->n == BH_SPOOL_EXECUTIONS_MAX)
        return -ENOSPC;
    spool->numbers[spool->n] = execution->number;
    spool->executions[spool->n++] = execution;
    bh_spool_touch(spool, execution);
    return 0;
}

void bh_spool_settle(struct bh_spool *spool, struct bh_spooled *execution)
{
    bh_spool_touch(spool, execution);
    if (execution->over || execution->ended_ms == 0 || execution->streams[0].watch.fd >= 0 ||
        execution->streams[1].watch.fd >= 0)
        return;
    execution->over = true;
    bh_watch_close(spool, &execution->end);
    spool->audit->state->executions++;
    watch_age(spool, execution);
    bh_told_result(spool, execution);
}

void bh_spooled_free(struct bh_spool *spool, struct bh_spooled *execution)
{
    for (unsigned i = 0; i < 2; i++) {
        struct bh_stream *stream = &execution->streams[i];

        bh_watch_close(spool, &stream->watch);
        bh_kept_free(spool, &stream->kept);
        free(stream->text);
    }
    bh_watch_close(spool, &execution->end);
    bh_close_p(&execution->in);
    free(execution);
}

void bh_spool_forget(struct bh_spool *spool, struct bh_spooled *execution)
{
    uint32_t i = 0;

    while (spool->executions[i] != execution)
        i++;
    spool->n--;
    spool->audit->state->executions -= execution->over;
    memmove(spool->numbers + i, spool->numbers + i + 1, (spool->n - i) * sizeof(spool->numbers[0]));
    memmove(spool->executions + i, spool->executions + i + 1, (spool->n - i) * sizeof(spool->executions[0]));
    bh_feeder_tell(spool, execution->feeder, execution->number);
    bh_spooled_free(spool, execution);
}

int bh_spool_next(const struct bh_spool *spool)
{
    uint64_t now;

    if (spool->check_ms == UINT64_MAX)
        return -1;
    now = bh_clock_ms(CLOCK_BOOTTIME);
    if (spool->check_ms <= now)
        return 0;
    return spool->check_ms - now < INT_MAX ? (int)(spool->check_ms - now) : INT_MAX;
}

void bh_spool_expire(struct bh_spool *spool)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);
    uint32_t i = 0;

    spool->check_ms = UINT64_MAX;
    while (i < spool->n) {
        struct bh_spooled *execution = spool->executions[i];

        if (ages(execution) && execution->asked_ms + spool->idle_ms <= now) {
            if (!execution->over && !execution->lost)
                bh_told_result(spool, execution);
            bh_told_expired(spool, execution);
            bh_spool_forget(spool, execution);
            continue;
        }
        if (ages(execution))
            watch_age(spool, execution);
        i++;
    }
}

void bh_spool_deinit(struct bh_spool *spool)
{
    for (uint32_t i = 0; i < spool->n; i++)
        bh_spooled_free(spool, spool->executions[i]);
    for (unsigned i = 0; i < BH_SPOOL_FEEDERS_MAX; i++)
        bh_watch_close(spool, &spool->feeders[i].watch);
    spool->n = 0;
    bh_close_p(&spool->epoll);
}
