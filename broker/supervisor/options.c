/*
 * The command line of options.h, with getopt_long: qemu-ga's letters and names, their
 * abbreviations, and two long options of our own.
 *
 * It is read twice: the file that -c names lies below everything else, and who asks for
 * help gets it whatever that file holds.
 */
#include "broker/supervisor/options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/places.h"
#include "broker/qgaoptions.h"
#include "broker/supervisor/settle.h"
#include "protocol/base/log.h"
#include "protocol/commands.h"

enum { OPT_POLICY = 256, OPT_AUDIT_DIR };

static const char short_options[] = BH_QGA_SHORT_OPTIONS "s::";

static const struct option long_options[] = {
    BH_QGA_LONG_OPTIONS,
    { "service", optional_argument, NULL, 's' },
    { "policy", required_argument, NULL, OPT_POLICY },
    { "audit-dir", required_argument, NULL, OPT_AUDIT_DIR },
    /* qemu-ga's shortest abbreviations, which names that it does not have would make ambiguous. */
    { "a", required_argument, NULL, 'a' },
    { "s", required_argument, NULL, 't' },
    { 0 },
};

static const char help[] =
    "Usage: %s [-m METHOD] [-p PATH] [OPTION]...\n"
    "\n"
    "Bulkhead, a guest agent whose parser has no privilege: speaks the QEMU guest agent\n"
    "protocol and does what its policy allows.\n"
    "\n"
    "  -m, --method METHOD    how the host is reached: virtio-serial (default), isa-serial,\n"
    "                         unix-listen or vsock-listen\n"
    "  -p, --path PATH        the device (default " BH_VIRTIO_PORT_DEFAULT "\n"
    "                         or " BH_ISA_SERIAL_DEFAULT "), the socket, or CID:PORT\n"
    "  -r, --retry-path       try again when the path cannot be opened or is lost\n"
    "  -c, --config FILE      configuration (default $QGA_CONF, or " BH_CONFIG_FILE_DEFAULT ")\n"
    "  -D, --dump-conf        print what holds as a configuration file, and end\n"
    "      --policy NAME|FILE a shipped profile (standard, rhel, open, ...) or a policy file\n"
    "                         (default " BH_POLICY_FILE_DEFAULT ", and where there is none: standard)\n"
    "  -a, --allow-rpcs LIST  of what the policy opens, only these commands; names with commas\n"
    "                         between, or help for all names\n"
    "  -b, --block-rpcs LIST  not these commands\n"
    "  -t, --statedir DIR     an existing folder; ours is DIR/bulkhead (default " BH_STATE_DIR_DEFAULT ")\n"
    "      --audit-dir DIR    where the audit log goes (default " BH_AUDIT_DIR_DEFAULT ";\n"
    "                         with -t, or as an ordinary user: DIR/bulkhead/audit)\n"
    "  -F, --fsfreeze-hook[=FILE]\n"
    "                         run FILE around a freeze (default " BH_HOOK_DEFAULT ");\n"
    "                         -F and its FILE are one word\n"
    "  -d, --daemonize        run in the background; returns when the agent serves\n"
    "  -f, --pidfile FILE     of a daemon (default " BH_PID_FILE_DEFAULT ")\n"
    "  -l, --logfile FILE     log there instead of standard error\n"
    "  -v, --verbose          log everything\n"
    "  -V, --version          print the version and end\n"
    "  -h, --help             print this and end\n"
    "\n"
    "See bulkhead(8), bulkhead-policy(5) and bulkheadctl(8).\n";

/* Whoever looks for qemu-ga by its name finds it; everything else is the same. */
static const char *program_of(const char *path)
{
    const char *slash = path ? strrchr(path, '/') : NULL, *name = slash ? slash + 1 : path;

    return name && !strcmp(name, "qemu-ga") ? "qemu-ga" : "bulkhead";
}

static _Noreturn void print_version(const struct bh_options *options)
{
    if (!strcmp(options->program, "qemu-ga"))
        printf("QEMU Guest Agent %s\n", BH_PROTOCOL_LEVEL);
    else
        printf("Bulkhead %s (QEMU guest agent protocol %s)\n", BH_VERSION, BH_PROTOCOL_LEVEL);
    exit(0);
}

/* The commands of this build, as the schema orders them. */
static _Noreturn void print_commands(void)
{
    for (unsigned i = 0; i < BH_CMD_COUNT; i++)
        if (bh_commands[i].served && !bh_command_is_extension(i))
            puts(bh_commands[i].name);
    exit(0);
}

static bool asks_for_names(const char *list)
{
    return !strcmp(list, "help") || !strcmp(list, "?");
}

/* What does not wait for the configuration: its own name, and what prints something and ends. */
static void take_first(struct bh_options *options, int option, const char **config)
{
    switch (option) {
    case 'c':
        *config = optarg;
        break;
    case 'V':
        print_version(options);
    case 'h':
        printf(help, options->program);
        exit(0);
    case 'a':
    case 'b':
        if (asks_for_names(optarg))
            print_commands();
        break;
    case 's':
        bh_options_refuse(options,
                          "-s is for services of Windows; have the service manager start "
                          "%s without it, or say -d",
                          options->program);
    case '?': /* getopt has said what is wrong */
        fprintf(stderr, "Try '%s --help'.\n", options->program);
        exit(1);
    default: /* in its turn */
        break;
    }
}

static void take_text(struct bh_options *options, int option)
{
    switch (option) {
    case 'm':
        options->method = optarg;
        break;
    case 'p':
        options->path = optarg;
        break;
    case 'l':
        options->log_file = optarg;
        break;
    case 'f':
        options->pid_file = optarg;
        break;
    case 'F':
        options->hook = optarg ? optarg : BH_HOOK_DEFAULT;
        break;
    case 't':
        options->state_dir = optarg;
        options->own_state_dir = true;
        break;
    case OPT_POLICY:
        options->policy = optarg;
        break;
    case OPT_AUDIT_DIR:
        options->audit_dir = optarg;
        break;
    default: /* a list, a switch, or taken already */
        break;
    }
}

static void take(struct bh_options *options, int option, bool *ret_dump)
{
    switch (option) {
    case 'a':
        bh_options_add_list(&options->allow_rpcs, optarg);
        break;
    case 'b':
        bh_options_add_list(&options->block_rpcs, optarg);
        break;
    case 'v':
        options->verbose = true;
        break;
    case 'd':
        options->daemon = true;
        break;
    case 'r':
        options->retry_path = true;
        break;
    case 'D':
        *ret_dump = true;
        break;
    default:
        take_text(options, option);
        break;
    }
}

void bh_options_parse(struct bh_options *ret, int argc, char **argv)
{
    const char *config = NULL;
    bool dump = false;
    int option;

    *ret = (struct bh_options){ .program = program_of(argv[0]), .inherited = -1 };
    bh_log_init(ret->program, BH_LOG_NOTICE);
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
        take_first(ret, option, &config);
    bh_config_load(ret, config);
    optind = 0; /* from the start again */
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
        take(ret, option, &dump);
    bh_options_default(ret);
    if (dump) {
        bh_options_dump(ret);
        exit(fflush(stdout) == 0 ? 0 : 1);
    }
    bh_options_check(ret);
}
