/*
 * What the files of the parser share: one token of look-ahead and the small steps over
 * it. A step that returns false has reported an error; the caller returns false as
 * well, and the statement loop goes on at the next statement.
 *
 * Trust: in = CONFIG; out = CONFIG; called by = lang/parse*.c
 */
#pragma once

#include "policy/lang/model.h"

#define BH_PATH_HINT "a path begins with '/', has no '//', '.' or '..' in it and no '/' at its end"

struct bh_parser {
    struct bh_model *model;
    struct bh_scan scan;
    struct bh_token token; /* the next one, not yet taken */
    enum bh_file_kind kind;
    unsigned depth;            /* open braces before `token` */
    struct bh_str origin_file; /* `origin`: of the next rule; .ptr NULL when not said */
    uint32_t origin_line;
    uint32_t reviewed; /* of the rules of this file (struct bh_rule_line) */
    unsigned n_statements;
};

/* Takes the token. */
void bh_parser_advance(struct bh_parser *parser);

/* Reports that something else should stand here; false. */
bool bh_parser_expected(struct bh_parser *parser, const char *what);

bool bh_parser_is_word(const struct bh_parser *parser, const char *word);

/* Takes the word if it is the next token. */
bool bh_parser_accept(struct bh_parser *parser, const char *word);

/* Takes a token of this kind, or reports that `what` should stand here. */
bool bh_parser_take(struct bh_parser *parser, enum bh_token_kind kind, const char *what,
                    struct bh_token *ret);

/* After a comma, lines may end. True if there was a comma. */
bool bh_parser_comma(struct bh_parser *parser);

void bh_parser_skip_lines(struct bh_parser *parser);

/* Is this a name of ours: [a-z][a-z0-9-]*, at most BH_POLICY_NAME_MAX bytes? Reports otherwise. */
bool bh_parser_name_ok(struct bh_parser *parser, const struct bh_token *token, const char *what);

/* NAME, NAME, ... */
bool bh_parser_refs(struct bh_parser *parser, const char *what, struct bh_ref **ret);

/* COMMAND or @CLASS, ... */
bool bh_parser_targets(struct bh_parser *parser, enum bh_effect effect, struct bh_targets *ret);

/* A whole number of at most `most`. */
bool bh_parser_number(struct bh_parser *parser, const char *what, uint64_t most, uint64_t *ret);

/* The value of a setting that is one word. */
bool bh_parser_value(struct bh_parser *parser, const struct bh_setting_row *row, uint64_t *ret);

/* The words of BH_TYPE_WORDS, as a mask. */
bool bh_parser_words(struct bh_parser *parser, const struct bh_setting_row *row, uint64_t *ret);

/* The strings of BH_TYPE_NAMES, added to the rule's. */
bool bh_parser_names(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row);

/* Does each command of the rule list what its names are for? Reports otherwise. */
bool bh_parser_names_fit(struct bh_parser *parser, const struct bh_rule_line *rule);

/* Can the commands of the rule have what it says of mounts? Reports otherwise. */
bool bh_parser_mounts_fit(struct bh_parser *parser, const struct bh_rule_line *rule);

/* The settings of an execution that are no single value, added to the rule's. */
bool bh_parser_exec(struct bh_parser *parser, struct bh_rule_line *rule, const struct bh_setting_row *row);

/* One position of `args` or `rest`. */
bool bh_parser_arg(struct bh_parser *parser, struct bh_arg_line **ret);

/* Can the commands of the rule have what it says of executions, does it say enough of them, and nothing that
 * contradicts itself? Reports otherwise. */
bool bh_parser_exec_fits(struct bh_parser *parser, const struct bh_rule_line *rule);

/* Sets what it leaves open, and leaves a deny of programs with guest-exec alone. */
void bh_parser_exec_settle(struct bh_rule_line *rule);

/* Leaves the commands that act on mounts. */
void bh_mask_keep_mounts(uint64_t mask[2]);

/* The bits of what the rule gives that are of this domain. */
uint64_t bh_rule_given(const struct bh_rule_line *rule, enum bh_setting_domain domain);

/* A rule, from `rule`, `allow` or `deny` on. */
bool bh_parser_rule(struct bh_parser *parser);
