/*
 * bulkhead-audit: the one process that writes the log, and does nothing else.
 *
 * It holds the log (append only) and the reading ends of the queues; it cannot open,
 * truncate, seek or rename. A new segment comes from the supervisor, on request.
 *
 * While file systems are frozen it writes to memory (broker/audit/state.h), whichever of them the log is on.
 * It learns of the thaw by looking at the frozen page again and again, as long as memory keeps something; at
 * rest it has no timer.
 *
 * Invariants: nothing is asked for while a line is pending or kept; a log that cannot be
 * written is tried again each second and said once; it ends only when the supervisor
 * has gone and the queues are empty. If the log's file system stays frozen then, it waits for a moment and
 * ends: what memory keeps is lost.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/audit/audit.h"
#include "policy/confine/confine.h"
#include "policy/confine/profiles.h"
#include "protocol/base/clock.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"
#include "protocol/wire/boot.h"
#include "protocol/wire/control.h"
#include "protocol/wire/frozen.h"

#define RETRY_MS 1000
#define THAW_LOOK_MS 50  /* between two looks whether file systems are thawed, while that is waited for */
#define THAW_WAIT_MS 500 /* the same for a process that is to end: half of what the supervisor gives it */
#define ASK_AGAIN_BYTES (1024u * 1024u) /* after a refusal of the next segment */

enum mode {
    MODE_SERVING,
    MODE_WAITING, /* the next segment is asked for */
    MODE_STUCK,   /* the log cannot be written: the pending line is tried again */
    MODE_FULL,    /* memory is full: the queues are served again after the thaw */
    MODE_BROKEN,  /* somebody else changed the segment: only a new one will do */
};

struct process {
    struct bh_audit_process audit;
    const struct bh_frozen *frozen;
    enum mode mode;
    uint64_t ask_at; /* size of the segment at which the next one is asked for */
    bool leaving;    /* the supervisor has gone */
};

static void *map(int fd, size_t size, int protection, const char *what)
{
    struct stat st;
    void *page;

    if (fstat(fd, &st) < 0 || st.st_size != (off_t)size)
        bh_die(1, "%s is not what the supervisor of this build makes", what);
    page = mmap(NULL, size, protection, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        bh_die(1, "%s cannot be mapped: %s", what, strerror(errno));
    return page;
}

static bool is_frozen(const struct process *p)
{
    return bh_append_is_frozen(&p->audit.log);
}

static bool keeps(const struct process *p)
{
    return p->audit.state->now.kept > 0;
}

static void ask_segment(struct process *p)
{
    /* If the supervisor has gone, its last messages, which may hand over queues, are still to be read. */
    if (!p->leaving && bh_control_send(BH_FD_CONTROL, BH_CONTROL_SEGMENT, 0, -1) == 0)
        p->mode = MODE_WAITING;
}

/* What follows from the result of an append. */
static void judge(struct process *p, int r)
{
    if (r == -ENOBUFS) {
        bh_log(BH_LOG_WARNING, "memory has no room for more audit records before file systems are thawed; "
                               "they wait in their queues");
        p->mode = MODE_FULL;
    } else if (r == -EBADMSG) {
        bh_log(BH_LOG_ERROR, "somebody else changed the audit segment %llu; a new one is begun",
               (unsigned long long)p->audit.state->offered);
        p->mode = MODE_BROKEN;
        ask_segment(p);
    } else if (r < 0) {
        if (p->mode != MODE_STUCK)
            bh_log(BH_LOG_ERROR, "the audit log cannot be written: %s; records wait in their queues",
                   strerror(-r));
        p->mode = MODE_STUCK;
    } else if (p->mode == MODE_STUCK) {
        if (!is_frozen(p))
            bh_log(BH_LOG_NOTICE, "the audit log is written again");
        p->mode = MODE_SERVING;
    }
}

/* The segment at hand may be new: then its header comes first. */
static void enter_segment(struct process *p)
{
    struct bh_audit_state *state = p->audit.state;
    int r = bh_append_finish(state, &p->audit.log);

    if (r == 0 && state->now.segment != state->offered)
        r = bh_append_header(state, &p->audit.log, bh_clock_ns(CLOCK_REALTIME));
    else if (r == 0)
        r = bh_append_flush(state, &p->audit.log);
    judge(p, r < 0 ? r : 0);
}

static void new_segment(struct process *p, int fd)
{
    if (p->audit.log.fd != BH_FD_PEER)
        (void)close(p->audit.log.fd);
    p->audit.log.fd = fd;
    p->mode = MODE_SERVING;
    p->ask_at = BH_AUDIT_SEGMENT_MAX;
    enter_segment(p);
}

static void segment_refused(struct process *p)
{
    const struct bh_audit_state *state = p->audit.state;

    if (!is_frozen(p)) { /* else it is asked for again after the thaw */
        bh_log(BH_LOG_ERROR, "there is no new audit segment; the supervisor says why");
        p->ask_at = state->now.size + ASK_AGAIN_BYTES;
    }
    p->mode =
        state->now.segment == state->offered && state->phase == BH_AUDIT_IDLE ? MODE_SERVING : MODE_BROKEN;
}

static void serve_control(struct process *p)
{
    _cleanup_close_ int fd = -1;
    struct bh_control message;
    int r = bh_control_recv(BH_FD_CONTROL, &message, &fd);

    if (r == -EAGAIN ||
        r == -ECONNRESET) /* it left our last question unread: what it sent before comes now */
        return;
    if (r <= 0)
        p->leaving = true;
    else if (message.op == BH_CONTROL_SOURCE && fd >= 0 && bh_feeds_add(&p->audit, message.arg, fd))
        (void)bh_take_fd(&fd);
    else if (message.op == BH_CONTROL_SEGMENT && fd >= 0 && p->mode == MODE_WAITING)
        new_segment(p, bh_take_fd(&fd));
    else if (message.op == BH_CONTROL_REFUSED && p->mode == MODE_WAITING)
        segment_refused(p);
    else
        bh_die(1, "the supervisor sent a control message (%u) that has no place here", message.op);
}

static void retry(struct process *p)
{
    if (p->mode == MODE_STUCK)
        enter_segment(p);
    else if (p->mode == MODE_BROKEN && !is_frozen(p))
        ask_segment(p);
}

/* A poll timeout. */
static int patience(const struct process *p)
{
    if (p->mode == MODE_STUCK || p->mode == MODE_BROKEN)
        return RETRY_MS;
    if (keeps(p) && !is_frozen(p))
        return 0;
    return keeps(p) || p->mode == MODE_FULL || bh_log_held() ? THAW_LOOK_MS : -1;
}

/* Sleeps until there is something to do; queues are listened to only while they can be served. */
static void wait_for_work(struct process *p)
{
    static struct pollfd fds[1 + BH_AUDIT_FEEDS_MAX];
    unsigned n = 1;
    int ready;

    fds[0] = (struct pollfd){ .fd = BH_FD_CONTROL, .events = POLLIN };
    for (unsigned i = 0; i < p->audit.n_feeds && p->mode == MODE_SERVING; i++)
        fds[n++] = (struct pollfd){ .fd = p->audit.feeds[i].fd, .events = POLLIN };
    ready = poll(fds, n, patience(p));
    for (unsigned i = 1; ready > 0 && i < n; i++)
        p->audit.feeds[i - 1].empty &= !fds[i].revents;
    if (ready == 0)
        retry(p);
    else if (ready > 0 && fds[0].revents)
        serve_control(p);
}

/* Writes what memory keeps, then what is queued. False: nothing was there to do. */
static bool work(struct process *p)
{
    struct bh_audit_state *state = p->audit.state;
    const bool frozen = is_frozen(p), flushes = keeps(p) && !frozen;
    int r;

    bh_log_flush();
    if (p->mode == MODE_FULL && !frozen)
        p->mode = MODE_SERVING;
    if (p->mode != MODE_SERVING)
        return false;
    r = flushes ? bh_append_flush(state, &p->audit.log) : bh_feeds_turn(&p->audit);
    if (r < 0)
        judge(p, r);
    else if (!frozen && !keeps(p) && state->now.size >= p->ask_at)
        ask_segment(p);
    return r > 0 || (flushes && r == 0);
}

/* The supervisor has gone. What is queued goes to the log, or to memory and, if there is a thaw within a
 * moment, to the log. */
static void write_out(struct process *p)
{
    const uint64_t until = bh_clock_ms(CLOCK_BOOTTIME) + THAW_WAIT_MS;

    p->mode = p->mode == MODE_WAITING ? MODE_SERVING : p->mode;
    bh_feeds_look(&p->audit);
    for (;;) {
        while (work(p))
            ;
        if (!keeps(p) || (p->mode != MODE_SERVING && p->mode != MODE_FULL))
            return;
        if (is_frozen(p) && !bh_frozen_holds(p->frozen, p->audit.log.fd))
            p->audit.log.frozen = NULL; /* nobody is left to freeze one more: this one is not, and stays so */
        else if (bh_clock_ms(CLOCK_BOOTTIME) >= until)
            bh_die(1, "the last %llu bytes of the audit log are lost: its file system is frozen to the end",
                   (unsigned long long)p->audit.state->now.kept);
        else
            (void)poll(NULL, 0, THAW_LOOK_MS);
    }
}

static void start(struct process *p)
{
    const struct bh_boot *boot;

    bh_log_init("bulkhead-audit", BH_LOG_NOTICE);
    boot = bh_boot_map();
    p->frozen = bh_frozen_map();
    p->audit.state = map(BH_FD_STATE, BH_AUDIT_STATE_SIZE, PROT_READ | PROT_WRITE, "the audit state");
    p->audit.names = map(BH_FD_POLICY, sizeof(struct bh_audit_names), PROT_READ, "the list of audit sources");
    p->audit.log = (struct bh_append_log){ .fd = BH_FD_PEER, .frozen = &p->frozen->state };
    p->ask_at = BH_AUDIT_SEGMENT_MAX;
    p->audit.state->fences =
        bh_confine_self(&bh_profile_audit, &bh_filter_audit, boot, NULL, 0, boot->required, boot->off);
    if (!bh_append_check(p->audit.state))
        bh_die(1, "the audit state is damaged; the agent must be started anew");
    p->audit.state->writing = 0; /* a predecessor may have been killed at it */
}

int main(void)
{
    static struct process p;

    start(&p);
    enter_segment(&p);
    while (!p.leaving) {
        wait_for_work(&p);
        (void)work(&p);
    }
    write_out(&p);
    return p.mode == MODE_SERVING ? 0 : 1;
}
