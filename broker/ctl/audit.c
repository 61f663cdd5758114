/* bulkheadctl audit: its two commands. */
#include "broker/ctl/ctl.h"

static int run(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_command *const commands[] = { &ctl_audit_show, &ctl_audit_verify, NULL };

    return ctl_dispatch(ctl, "audit", commands, argc, argv);
}

const struct ctl_command ctl_audit = {
    .name = "audit",
    .summary = "show and verify the audit log",
    .run = run,
};
