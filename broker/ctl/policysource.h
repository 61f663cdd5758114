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
};

/*
 * `names`: one profile's name, or files (the first is the main file, others are drop-ins); none:
 * /etc/bulkhead/policy, or `standard` where there is no such file. Exit status; what is wrong was said, but
 * the compiler's findings are the caller's to print.
 */
int ctl_policy_open(struct ctl_policy_source *source, int n, char **names);
void ctl_policy_close(struct ctl_policy_source *source);

/* Prints the findings, cleaned. */
void ctl_policy_findings(const struct ctl_policy_source *source, FILE *out);

/* Slice of a channel; NULL: the only one, else `main`. Exit status. */
int ctl_policy_channel(const struct ctl_policy_source *source, const char *channel, struct bh_policy *ret);

/* Slice number `index`. Exit status. */
int ctl_policy_slice(const struct ctl_policy_source *source, uint32_t index, struct bh_policy *ret);
