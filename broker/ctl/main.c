/* bulkheadctl: the list of subcommands. */
#include <string.h>

#include "broker/ctl/ctl.h"
#include "protocol/commands.h"

static const struct ctl_command *const commands[] = {
    &ctl_status, &ctl_call, &ctl_read, &ctl_write, &ctl_policy, &ctl_audit, NULL,
};

int main(int argc, char **argv)
{
    struct ctl ctl = { .state_dir = CTL_STATE_DIR_DEFAULT };

    /* The two options that may stand before the subcommand. */
    while (argc > 2 && (strcmp(argv[1], "--json") == 0 || strncmp(argv[1], "--state-dir", 11) == 0)) {
        if (strcmp(argv[1], "--json") == 0) {
            ctl.json = true;
        } else if (argv[1][11] == '=') {
            ctl.state_dir = argv[1] + 12;
        } else {
            ctl.state_dir = argv[2];
            argv++;
            argc--;
        }
        argv++;
        argc--;
    }
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        printf("bulkheadctl, protocol %s\n", BH_PROTOCOL_LEVEL);
        return CTL_OK;
    }
    return ctl_dispatch(&ctl, NULL, commands, argc - 1, argv + 1);
}
