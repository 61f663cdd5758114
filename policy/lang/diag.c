/* The list of diagnostics of lang.h: bounded; nothing is said twice (of two channels, say);
 * an error never gives way to less. */
#include "policy/lang/lang.h"

#include <string.h>

static bool was_said(const struct bh_diags *diags, const struct bh_diag *diag)
{
    for (uint32_t i = 0; i < diags->n; i++) {
        const struct bh_diag *item = &diags->items[i];

        if (item->line == diag->line && item->column == diag->column &&
            strcmp(item->text.ptr, diag->text.ptr) == 0 && item->file.len == diag->file.len &&
            memcmp(item->file.ptr, diag->file.ptr, diag->file.len) == 0)
            return true;
    }
    return false;
}

void bh_diag_add(struct bh_diags *diags, enum bh_severity severity, struct bh_str file, uint32_t line,
                 uint32_t column, struct bh_str text)
{
    struct bh_diag diag = { severity, file, line, column,
                            text.ptr ? text : BH_STR("no memory for the message") };

    if (was_said(diags, &diag))
        return;
    diags->n_errors += severity == BH_SEVERITY_ERROR;
    if (diags->n < BH_DIAGS_MAX) {
        diags->items[diags->n++] = diag;
        return;
    }
    diags->n_lost++;
    if (severity != BH_SEVERITY_ERROR)
        return;
    for (uint32_t i = diags->n; i-- > 0;) {
        if (diags->items[i].severity == BH_SEVERITY_ERROR)
            continue;
        diags->items[i] = diag;
        return;
    }
}

struct bh_str bh_diag_line(const struct bh_diags *diags, const struct bh_diag *diag)
{
    static const char *const names[] = { "note", "warning", "error" };

    return bh_arena_printf(diags->arena, "%s %.*s:%u:%u: %s", names[diag->severity], (int)diag->file.len,
                           diag->file.ptr, diag->line, diag->column, diag->text.ptr);
}
