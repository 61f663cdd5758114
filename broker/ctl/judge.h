/*
 * What a policy says to a request, and why: the evaluator of the workers, asked by an
 * administrator.
 *
 * A file is judged as it is asked for, before any open: the object that would be found
 * (its resolved path, its kind) is not known here, and can only narrow the verdict. A program is taken to be
 * no link, unless the object of the question says what its name leads to.
 *
 * Trust: in = CONFIG (the request); out = CHECKED; called by = bulkheadctl policy
 */
#pragma once

#include <json-c/json.h>

#include "broker/ctl/ctl.h"
#include "policy/eval.h"

struct ctl_question {
    int command;        /* enum bh_command_id */
    bool about_file;    /* guest-file-open: the next two count */
    uint32_t verbs;     /* enum bh_verb */
    struct bh_str path; /* points into the arguments */
    const char *object; /* what the command might list, or act on; NULL: it is asked of the command at all */
    bool about_mount;   /* the object is a mount point */
    bool about_exec;    /* guest-exec or bulkhead-exec, with a path: the next one counts */
    struct bh_exec_object exec; /* points into the arguments, and to the next two */
    struct bh_str *args, *env;  /* the question's */
};

/* From a command's name and its arguments (NULL: none), which must live as long as the question. Exit status;
 * the question is to be given back in any case. */
int ctl_question_make(struct ctl_question *question, const char *command, struct json_object *arguments);

void ctl_question_free(struct ctl_question *question);

/* Makes it a question about what is called so among what the command lists, or acts on. Exit status. */
int ctl_question_about(struct ctl_question *question, const char *object);

/* Makes it a question about the object of a record, if the command acts on such. */
void ctl_question_of_record(struct ctl_question *question, const char *object);

/* Is it about a mount that must be frozen? */
bool ctl_question_required(const struct bh_policy *policy, const struct ctl_question *question);

struct bh_decision ctl_judge(const struct bh_policy *policy, const struct ctl_question *question,
                             const struct bh_trace *trace);

/* "allow", "deny" */
const char *ctl_verdict_word(enum bh_verdict verdict);

/* Name of a decision's rule, or "". */
const char *ctl_rule_name(const struct bh_policy *policy, uint32_t rule);

/* "read, write": words of a mask. */
void ctl_verbs_words(uint32_t verbs, char ret[64]);
