/*
 * Policy text to compiled policy, by the confined compiler: bulkhead-policyc is started
 * for one run, reads the packed files (BH_FD_POLICY), writes the bundle (BH_FD_PEER) and
 * its findings (descriptor 2), and ends. The supervisor and bulkheadctl never parse a policy.
 *
 * Trust: in = CONFIG; out = PEER (the bundle is to be opened with bh_bundle_open and
 *        bh_policy_open; the findings are text); called by = supervisor, bulkheadctl
 */
#pragma once

#include <stddef.h>

#include "policy/lang/pack.h"

#define BH_COMPILE_TIMEOUT_MS 5000
#define BH_COMPILE_REFUSED 1 /* the text has errors */

/*
 * 0: *ret_bundle is sealed memory, the caller's; BH_COMPILE_REFUSED: see the findings; -errno: the compiler
 * could not be run, or misbehaved (-ETIMEDOUT, -EPROTO). *ret_diagnostics is set in every case: lines of
 * text, maybe none, the caller's to free; NULL if there was no memory.
 */
int bh_compile(const char *program_dir, const struct bh_pack_file *files, size_t n, int *ret_bundle,
               char **ret_diagnostics);
