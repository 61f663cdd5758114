/*
 * What commands list by name, and what a pattern for such names can be.
 *
 * Trust: in = CONFIG, PEER (patterns as bytes); out = CHECKED; called by = policy, bulkheadctl
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define BH_NAMES_MAX 64u     /* patterns of one rule */
#define BH_INTERFACE_MAX 15u /* bytes of an interface's name; a pattern's, stars not counted */
#define BH_USER_MAX 256u     /* the same of a user's name */

/* What a command lists by name, so that a rule can speak of some of it. */
enum bh_listed { BH_LISTED_NOTHING, BH_LISTED_INTERFACES, BH_LISTED_USERS };

/* What this command lists; what all commands of a set list: BH_LISTED_NOTHING if they differ. */
enum bh_listed bh_command_lists(unsigned command);
enum bh_listed bh_mask_lists(const uint64_t mask[2]);

/* Can it be a pattern for such names? NULL, or what is wrong, as a part of a sentence. */
const char *bh_name_fails(enum bh_listed listed, const char *pattern, size_t len);
