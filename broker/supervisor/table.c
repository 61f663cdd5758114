/*
 * The process table: a row for every process that this policy could ever start, made
 * once at start with what must outlive the process itself: its state page and both
 * ends of its queue to the audit process.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "broker/audit/state.h"
#include "broker/supervisor/supervisor.h"
#include "protocol/base/fd.h"

#define RECORD_QUEUE_BYTES                                                                                   \
    (1024 * 1024) /* per source: some hundred records while the log cannot be written */

static uint32_t source_number(enum bh_role role, int channel, uint32_t user)
{
    uint32_t base = 16u * ((uint32_t)channel + 1);

    return role == BH_ROLE_OPENER ? base + 8 + user : base + (uint32_t)bh_roster[role].worker;
}

static int make_queue(struct bh_process *process)
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
    size_t size = process->role == BH_ROLE_AUDIT ? sizeof(struct bh_audit_state) : sizeof(struct bh_state);
    void *page;
    int r;

    process->state_fd = bh_memfd_new("bulkhead-state", NULL, size);
    if (process->state_fd < 0)
        return process->state_fd;
    r = bh_memfd_seal_size(process->state_fd); /* a child that cuts it would end us with SIGBUS */
    if (r < 0)
        return r;
    page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, process->state_fd, 0);
    if (page == MAP_FAILED)
        return -errno;
    if (process->role == BH_ROLE_AUDIT)
        s->audit_state = page;
    else
        process->state = page;
    return make_queue(process); /* the audit process's row holds the supervisor's own queue, source 0 */
}

static int add(struct bh_supervisor *s, enum bh_role role, int channel, uint32_t user)
{
    struct bh_process *process = &s->processes[s->n_processes];
    const char *name = bh_roster[role].name;

    *process = (struct bh_process){ .role = role,
                                    .channel = channel,
                                    .user = user,
                                    .control = -1,
                                    .peer = -1,
                                    .state_fd = -1,
                                    .records_in = -1,
                                    .records_out = -1,
                                    .wanted = bh_roster[role].keeps_running };
    if (channel < 0) {
        (void)snprintf(process->label, sizeof(process->label), "%s", name);
    } else {
        const struct bh_policy *policy = &s->channels[channel].policy;
        const char *user_name = user == BH_NO_USER ? "" : bh_policy_string(policy, policy->users[user].name);

        process->source = source_number(role, channel, user);
        (void)snprintf(process->label, sizeof(process->label), "%s/%s%s%.24s", policy->slice->channel, name,
                       *user_name ? " " : "", user_name);
    }
    s->n_processes++;
    return make_state(s, process);
}

static int add_channel(struct bh_supervisor *s, int channel)
{
    static const enum bh_role roles[] = { BH_ROLE_FRONT, BH_ROLE_INFO, BH_ROLE_FS };
    int r = 0;

    for (size_t i = 0; i < sizeof(roles) / sizeof(roles[0]) && r == 0; i++)
        r = add(s, roles[i], channel, BH_NO_USER);
    for (uint32_t user = 0; user < s->channels[channel].policy.n_users && r == 0; user++)
        r = user < BH_PEER_OPENER_MAX ? add(s, BH_ROLE_OPENER, channel, user) : -E2BIG;
    return r;
}

int bh_table_init(struct bh_supervisor *s)
{
    int r = add(s, BH_ROLE_AUDIT, -1, BH_NO_USER);

    for (unsigned i = 0; i < s->n_channels && r == 0; i++)
        r = add_channel(s, (int)i);
    return r;
}

struct bh_process *bh_table_find(struct bh_supervisor *s, enum bh_role role, int channel, uint32_t user)
{
    for (unsigned i = 0; i < s->n_processes; i++) {
        struct bh_process *process = &s->processes[i];

        if (process->role == role && process->channel == channel && process->user == user)
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
