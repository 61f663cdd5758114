/*
 * Does one rule speak of what is asked? A part of eval.c, which knows what allows and denies come to
 * together.
 *
 * Trust: in = CHECKED (the rules), PEER (what is asked, any bytes); out = CHECKED; called by = policy/eval.c
 */
#pragma once

#include "policy/evalexec.h"

/* What is asked. Without `file`, conditions on the object cannot be evaluated; without `name` or `places` it
 * is asked whether anything may be listed, or acted on, at all. */
struct bh_question {
    unsigned command;
    const struct bh_file_object *file;
    const struct bh_str *name;
    const struct bh_str *places; /* where one file system is mounted; NULL: no mount is asked about */
    uint32_t n_places;
    const struct bh_exec_object *exec; /* NULL: no execution is asked about */
    enum bh_exec_names names;          /* which names of its program count in an allow */
    bool one_sandbox;                  /* only allows with `sandbox` count */
    uint32_t sandbox;
    bool any_path; /* for grants: the path may be chosen to suit an allow and to escape a deny */
    bool clean;    /* the path of the file is absolute and clean */
};

/* Does the rule, which names the command, grant or strike what is asked? What cannot be evaluated is false in
 * an allow and true in a deny. */
struct bh_exec_why bh_rule_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                 const struct bh_question *q);

/* Does this allow require one of the places that are asked about, of those that it covers? */
bool bh_rule_requires(const struct bh_policy *policy, const struct bh_rule *rule,
                      const struct bh_question *q);
