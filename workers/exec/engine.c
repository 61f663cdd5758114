/* Rows of engine.h, and what ends them: pipes of keepers, and the spool's word that nobody will ask any more.
 */
#include "workers/exec/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "workers/lib/tree.h"
#include "workers/exec/cgroup.h"

#define EVENTS_MAX 64
#define REMOVE_TRIES 20
#define END_MS 2200                   /* for keepers to end what they keep */
#define NUMBER_END (INT64_C(1) << 53) /* exact in every JSON reader */

void bh_engine_init(struct bh_engine *engine, struct bh_worker *worker, bool spawns)
{
    engine->worker = worker;
    engine->spawns = spawns;
    engine->privileged = geteuid() == 0 || worker->boot->caps & UINT64_C(1) << CAP_SYS_ADMIN;
    engine->feed = engine->spawn = -1;
    engine->groups = bh_cgroup_place();
    engine->epoll = epoll_create1(EPOLL_CLOEXEC);
    engine->idle_since_ms = bh_clock_ms(CLOCK_BOOTTIME);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (engine->epoll < 0)
        bh_die(1, "cannot watch executions: %s", strerror(errno));
    worker->context = engine;
    worker->state->executions = 0; /* a predecessor's are gone with it */
}

int bh_engine_watch(struct bh_engine *engine, int fd, void *of)
{
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = of };

    return epoll_ctl(engine->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Ours have one parity, the other process's the other. The page is a predecessor's word: what cannot be is
 * replaced. */
static uint64_t take_number(struct bh_engine *engine)
{
    struct bh_state *state = engine->worker->state;
    uint64_t number = state->next_number, now = bh_clock_ns(CLOCK_BOOTTIME) / 1000u;

    if (number < now || number >= NUMBER_END)
        number = now;
    if ((number & 1) != engine->spawns)
        number++;
    state->next_number = number + 2;
    return number;
}

struct bh_execution *bh_engine_new(struct bh_engine *engine)
{
    for (uint32_t i = 0; engine->n < BH_EXECUTIONS_MAX && i < BH_EXECUTIONS_MAX; i++) {
        struct bh_execution *row = &engine->rows[i];

        if (row->number)
            continue;
        *row = (struct bh_execution){ .number = take_number(engine), .end = -1, .group = -1 };
        engine->n++;
        return row;
    }
    return NULL;
}

struct bh_execution *bh_engine_find(struct bh_engine *engine, int64_t number)
{
    for (uint32_t i = 0; number > 0 && i < BH_EXECUTIONS_MAX; i++)
        if (engine->rows[i].number == (uint64_t)number)
            return &engine->rows[i];
    return NULL;
}

void bh_engine_settle(struct bh_engine *engine, struct bh_execution *execution)
{
    if (execution->keeper || (execution->told && !execution->forgotten))
        return;
    bh_close_p(&execution->end);
    execution->number = 0;
    engine->n--;
    engine->idle_since_ms = bh_clock_ms(CLOCK_BOOTTIME);
}

uint32_t bh_engine_running(const struct bh_engine *engine, uint32_t rule_key)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < BH_EXECUTIONS_MAX; i++)
        n += engine->rows[i].number && engine->rows[i].keeper && engine->rows[i].rule_key == rule_key;
    return n;
}

void bh_engine_ungroup(const struct bh_engine *engine, struct bh_execution *execution)
{
    if (execution->group < 0)
        return;
    (void)bh_cgroup_kill(execution->group);
    for (int i = 0; bh_cgroup_remove(engine->groups, execution->number) == -EBUSY && i < REMOVE_TRIES; i++)
        (void)usleep(1000); /* what was killed is about to be gone */
    bh_close_p(&execution->group);
}

static bool is_keeper(const void *context, pid_t pid)
{
    const struct bh_engine *engine = context;

    for (uint32_t i = 0; i < BH_EXECUTIONS_MAX; i++)
        if (engine->rows[i].number && engine->rows[i].keeper == pid)
            return true;
    return false;
}

/* One that ends by itself leaves nobody. What one that was killed has left is ours now, and ended. */
static void reap_keeper(struct bh_engine *engine, struct bh_execution *execution)
{
    int status = 0;

    while (waitpid(execution->keeper, &status, 0) < 0 && errno == EINTR)
        ;
    execution->keeper = 0;
    if (WIFSIGNALED(status))
        (void)bh_tree_end_others(is_keeper, engine, BH_TREE_KILL_MS);
}

void bh_engine_keeper_ended(struct bh_engine *engine, struct bh_execution *execution)
{
    const struct bh_ending killed = { .status = SIGKILL,
                                      .how = BH_ENDED_KILLED,
                                      .ended_ms = bh_clock_ms(CLOCK_BOOTTIME) };

    bh_close_p(&execution->end); /* which takes it out of what is watched */
    reap_keeper(engine, execution);
    bh_engine_ungroup(engine, execution);
    engine->worker->state->executions--;
    if (!execution->ended)
        bh_report_end(engine, execution, &killed);
    bh_engine_settle(engine, execution);
}

static void read_end(struct bh_engine *engine, struct bh_execution *execution)
{
    struct bh_ending ending;
    ssize_t n = read(execution->end, &ending, sizeof(ending));

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == (ssize_t)sizeof(ending) && !execution->ended && ending.how < BH_ENDED_HOWS) {
        execution->ended = true;
        bh_report_end(engine, execution, &ending);
        return; /* the keeper may have more to keep */
    }
    if (n == 0)
        bh_engine_keeper_ended(engine, execution);
}

int bh_engine_watched(struct bh_worker *worker)
{
    const struct bh_engine *engine = worker->context;

    return engine->epoll;
}

void bh_engine_ready(struct bh_worker *worker)
{
    struct bh_engine *engine = worker->context;
    struct epoll_event events[EVENTS_MAX];
    int n = epoll_wait(engine->epoll, events, EVENTS_MAX, 0);

    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr == engine)
            bh_feed_read(engine);
        else
            read_end(engine, events[i].data.ptr);
    }
}

static bool any_to_end(const struct bh_engine *engine)
{
    for (uint32_t i = 0; i < BH_EXECUTIONS_MAX; i++)
        if (engine->rows[i].number && engine->rows[i].keeper && !engine->rows[i].kept)
            return true;
    return false;
}

/* Their keepers would see to it when we are gone; but then nobody could record it. */
void bh_engine_ended(struct bh_worker *worker)
{
    struct bh_engine *engine = worker->context;
    uint64_t until = bh_clock_ms(CLOCK_MONOTONIC) + END_MS;

    for (uint32_t i = 0; i < BH_EXECUTIONS_MAX; i++)
        if (engine->rows[i].number && engine->rows[i].keeper && !engine->rows[i].kept)
            (void)kill(engine->rows[i].keeper, SIGTERM);
    while (any_to_end(engine) && bh_fd_wait(engine->epoll, until) == 0)
        bh_engine_ready(worker);
}
