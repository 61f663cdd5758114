/*
 * What the rules for guest-exec say of one execution; a part of eval.c, which knows what allow and deny come
 * to.
 *
 * Trust: in = CHECKED (the rules), PEER (the execution, any bytes); out = CHECKED; called by = policy/eval.c,
 *        policy/lang (does a literal match a pattern)
 */
#pragma once

#include "policy/eval.h"

/* Why not: "argument 2 is not among those it allows". All constants. */
struct bh_exec_why {
    const char *text;    /* NULL: it matches */
    const char *counted; /* what `number` counts: "argument", "variable"; NULL: nothing */
    uint32_t number;     /* from 1 */
};

/* How the name of a program may be taken: as the client says it only, or also as what that leads to. */
enum bh_exec_names { BH_EXEC_BY_PATH, BH_EXEC_BY_ANY };

/*
 * Does this allow, which has an exec part, grant it? Without an object: might it grant anything? What cannot
 * be evaluated is false.
 */
struct bh_exec_why bh_exec_allow_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                       const struct bh_exec_object *object, enum bh_exec_names names);

/* Does this deny strike it? Without an object one with programs strikes nothing. What cannot be evaluated is
 * true. */
struct bh_exec_why bh_exec_deny_fails(const struct bh_policy *policy, const struct bh_rule *rule,
                                      const struct bh_exec_object *object);

/* A decimal number as %lld prints it: no sign but '-', no leading zero. */
bool bh_exec_parse_int(struct bh_str text, int64_t *ret);

/* Does one alternative match this argument? `dash_ok` as in struct bh_exec_arg. */
bool bh_exec_match(const struct bh_exec_match *match, const char *text, bool dash_ok, struct bh_str argument);
