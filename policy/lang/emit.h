/*
 * The tables of a slice while they are filled, shared by the files that write compiled policies.
 *
 * Trust: in = CHECKED (a model without errors); out = CHECKED; called by = lang/emit*.c
 */
#pragma once

#include "policy/lang/model.h"
#include "policy/lang/strings.h"

struct bh_tables {
    uint32_t count[BH_SECTION_COUNT]; /* what is in each */
    struct bh_rule *rules;
    struct bh_path *paths;
    struct bh_name *names, *words;
    struct bh_exec_rule *execs;
    struct bh_exec_arg *args;
    struct bh_exec_match *matches;
    uint16_t *excepts, *index;
    struct bh_policy_user *users;
    uint32_t *groups;
    struct bh_strings strings;
};

/* What an allow or a deny says of executions needs of each table, and of strings: added to both. */
void bh_exec_count(const struct bh_rule_line *line, uint32_t count[BH_SECTION_COUNT], size_t *bytes);

/* Adds it to the tables; its index in BH_SECTION_EXECS, or BH_NO_EXEC if the rule says nothing of them. Warns
 * of groups that are not there. */
uint32_t bh_exec_add(struct bh_model *model, const struct bh_rule_line *line, struct bh_tables *t);
