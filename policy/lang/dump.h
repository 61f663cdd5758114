/*
 * Pieces of a policy's text, written from its compiled form.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = policy/lang, bulkheadctl policy diff
 */
#pragma once

#include <stdio.h>

#include "policy/lang/settings.h"

/* A string in quotes. */
void bh_dump_string(FILE *out, const char *text);

/* bh_policy_dump_setting for what a rule says of executions. */
void bh_dump_exec_setting(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule,
                          const struct bh_setting_row *row);

/* The lines of a rule's block that say this setting; nothing where it is the initial one. */
void bh_policy_dump_setting(FILE *out, const struct bh_policy *policy, const struct bh_rule *rule,
                            const struct bh_setting_row *row);
