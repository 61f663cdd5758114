/*
 * bulkhead-audit: the one process that writes the log, and does nothing else.
 *
 * It holds the log (append only) and the reading ends of the queues; it cannot open,
 * truncate, seek or rename. A new segment comes from the supervisor, on request.
 *
 * Invariants: nothing is asked for while a line is pending; a log that cannot be
 * written is tried again each second and said once; it ends only when the supervisor
 * has gone and the queues are empty.
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

#define RETRY_MS 1000
#define ASK_AGAIN_BYTES (1024u * 1024u) /* after a refusal of the next segment */

enum mode {
    MODE_SERVING,
    MODE_WAITING, /* the next segment is asked for */
    MODE_STUCK,   /* the log cannot be written: the pending line is tried again */
    MODE_BROKEN,  /* somebody else changed the segment: only a new one will do */
};

struct process {
    struct bh_audit_process audit;
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

static void ask_segment(struct process *p)
{
    /* If the supervisor has gone, its last messages, which may hand over queues, are still to be read. */
    if (!p->leaving && bh_control_send(BH_FD_CONTROL, BH_CONTROL_SEGMENT, 0, -1) == 0)
        p->mode = MODE_WAITING;
}

/* What follows from the result of an append. */
static void judge(struct process *p, int r)
{
    if (r == -EBADMSG) {
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
        bh_log(BH_LOG_NOTICE, "the audit log is written again");
        p->mode = MODE_SERVING;
    }
}

/* The segment at hand may be new: then its header comes first. */
static void enter_segment(struct process *p)
{
    struct bh_audit_state *state = p->audit.state;
    int r = bh_append_finish(state, p->audit.log);

    if (r == 0 && state->now.segment != state->offered)
        r = bh_append_header(state, p->audit.log, bh_clock_ns(CLOCK_REALTIME));
    judge(p, r);
}

static void new_segment(struct process *p, int fd)
{
    if (p->audit.log != BH_FD_PEER)
        (void)close(p->audit.log);
    p->audit.log = fd;
    p->mode = MODE_SERVING;
    p->ask_at = BH_AUDIT_SEGMENT_MAX;
    enter_segment(p);
}

static void segment_refused(struct process *p)
{
    const struct bh_audit_state *state = p->audit.state;

    bh_log(BH_LOG_ERROR, "there is no new audit segment; the supervisor says why");
    p->ask_at = state->now.size + ASK_AGAIN_BYTES;
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
    else if (p->mode == MODE_BROKEN)
        ask_segment(p);
}

/* Sleeps until there is something to do; queues are listened to only while they can be served. */
static void wait_for_work(struct process *p)
{
    static struct pollfd fds[1 + BH_AUDIT_FEEDS_MAX];
    unsigned n = 1;
    int timeout = p->mode == MODE_STUCK || p->mode == MODE_BROKEN ? RETRY_MS : -1;
    int ready;

    fds[0] = (struct pollfd){ .fd = BH_FD_CONTROL, .events = POLLIN };
    for (unsigned i = 0; i < p->audit.n_feeds && p->mode == MODE_SERVING; i++)
        fds[n++] = (struct pollfd){ .fd = p->audit.feeds[i].fd, .events = POLLIN };
    ready = poll(fds, n, timeout);
    for (unsigned i = 1; ready > 0 && i < n; i++)
        p->audit.feeds[i - 1].empty &= !fds[i].revents;
    if (ready == 0)
        retry(p);
    else if (ready > 0 && fds[0].revents)
        serve_control(p);
}

/* Writes what is queued. False: nothing was there to do. */
static bool work(struct process *p)
{
    int r;

    if (p->mode != MODE_SERVING)
        return false;
    r = bh_feeds_turn(&p->audit);
    if (r < 0)
        judge(p, r);
    else if (p->audit.state->now.size >= p->ask_at)
        ask_segment(p);
    return r > 0;
}

static void start(struct process *p)
{
    const struct bh_boot *boot;

    bh_log_init("bulkhead-audit", BH_LOG_NOTICE);
    boot = bh_boot_map();
    p->audit.state =
        map(BH_FD_STATE, sizeof(struct bh_audit_state), PROT_READ | PROT_WRITE, "the audit state");
    p->audit.names = map(BH_FD_POLICY, sizeof(struct bh_audit_names), PROT_READ, "the list of audit sources");
    p->audit.log = BH_FD_PEER;
    p->ask_at = BH_AUDIT_SEGMENT_MAX;
    p->audit.state->fences =
        bh_confine_self(&bh_profile_audit, &bh_filter_audit, boot, NULL, 0, boot->required, boot->off);
    if (!bh_append_check(p->audit.state))
        bh_die(1, "the audit state is damaged; the agent must be started anew");
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
    p.mode = p.mode == MODE_WAITING ? MODE_SERVING : p.mode;
    bh_feeds_look(&p.audit);
    while (work(&p))
        ;
    return p.mode == MODE_SERVING ? 0 : 1;
}
