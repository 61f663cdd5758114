/*
 * A policy as it was written: lists of lines, in the order of the input, with the place
 * of each. The parser fills it, the checker resolves names in it, emit reads it.
 *
 * Trust: in = CONFIG; out = CONFIG until bh_model_check has passed; called by = policy/lang
 */
#pragma once

#include <string.h>

#include "policy/lang/patterns.h"
#include "policy/lang/scan.h"
#include "policy/lang/settings.h"

enum bh_file_kind { BH_FILE_MAIN, BH_FILE_DROP_IN, BH_FILE_PROFILE };

/* A name that was written somewhere and stands for something else. */
struct bh_ref {
    struct bh_ref *next;
    struct bh_str name;
    struct bh_pos pos;
    struct bh_rule_line *rule; /* `except`: the rule it names, resolved; NULL if there is none */
};

/* What a list of commands and classes comes to. */
struct bh_targets {
    uint64_t mask[2];
    uint32_t classes; /* named as classes */
    bool bare_open;   /* guest-file-open was named itself */
    bool others;      /* something that is no file command was named */
};

struct bh_path_line {
    struct bh_path_line *next;
    struct bh_str text;
    enum bh_path_kind kind;
    enum bh_path_use use;
    struct bh_pos pos;
};

static inline struct bh_pattern bh_line_pattern(const struct bh_path_line *line)
{
    return (struct bh_pattern){ line->kind, line->text.ptr, line->text.len };
}

struct bh_name_line {
    struct bh_name_line *next;
    struct bh_str text;
    struct bh_pos pos;
};

/* One alternative of what an argument may be. */
struct bh_match_line {
    struct bh_match_line *next;
    enum bh_exec_match_kind kind;
    struct bh_str text; /* "" for INT and ANY */
    int64_t least, most;
};

struct bh_arg_line {
    struct bh_arg_line *next;
    struct bh_match_line *matches;
    uint32_t n_matches;
    bool dash_ok;
};

struct bh_texts {
    struct bh_name_line *first;
    uint32_t n;
    bool any; /* all there are; then n is 0 */
};

/* What the block of a rule for guest-exec says, but for single values. */
struct bh_exec_line {
    struct bh_texts programs, env, sockets, groups;
    struct bh_arg_line *args, *rest; /* rest: one position, or NULL */
    uint32_t n_args;
    struct bh_str sha256, argv0, cwd; /* .ptr NULL: not said */
};

struct bh_rule_line {
    struct bh_rule_line *next;
    struct bh_pos pos;        /* where it stands in the text */
    struct bh_str file, name; /* as reported: `origin` may say otherwise than pos; name "" until checked */
    uint32_t line;
    enum bh_effect effect;
    enum bh_file_kind kind;
    struct bh_targets targets;
    struct bh_ref *on, *excepts;
    uint64_t values[BH_SLOT_COUNT];
    uint64_t given;             /* bit per slot that the block says */
    struct bh_path_line *paths; /* of files, or of mounts */
    struct bh_name_line *names; /* of the one setting that its commands allow */
    uint32_t n_names;
    struct bh_exec_line exec;
    struct bh_str user;
    struct bh_pos user_pos;
    bool conditional;  /* it has conditions on the object of guest-file-open */
    uint32_t channels; /* bit per channel, resolved */
    uint32_t reviewed; /* commands that its file's author knew: a profile's own `commands N`, else all */
    uint32_t number;   /* in the slice being written, or BH_NO_RULE */
};

struct bh_channel_line {
    struct bh_pos pos;
    struct bh_str name, method, path;
    struct bh_targets only;
    bool has_only;
};

struct bh_use_line {
    struct bh_use_line *next;
    struct bh_str name;
    struct bh_pos pos;
    struct bh_ref *on;
    uint32_t channels;
};

struct bh_model {
    const struct bh_policy_input *input;
    struct bh_diags *diags;
    struct bh_arena *arena;
    struct bh_channel_line channels[BH_CHANNELS_MAX];
    uint32_t n_channels;
    struct bh_rule_line *rules, **rules_end;
    struct bh_use_line *uses, **uses_end;
    struct bh_targets drop_ins; /* what drop-ins may allow */
    uint64_t settings[BH_SET_COUNT];
    struct bh_pos set_at[BH_SET_COUNT];
    uint32_t fences_said;
    struct bh_pos commands_at; /* line 0: not said */
};

/* An arena allocation that reports when there is no room. */
void *bh_model_alloc(struct bh_model *model, size_t size);

/* Parses one file into the model; errors go to model->diags. */
void bh_model_parse(struct bh_model *model, struct bh_str name, struct bh_str text, enum bh_file_kind kind);

/* Adds a command or class; false if there is none of this name. */
bool bh_targets_add(struct bh_targets *targets, struct bh_str word, enum bh_effect effect);

/* Verbs that the targets stand for where no `verbs` is written. */
uint16_t bh_targets_verbs(const struct bh_targets *targets);

static inline bool bh_mask_has(const uint64_t mask[2], unsigned command)
{
    return mask[command / 64] >> (command % 64) & 1;
}

static inline void bh_mask_add(uint64_t mask[2], unsigned command)
{
    mask[command / 64] |= 1ull << (command % 64);
}

/* Does the rule say what may be run, or what may not? `program any` in a deny says nothing. */
static inline bool bh_rule_runs(const struct bh_rule_line *line)
{
    return line->exec.programs.first || (line->effect == BH_EFFECT_ALLOW && line->exec.programs.any);
}

/* Names of channels become bits, in uses and in the rules parsed so far. */
void bh_model_resolve_channels(struct bh_model *model);

/* Rules to names, drop-ins to their bounds. Profiles are parsed by now. */
void bh_model_check(struct bh_model *model);

/* Writes the bundle of a model without errors; may report more. 0 or -ENOMEM. */
int bh_model_emit(struct bh_model *model, const uint8_t digest[32], struct bh_bytes *ret);

/* A rule as it holds on one channel. */
struct bh_slot_rule {
    struct bh_rule_line *line;
    uint64_t mask[2];
    uint16_t verbs; /* 0: it does not speak of guest-file-open */
};

/* What one channel comes to, before it is written. */
struct bh_plan {
    const struct bh_channel_line *channel;
    uint64_t only[2];
    struct bh_slot_rule *rules;
    uint32_t n_rules;
};

/* The rules of one channel, narrowed; reports limits and conflicts. 0 or -ENOMEM. */
int bh_model_plan(struct bh_model *model, uint32_t channel, struct bh_plan *ret);

/* Warns if the rule, which was `before`, has lost all that it grants, or all that it lets open; `why`: to
 * whom. */
void bh_rule_report_loss(struct bh_model *model, const struct bh_channel_line *channel,
                         const struct bh_slot_rule *before, const struct bh_slot_rule *after,
                         const char *why);

/* Does this deny spare this allow by name? */
bool bh_rule_spares(const struct bh_rule_line *deny, const struct bh_rule_line *allow);

/* Does some deny leave this allow while it may strike others? Then nothing is certain. */
bool bh_plan_spares(const struct bh_plan *plan, const struct bh_rule_line *allow);

/* Warns of the allow rules that cover no mount, require one that they do not cover, or narrow nothing. */
void bh_plan_report_mounts(struct bh_model *model, const struct bh_plan *plan);

/* Warns of the allow rules whose names are all hidden by denies, or shown by another allow in any case. */
void bh_plan_report_names(struct bh_model *model, const struct bh_plan *plan);

/* Warns of the allow rules of which the denies of their channel leave nothing. */
void bh_plan_report_struck(struct bh_model *model, const struct bh_plan *plan);

/* Reports an account whose rules open files in more folders than a process may see. */
void bh_slice_check_folders(struct bh_model *model, const struct bh_plan *plan, const struct bh_bytes *slice);

/* The bytes of a slice; may report more. 0 or -ENOMEM. */
int bh_plan_write(struct bh_model *model, const struct bh_plan *plan, const uint8_t digest[32],
                  struct bh_bytes *ret);

static inline bool bh_rules_same_user(const struct bh_rule_line *a, const struct bh_rule_line *b)
{
    return !a->user.ptr == !b->user.ptr && (!a->user.ptr || strcmp(a->user.ptr, b->user.ptr) == 0);
}

/* Can both rules match one request although they settle it differently? Names the setting, or NULL. */
const char *bh_rules_conflict(const struct bh_rule_line *a, uint16_t a_verbs, const struct bh_rule_line *b,
                              uint16_t b_verbs);

/* The same of two rules that say what may be run. */
const char *bh_execs_conflict(const struct bh_rule_line *a, const struct bh_rule_line *b);

/* An account of passwd text; groups (at most BH_GROUPS_MAX) of group text. False if there is none. */
struct bh_account {
    uint32_t uid, gid;
    uint32_t groups[BH_GROUPS_MAX];
    uint32_t n_groups;
    bool cut; /* it is in more groups than there is room for */
};
bool bh_account_find(struct bh_str passwd, struct bh_str group, const char *name, struct bh_account *ret);

/* The number of a group of group text, or of a group given by number. False if there is none. */
bool bh_group_find(struct bh_str group, const char *name, uint32_t *ret);
