/*
 * SIGHUP: another policy, as an epoch.
 *
 * The new policy is compiled, verified and opened beside the old one, and the channels that
 * it adds are opened; only if all of that is well does it govern. Then slices are swapped,
 * channels that are gone are closed and their processes ended, and the processes of the
 * others learn that there is a newer slice: they come for it between two requests
 * (workers/lib/renew.c, broker/front/renew.c). A request that is under way ends under the
 * policy it began with. A channel whose slice has not changed is not touched; since a slice carries the
 * digest of the whole text, that is so when nothing has changed at all.
 *
 * Invariants: a channel is the same if name, method and path are; slots keep their index,
 * and a new channel takes one that nobody has; a process of a channel that is gone is heard
 * no more, whatever still runs of it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "broker/audit/chain.h"
#include "broker/supervisor/logfile.h"
#include "broker/supervisor/way.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"
#include "protocol/wire/frame.h"

#define DIGEST_BYTES 8 /* of the policy's digest, as audit records have it */
#define OPENER_GRACE_MS                                                                                      \
    7000u /* more than the fs worker waits for an opener: what it asked before is answered */

/* Where each row of the new policy goes. */
struct plan {
    struct bh_epoch *epoch;
    int slot[BH_CHANNELS_MAX];    /* per row; -1: not decided */
    bool same[BH_CHANNELS_MAX];   /* per row: the slot has this channel already */
    bool opened[BH_CHANNELS_MAX]; /* per row: a new channel, open */
    bool late[BH_CHANNELS_MAX];   /* per row: after the old channels were closed */
    bool kept[BH_ARRAY_SIZE(((struct bh_supervisor *)0)->channels)]; /* per slot */
    char *why;
    size_t why_size;
};

static void digest_words(const struct bh_policy *policy, char ret[2 * DIGEST_BYTES + 1])
{
    bh_chain_hex(policy->slice->digest, DIGEST_BYTES, ret);
    ret[2 * DIGEST_BYTES] = '\0';
}

static bool same_way(const struct bh_bundle_row *a, const struct bh_bundle_row *b)
{
    return !strcmp(a->method, b->method) && !strcmp(a->path, b->path);
}

static void keep_same(const struct bh_supervisor *s, struct plan *plan)
{
    for (unsigned i = 0; i < plan->epoch->n; i++) {
        const struct bh_bundle_row *row = plan->epoch->rows[i].row;

        for (unsigned slot = 0; slot < s->n_channels; slot++) {
            const struct bh_bundle_row *old = s->channels[slot].row;

            if (!old || strcmp(old->name, row->name) || !same_way(old, row))
                continue;
            plan->slot[i] = (int)slot;
            plan->same[i] = plan->kept[slot] = true;
        }
    }
}

/* What a slot costs a new channel: nothing if its rows have this name already; rows of another name change
 * hands. One whose channel is still there comes last: that would have to be closed before it is known that
 * the new one can be opened. */
static int cost_of(struct bh_supervisor *s, unsigned slot, const char *name)
{
    const struct bh_process *front = bh_table_find(s, BH_ROLE_FRONT, (int)slot, BH_NO_USER);
    const char *label = !front ? "" : front->next_label[0] ? front->next_label : front->label;
    size_t len = strlen(name);

    if (front && strncmp(label, name, len) == 0 && label[len] == '/')
        return s->channels[slot].row ? 3 : 0;
    if (!front)
        return 1;
    return s->channels[slot].row ? 4 : 2;
}

/* The slot for a new channel. */
static int choose_slot(struct bh_supervisor *s, const struct plan *plan, const char *name)
{
    int best = -1, least = INT32_MAX;

    for (unsigned slot = 0; slot < BH_ARRAY_SIZE(s->channels); slot++) {
        int cost = cost_of(s, slot, name);

        if (plan->kept[slot] || cost >= least)
            continue;
        best = (int)slot;
        least = cost;
    }
    return best;
}

static int make_plan(struct bh_supervisor *s, struct plan *plan)
{
    for (unsigned i = 0; i < BH_CHANNELS_MAX; i++)
        plan->slot[i] = -1;
    keep_same(s, plan);
    for (unsigned i = 0; i < plan->epoch->n; i++) {
        if (plan->epoch->rows[i].policy.n_users > BH_PEER_OPENER_MAX)
            return -E2BIG;
        if (plan->slot[i] >= 0)
            continue;
        plan->slot[i] = choose_slot(s, plan, plan->epoch->rows[i].row->name);
        if (plan->slot[i] < 0)
            return -E2BIG;
        plan->kept[plan->slot[i]] = true;
    }
    return 0;
}

static int open_row(struct bh_supervisor *s, struct plan *plan, unsigned i)
{
    struct bh_channel_row *channel = &s->channels[plan->slot[i]];
    int r;

    bh_epoch_install(s, plan->epoch, i, channel);
    if ((unsigned)plan->slot[i] >= s->n_channels)
        s->n_channels = (unsigned)plan->slot[i] + 1;
    r = bh_channel_open(s, channel, plan->why, plan->why_size);
    plan->opened[i] = r == 0;
    return r;
}

/* The same socket or device, whether the policy names it or the command line. */
static bool takes_place_of(const struct bh_supervisor *s, const struct bh_bundle_row *row,
                           const struct bh_channel_row *old)
{
    const char *path = row->method[0] ? row->path : s->options.path;

    return same_way(old->row, row) || (path && (strcmp(path, old->path) == 0 || bh_port_is(old, path)));
}

/* True if a channel that is going has the slot or the way, so that it must go first. */
static bool must_wait(const struct bh_supervisor *s, const struct plan *plan, unsigned i)
{
    for (unsigned slot = 0; slot < s->n_channels; slot++) {
        const struct bh_channel_row *old = &s->channels[slot];
        bool goes = old->row;

        for (unsigned j = 0; j < plan->epoch->n && goes; j++)
            goes = plan->slot[j] != (int)slot || (!plan->same[j] && !plan->opened[j]);
        if (goes && ((int)slot == plan->slot[i] || takes_place_of(s, plan->epoch->rows[i].row, old)))
            return true;
    }
    return false;
}

/* Gives up what open_new has opened: the slots were free. */
static void undo(struct bh_supervisor *s, struct plan *plan)
{
    for (unsigned i = 0; i < plan->epoch->n; i++) {
        struct bh_channel_row *channel = plan->slot[i] < 0 ? NULL : &s->channels[plan->slot[i]];

        if (!channel || plan->same[i] || plan->epoch->rows[i].row)
            continue;
        bh_channel_close(s, channel);
        bh_channel_forget(channel);
        channel->path[0] = '\0';
    }
}

/* Opens what can be opened while the old channels are there. */
static int open_new(struct bh_supervisor *s, struct plan *plan)
{
    int r = 0;

    for (unsigned i = 0; i < plan->epoch->n && r == 0; i++)
        if (!plan->same[i] && !must_wait(s, plan, i))
            r = open_row(s, plan, i);
    if (r < 0)
        undo(s, plan);
    return r;
}

static void close_slot(struct bh_supervisor *s, unsigned slot)
{
    struct bh_channel_row *channel = &s->channels[slot];

    bh_log(BH_LOG_NOTICE, "channel %s is closed: the policy has it no more", channel->row->name);
    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].channel == (int)slot)
            bh_evict(&s->processes[i]);
    bh_channel_close(s, channel);
    bh_channel_forget(channel);
    channel->path[0] = '\0';
}

static void close_gone(struct bh_supervisor *s, const struct plan *plan)
{
    for (unsigned slot = 0; slot < s->n_channels; slot++) {
        bool stays = !s->channels[slot].row;

        for (unsigned i = 0; i < plan->epoch->n && !stays; i++)
            stays = plan->slot[i] == (int)slot && (plan->same[i] || plan->opened[i]);
        if (!stays)
            close_slot(s, slot);
    }
}

/* A way that was another channel's a moment ago; if it cannot be had now, it is too late to go back: it is
 * tried again. */
static void open_late(struct bh_supervisor *s, struct plan *plan, unsigned i)
{
    int r;

    plan->late[i] = true;
    bh_channels_await_evicted(s);
    r = open_row(s, plan, i);
    if (r >= 0)
        return;
    bh_log(BH_LOG_ERROR, "%s", plan->why);
    bh_journal(s, "%s", plan->why);
    if (r != -EINVAL)
        bh_channel_try_later(&s->channels[plan->slot[i]]);
}

static void open_rest(struct bh_supervisor *s, struct plan *plan)
{
    for (unsigned i = 0; i < plan->epoch->n; i++) {
        struct bh_channel_row *channel = &s->channels[plan->slot[i]];

        if (plan->same[i])
            continue;
        if (!plan->opened[i])
            open_late(s, plan, i);
        if (channel->fd >= 0)
            bh_log(BH_LOG_NOTICE, "channel %s: %s %s", channel->row->name, channel->way->name, channel->path);
    }
}

/* Nobody knows any more whether the port's last front had sent half a line: the new one begins with a line
 * feed. */
static void end_half_lines(struct bh_supervisor *s, const struct plan *plan)
{
    for (unsigned i = 0; i < plan->epoch->n; i++) {
        struct bh_process *front = bh_table_find(s, BH_ROLE_FRONT, plan->slot[i], BH_NO_USER);

        if (front && plan->late[i] && s->channels[plan->slot[i]].way->port)
            front->state->line_open = 1;
    }
}

static bool same_slice(const struct bh_policy *a, const struct bh_policy *b)
{
    return a->slice->size == b->slice->size && memcmp(a->slice, b->slice, a->slice->size) == 0;
}

static void swap_slices(struct bh_supervisor *s, struct plan *plan)
{
    for (unsigned i = 0; i < plan->epoch->n; i++) {
        struct bh_channel_row *channel = &s->channels[plan->slot[i]];

        if (plan->same[i] && !same_slice(&channel->policy, &plan->epoch->rows[i].policy))
            bh_epoch_install(s, plan->epoch, i, channel);
    }
}

/* A worker that waits for its front looks up; if the socket is full, it is not waiting. */
static void wake(struct bh_process *process)
{
    const struct bh_frame frame = { .schema = BH_SCHEMA_HASH, .type = BH_FRAME_WAKE, .id = 1 };

    if (process->woken || process->peer < 0)
        return;
    process->woken = bh_fd_send(process->peer, &frame, sizeof(frame), -1) == 0;
}

/* What runs under an older slice learns of the newer one. */
static void spread(struct bh_supervisor *s)
{
    uint64_t now = bh_clock_ms(CLOCK_BOOTTIME);

    for (unsigned i = 1; i < s->n_processes; i++) {
        struct bh_process *process = &s->processes[i];
        uint32_t edition = process->channel < 0 ? process->edition : s->channels[process->channel].edition;

        if (!process->pid || process->dying || process->edition == edition)
            continue;
        __atomic_store_n(&process->state->edition, edition, __ATOMIC_RELEASE);
        if (process->role == BH_ROLE_OPENER && !process->retire_ms)
            process->retire_ms = now + OPENER_GRACE_MS;
        else if (process->role != BH_ROLE_FRONT && process->role != BH_ROLE_OPENER)
            wake(process);
    }
}

static bool changes_nothing(const struct bh_supervisor *s, const struct plan *plan)
{
    for (unsigned slot = 0; slot < s->n_channels; slot++)
        if (s->channels[slot].row && !plan->kept[slot])
            return false;
    for (unsigned i = 0; i < plan->epoch->n; i++)
        if (!plan->same[i] || !same_slice(&s->channels[plan->slot[i]].policy, &plan->epoch->rows[i].policy))
            return false;
    return true;
}

static void __attribute__((format(printf, 3, 4)))
tell(struct bh_supervisor *s, const char *word, const char *format, ...)
{
    time_t now = time(NULL);
    struct tm tm;
    va_list args;

    va_start(args, format);
    (void)vsnprintf(s->reload.message, sizeof(s->reload.message), format, args);
    va_end(args);
    s->reload.word = word;
    s->reload.count++;
    if (gmtime_r(&now, &tm))
        (void)strftime(s->reload.time, sizeof(s->reload.time), "%Y-%m-%dT%H:%M:%SZ", &tm);
    bh_log(strcmp(word, "refused") ? BH_LOG_NOTICE : BH_LOG_ERROR, "%s", s->reload.message);
    bh_journal(s, "%s", s->reload.message);
    bh_status_write(s);
}

static void adopt(struct bh_supervisor *s, struct plan *plan, const char *old)
{
    char new[2 * DIGEST_BYTES + 1];
    int r;

    swap_slices(s, plan);
    close_gone(s, plan);
    open_rest(s, plan);
    bh_epoch_settle(s, plan->epoch);
    r = bh_table_assign(s);
    if (r < 0)
        bh_log(BH_LOG_ERROR, "some processes of the new policy cannot be started: %s", strerror(-r));
    end_half_lines(s, plan);
    bh_freeze_settle(s);
    spread(s);
    bh_sources_renew(s);
    digest_words(bh_any_policy(s), new);
    tell(s, "adopted", "policy reloaded: %s -> %s (%s)", old, new, s->policy_source);
}

static int prepare(struct bh_supervisor *s, struct plan *plan)
{
    int r = bh_epoch_load(s, plan->epoch);

    if (r < 0) {
        (void)snprintf(plan->why, plan->why_size, "%s", plan->epoch->message);
        return r;
    }
    r = make_plan(s, plan);
    if (r < 0) {
        (void)snprintf(plan->why, plan->why_size, "there are more channels or users than this build serves");
        return r;
    }
    if (changes_nothing(s, plan))
        return 0;
    r = bh_sources_await(s);
    if (r < 0) {
        (void)snprintf(plan->why, plan->why_size,
                       "records from before the last reload are not written yet; see to the audit log, then "
                       "reload again");
        return r;
    }
    return open_new(s, plan);
}

void bh_reload(struct bh_supervisor *s)
{
    static struct bh_epoch epoch;
    char old[2 * DIGEST_BYTES + 1], why[512] = "";
    struct plan plan = { .epoch = &epoch, .why = why, .why_size = sizeof(why) };
    int r;

    if (s->options.log_file && bh_is_frozen(s))
        bh_log(BH_LOG_NOTICE,
               "the log file is not opened anew while file systems are frozen; reload again later");
    else if (s->options.log_file)
        bh_log_file_reopen(s->options.log_file);
    digest_words(bh_any_policy(s), old);
    r = prepare(s, &plan);
    if (r < 0) {
        tell(s, "refused", "policy not reloaded, %s stays in force: %s", old, why[0] ? why : strerror(-r));
    } else if (changes_nothing(s, &plan)) {
        bh_epoch_settle(s, &epoch);
        tell(s, "unchanged", "policy reloaded: %s, nothing has changed", old);
    } else {
        adopt(s, &plan, old);
    }
    bh_epoch_free(&epoch);
}
