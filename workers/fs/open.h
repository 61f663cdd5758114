/*
 * Opening a file under the policy: judged by name, found, judged as the object that it
 * is, recorded, opened. The fs worker does it for rules without a user, an opener for
 * the rules of its user.
 *
 * Trust: in = PEER (path and mode); out = CHECKED; called by = fs, opener
 */
#pragma once

#include <limits.h>
#include <stdbool.h>

#include "policy/eval.h"
#include "protocol/base/err.h"
#include "protocol/wire/record.h"

struct bh_open {
    const struct bh_policy *policy;
    struct bh_audit *audit;
    struct bh_error *error;
    uint32_t user; /* whose rules count: index, or BH_NO_USER */
    struct bh_str path;
    uint8_t mode; /* enum bh_guest_file_mode */
    uint64_t id;  /* of the request, for the records */
};

struct bh_opened {
    int fd;
    uint32_t rule;       /* that granted it */
    uint64_t record;     /* number of the ACT record, or 0 */
    bool regular;        /* as struct bh_object has it */
    char name[PATH_MAX]; /* resolved, as it was judged */
};

/* By the name alone: 0 with the rule that may grant it, or BH_E_* with the error set and the refusal
 * recorded. */
int bh_open_judge_name(struct bh_open *open, uint32_t *ret_rule);

/* Opens it under the rules of open->user; `rule` is from bh_open_judge_name. 0 or BH_E_* with the error set,
 * all recorded. */
int bh_open_file(struct bh_open *open, uint32_t rule, struct bh_opened *ret);

/* Sets the error of a failed open and records it as the result of `act` (may be 0). Returns BH_E_KERNEL. */
int bh_open_failed(struct bh_open *open, uint32_t rule, uint64_t act, int err);
