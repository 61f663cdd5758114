/* bulkheadctl: the list of subcommands. */
#include <string.h>

#include "broker/ctl/ctl.h"
#include "broker/places.h"
#include "protocol/commands.h"

static const struct ctl_command *const commands[] = {
    &ctl_status, &ctl_reload, &ctl_restart, &ctl_call,  &ctl_exec,
    &ctl_read,   &ctl_write,  &ctl_policy,  &ctl_audit, NULL,
};

int main(int argc, char **argv)
{
    struct ctl ctl = { .state_dir = BH_STATE_DIR_DEFAULT };

    /* The two options that may stand before the subcommand. */
    while (argc > 2) {
        if (strcmp(argv[1], "--json") == 0) {
            ctl.json = true;
        } else if (strncmp(argv[1], "--state-dir=", 12) == 0) {
            ctl.state_dir = argv[1] + 12;
        } else if (strcmp(argv[1], "--state-dir") == 0) {
            ctl.state_dir = argv[2];
            argv++;
            argc--;
        } else {
            break;
        }
        argv++;
        argc--;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("bulkheadctl %s (protocol %s)\n", BH_VERSION, BH_PROTOCOL_LEVEL);
        return CTL_OK;
    }
    return ctl_dispatch(&ctl, NULL, commands, argc - 1, argv + 1);
}
