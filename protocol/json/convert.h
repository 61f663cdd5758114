/*
 * Canonical text <-> struct, over the tables of table.h: the only code that names json-c.
 *
 * Inward: json-c in strict mode parses `arguments`, the tables say what may be there.
 * Errors name the field as clients know it (`vcpus[1].online`), in the wordings that
 * clients rely on: "Parameter 'p' is missing", "Parameter 'p' is unexpected",
 * "Invalid parameter type for 'p', expected: integer", "Parameter 'p' does not accept
 * value 'v'", "Parameter 'p' expects uint64", "value 'v' is invalid for argument p" (a number
 * out of its range). The fields of the table are looked at first, in its order, then
 * members that it does not have.
 * Outward: struct -> text, written straight from the tables, without json-c: ASCII
 * only, ": " and ", " as separators, '/' not escaped, doubles with 17 digits, an
 * invalid byte as \uFFFD.
 *
 * Trust: in = HOST (text that the lexer let through), PEER (structs of a worker, already
 *        decoded); out = CHECKED; called by = front, bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/base/arena.h"
#include "protocol/base/err.h"
#include "protocol/wire/table.h"

/*
 * Fills `out` (type->size bytes) from the canonical text of `arguments` (NULL or "{}": no arguments; `type`
 * may be NULL for a command that takes none). `members` as the lexer counted them: a difference is a
 * duplicate key. Bulk and secret fields count as present if their bit is set in `lifted`; their content is
 * not touched. 0, or a positive BH_E_* with reterr filled, or -ENOMEM.
 */
int bh_json_to_struct(const struct bh_type *type, const char *text, size_t len, uint32_t members,
                      uint64_t lifted, struct bh_arena *arena, void *out, struct bh_error *reterr);

/* Growing text with a hard limit; owned by the caller, freed with bh_out_deinit. */
struct bh_out {
    char *data;
    size_t len, cap, limit;
    bool failed; /* the limit or the memory was exhausted; later calls do nothing */
};

void bh_out_init(struct bh_out *out, size_t limit);
void bh_out_deinit(struct bh_out *out);
void bh_out_raw(struct bh_out *out, const char *text, size_t len);
void bh_out_string(struct bh_out *out, const char *text, size_t len); /* quoted and escaped */

/* Writes the value of a struct of `type`; without braces if `bare`. Bulk members are left out. */
void bh_struct_to_json(const struct bh_type *type, const void *in, bool bare, struct bh_out *out);

/* As above but only the members: what follows streamed bulk members. `first`: none has been written before
 * them. */
void bh_members_to_json(const struct bh_type *type, const void *in, bool first, struct bh_out *out);
