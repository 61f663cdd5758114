/*
 * The policy that a question is about: a shipped one by name, files through the confined
 * compiler, or what the agent would load.
 *
 * Trust: in = CONFIG, PEER (the compiler's bundle: verified); out = CHECKED; called by =
 *        bulkheadctl policy
 */
#pragma once

#include <stddef.h>

#include "broker/ctl/ctl.h"
#include "policy/blob.h"

struct ctl_policy_source {
    const char *name;               /* of the file or the profile */
    const struct bh_bundle *bundle; /* NULL: not loaded */
    void *map;                      /* what it lies in, unless it is a shipped one */
    size_t size;
    char *findings; /* of the compiler; NULL: none */
    void *local;    /* a copy of main's slice under the name `local`; NULL: not asked for */
};

/*
 * `names`: one profile's name, or files (the first is the main file, others are drop-ins); none:
 * /etc/bulkhead/policy, or `standard` where there is no such file. Exit status; what is wrong was said, but
 * the compiler's findings are the caller's to print.
 */
int ctl_policy_open(struct ctl_policy_source *source, int n, char **names);
/* A text that this program has made. Exit status, as ctl_policy_open. */
int ctl_policy_open_text(struct ctl_policy_source *source, const char *name, const char *text, size_t len);

/* What the agent of ctl->state_dir is governed by now: a shipped one, or the compiled one that it keeps. Exit
 * status; what is wrong was said. */
int ctl_policy_open_running(struct ctl_policy_source *source, const struct ctl *ctl);

void ctl_policy_close(struct ctl_policy_source *source);

/* Prints the findings, cleaned. */
void ctl_policy_findings(const struct ctl_policy_source *source, FILE *out);

/* Slice of a channel; NULL: the only one, else `main`; `local` is main's where the policy opens no channels.
 * Exit status. */
int ctl_policy_channel(struct ctl_policy_source *source, const char *channel, struct bh_policy *ret);

/* The row of a channel as ctl_policy_channel finds it; -1: there is none of this name. */
int ctl_policy_row(const struct ctl_policy_source *source, const char *channel);

/* Slice number `index`. Exit status. */
int ctl_policy_slice(const struct ctl_policy_source *source, uint32_t index, struct bh_policy *ret);
