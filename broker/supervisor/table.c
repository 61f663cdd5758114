/*
 * The process table: a row for every process that a policy of this run could start, with
 * what must outlive the process itself: its state page and both ends of its queue to the
 * audit process.
 *
 * A row belongs to a place (slot of a channel, role, which of its openers), and so do its
 * number as a source of records and its state page: numbers of records are never used
 * twice. Rows are made when a policy first needs them and never given back; a reload may
 * give them another owner (sources.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "broker/audit/state.h"
#include "broker/supervisor/supervisor.h"
#include "policy/eval.h"
#include "policy/paths.h"
#include "protocol/base/fd.h"
#include "protocol/base/mem.h"

#define RECORD_QUEUE_BYTES                                                                                   \
    (1024 * 1024) /* per source: some hundred records while the log cannot be written */

_Static_assert(BH_SOURCE_SMART >= BH_WORKER_COUNT &&
                   BH_SOURCE_OPENER + BH_PEER_OPENER_MAX <= BH_SOURCES_PER_CHANNEL &&
                   BH_SOURCES_PER_CHANNEL * (BH_CHANNELS_MAX + 1) <= BH_SOURCES_MAX,
               "each process of a channel has its own number");

static uint32_t source_number(enum bh_role role, int channel, uint32_t user)
{
    uint32_t base = BH_SOURCES_PER_CHANNEL * ((uint32_t)channel + 1);

    if (role == BH_ROLE_SMART)
        return base + BH_SOURCE_SMART;
    if (role == BH_ROLE_SPAWN)
        return base + BH_SOURCE_SPAWN;
    return role == BH_ROLE_OPENER ? base + BH_SOURCE_OPENER + user : base + (uint32_t)bh_roster[role].worker;
}

int bh_table_queue(struct bh_process *process)
{
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    process->records_in = pair[0];
    process->records_out = pair[1];
    bh_send_buffer(pair[0], RECORD_QUEUE_BYTES);
    return 0;
}

static int make_state(struct bh_supervisor *s, struct bh_process *process)
{
    bool audit = process->role == BH_ROLE_AUDIT;
    size_t size = audit ? BH_AUDIT_STATE_SIZE : sizeof(struct bh_state);
    void *page;
    int r;

    process->state_fd = bh_memfd_new("bulkhead-state", NULL, size);
    if (process->state_fd < 0)
        return process->state_fd;
    r = bh_memfd_seal_size(process->state_fd); /* a child that cuts it would end us with SIGBUS */
    if (r < 0)
        return r;
    size = audit ? sizeof(struct bh_audit_state) : size; /* its tail is nothing to us */
    page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, process->state_fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    if (audit)
        s->audit_state = page;
    else
        process->state = page;
    return bh_table_queue(process); /* the audit process's row holds the supervisor's own queue, source 0 */
}

static void label_of(const struct bh_supervisor *s, enum bh_role role, int channel, uint32_t user,
                     char ret[BH_PROCESS_LABEL_MAX])
{
    const struct bh_policy *policy = channel < 0 ? NULL : &s->channels[channel].policy;
    const char *name = bh_roster[role].name,
               *user_name = user == BH_NO_USER ? "" : bh_policy_string(policy, policy->users[user].name);

    if (channel < 0)
        (void)snprintf(ret, BH_PROCESS_LABEL_MAX, "%s", name);
    else
        (void)snprintf(ret, BH_PROCESS_LABEL_MAX, "%s/%s%s%.24s", policy->slice->channel, name,
                       *user_name ? " " : "", user_name);
}

static struct bh_process *by_source(struct bh_supervisor *s, uint32_t source)
{
    for (unsigned i = 1; i < s->n_processes; i++)
        if (s->processes[i].source == source)
            return &s->processes[i];
    return NULL;
}

static int add(struct bh_supervisor *s, enum bh_role role, int channel, uint32_t source, const char *label)
{
    struct bh_process *process = &s->processes[s->n_processes];

    if (s->n_processes == BH_PROCESSES_MAX)
        return -E2BIG;
    *process = (struct bh_process){ .role = role,
                                    .channel = channel,
                                    .user = BH_NO_USER,
                                    .source = source,
                                    .control = -1,
                                    .peer = -1,
                                    .state_fd = -1,
                                    .records_in = -1,
                                    .records_out = -1,
                                    .former_out = -1,
                                    .wanted = bh_roster[role].keeps_running };
    (void)snprintf(process->label, sizeof(process->label), "%s", label);
    s->n_processes++;
    s->sources_changed = true;
    return make_state(s, process);
}

/* The row of this place belongs to `label` now, or as soon as what runs under another label has ended. */
static int seat(struct bh_supervisor *s, enum bh_role role, int channel, uint32_t source, const char *label)
{
    struct bh_process *process = by_source(s, source);

    if (!process)
        return add(s, role, channel, source, label);
    process->next_label[0] = '\0';
    if (strcmp(process->label, label))
        (void)snprintf(process->next_label, sizeof(process->next_label), "%s", label);
    if (!process->pid && process->next_label[0])
        bh_sources_hand_over(s, process);
    process->wanted = !process->pid && bh_roster[role].keeps_running;
    return 0;
}

/* Which of a channel's opener rows a user gets: the one that was his, else one that nobody has or runs. */
static uint32_t choose(struct bh_supervisor *s, int channel, const char *label, uint32_t taken)
{
    uint32_t best = BH_PEER_OPENER_MAX, least = UINT32_MAX;

    for (uint32_t i = 0; i < BH_PEER_OPENER_MAX; i++) {
        const struct bh_process *process = by_source(s, source_number(BH_ROLE_OPENER, channel, i));
        uint32_t cost = !process ? 1 : strcmp(process->label, label) == 0 ? 0 : process->pid ? 3 : 2;

        if ((taken >> i & 1) || cost >= least)
            continue;
        best = i;
        least = cost;
    }
    return best;
}

static int assign_openers(struct bh_supervisor *s, int channel)
{
    const uint32_t n = s->channels[channel].policy.n_users;
    char label[BH_PROCESS_LABEL_MAX];
    uint32_t taken = 0;
    int r = n > BH_PEER_OPENER_MAX ? -E2BIG : 0;

    for (unsigned i = 0; i < s->n_processes; i++)
        if (s->processes[i].role == BH_ROLE_OPENER && s->processes[i].channel == channel)
            s->processes[i].user = BH_NO_USER;
    for (uint32_t user = 0; user < n && r == 0; user++) {
        uint32_t place, source;

        if (!bh_policy_opens_as(&s->channels[channel].policy, user))
            continue;
        label_of(s, BH_ROLE_OPENER, channel, user, label);
        place = choose(s, channel, label, taken);
        source = source_number(BH_ROLE_OPENER, channel, place);
        taken |= 1u << place;
        r = seat(s, BH_ROLE_OPENER, channel, source, label);
        if (r == 0)
            by_source(s, source)->user = user;
    }
    return r;
}

static int assign_channel(struct bh_supervisor *s, int channel)
{
    static const enum bh_role roles[] = { BH_ROLE_FRONT,   BH_ROLE_INFO, BH_ROLE_FS,
                                          BH_ROLE_STORAGE, BH_ROLE_EXEC, BH_ROLE_SPOOL };
    char label[BH_PROCESS_LABEL_MAX];
    int r = 0;

    for (size_t i = 0; i < BH_ARRAY_SIZE(roles) && r == 0; i++) {
        label_of(s, roles[i], channel, BH_NO_USER, label);
        r = seat(s, roles[i], channel, source_number(roles[i], channel, BH_NO_USER), label);
    }
    if (r == 0 && s->channels[channel].policy.slice->settings[BH_SET_NVME_SMART]) {
        label_of(s, BH_ROLE_SMART, channel, BH_NO_USER, label);
        r = seat(s, BH_ROLE_SMART, channel, source_number(BH_ROLE_SMART, channel, BH_NO_USER), label);
    }
    if (r == 0 && bh_policy_has_sandbox(&s->channels[channel].policy, BH_SANDBOX_NONE)) {
        label_of(s, BH_ROLE_SPAWN, channel, BH_NO_USER, label);
        r = seat(s, BH_ROLE_SPAWN, channel, source_number(BH_ROLE_SPAWN, channel, BH_NO_USER), label);
    }
    return r == 0 ? assign_openers(s, channel) : r;
}

int bh_table_assign(struct bh_supervisor *s)
{
    int r = 0;

    for (unsigned i = 0; i < s->n_channels && r == 0; i++)
        r = s->channels[i].row ? assign_channel(s, (int)i) : 0;
    return r;
}

int bh_table_init(struct bh_supervisor *s)
{
    char label[BH_PROCESS_LABEL_MAX];
    int r;

    label_of(s, BH_ROLE_AUDIT, -1, BH_NO_USER, label);
    r = add(s, BH_ROLE_AUDIT, -1, 0, label);
    label_of(s, BH_ROLE_THAW, -1, BH_NO_USER, label);
    if (r == 0)
        r = add(s, BH_ROLE_THAW, -1, BH_SOURCE_GUARD, label);
    label_of(s, BH_ROLE_HOOK, -1, BH_NO_USER, label);
    if (r == 0)
        r = add(s, BH_ROLE_HOOK, -1, BH_SOURCE_HOOKS, label);
    return r == 0 ? bh_table_assign(s) : r;
}

struct bh_process *bh_table_find(struct bh_supervisor *s, enum bh_role role, int channel, uint32_t user)
{
    for (unsigned i = 0; i < s->n_processes; i++) {
        struct bh_process *process = &s->processes[i];

        if (process->role == role && process->channel == channel && process->user == user &&
            (role != BH_ROLE_OPENER || user != BH_NO_USER))
            return process;
    }
    return NULL;
}

struct bh_process *bh_table_by_pid(struct bh_supervisor *s, pid_t pid)
{
    for (unsigned i = 0; i < s->n_processes; i++)
        if (s->processes[i].pid == pid)
            return &s->processes[i];
    return NULL;
}
