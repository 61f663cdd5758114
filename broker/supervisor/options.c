/* Reading the command line of options.h with getopt_long. */
#include "broker/supervisor/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/places.h"
#include "protocol/commands.h"

enum { OPT_POLICY = 256, OPT_AUDIT_DIR };

static const char short_options[] = "m:p:t:vVh";

static const struct option long_options[] = {
    { "method", required_argument, NULL, 'm' },
    { "path", required_argument, NULL, 'p' },
    { "statedir", required_argument, NULL, 't' },
    { "policy", required_argument, NULL, OPT_POLICY },
    { "audit-dir", required_argument, NULL, OPT_AUDIT_DIR },
    { "verbose", no_argument, NULL, 'v' },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { 0 },
};

static const char help[] =
    "Usage: bulkhead -m unix-listen -p SOCKET [-t DIR] [--policy NAME|FILE] [--audit-dir DIR] [-v]\n"
    "\n"
    "Bulkhead, a guest agent whose parser has no privilege: speaks the QEMU guest agent\n"
    "protocol and does what its policy allows.\n"
    "\n"
    "  -m, --method METHOD    how the host is reached: unix-listen\n"
    "  -p, --path PATH        the socket to listen on\n"
    "  -t, --statedir DIR     an existing folder; ours is DIR/bulkhead (default " BH_STATE_DIR_DEFAULT ")\n"
    "      --policy NAME|FILE a shipped profile (standard, open, inventory) or a policy file\n"
    "                         (default /etc/bulkhead/policy, and where there is none: standard)\n"
    "      --audit-dir DIR    where the audit log goes (default " BH_AUDIT_DIR_DEFAULT ";\n"
    "                         with -t, or as an ordinary user: DIR/bulkhead/audit)\n"
    "  -v, --verbose          log what the supervisor does\n"
    "  -V, --version          print the version and end\n"
    "  -h, --help             print this and end\n"
    "\n"
    "See bulkhead(8), bulkhead-policy(5) and bulkheadctl(8).\n";

static _Noreturn void refuse(const char *what, const char *value, const char *mend)
{
    fprintf(stderr, "bulkhead: %s %s: %s\n", what, value, mend);
    exit(1);
}

/* Children change their root and folder, so every path is made absolute at once. */
static const char *absolute_dir(const char *what, const char *dir)
{
    char *path = realpath(dir, NULL);
    struct stat st;

    if (!path)
        refuse(what, dir, strerror(errno));
    if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        refuse(what, dir, "is not a folder; name an existing one");
    return path;
}

static void take(struct bh_options *options, int option)
{
    switch (option) {
    case 'm':
        options->method = optarg;
        break;
    case 'p':
        options->path = optarg;
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
    case 'v':
        options->verbose = true;
        break;
    case 'V':
        printf("Bulkhead %s (QEMU guest agent protocol %s)\n", BH_VERSION, BH_PROTOCOL_LEVEL);
        exit(0);
    case 'h':
        fputs(help, stdout);
        exit(0);
    default: /* getopt has said what is wrong */
        fputs("Try 'bulkhead --help'.\n", stderr);
        exit(1);
    }
}

static void check(struct bh_options *options)
{
    if (!options->method)
        refuse("method", "(none)", "say -m unix-listen; it is the only one that this build serves");
    if (strcmp(options->method, "unix-listen"))
        refuse("method", options->method, "is not served by this build; use unix-listen");
    if (!options->path)
        refuse("path", "(none)", "unix-listen needs -p SOCKET");
    if (strlen(options->path) > BH_SOCKET_PATH_MAX)
        refuse("path", options->path, "is longer than the 107 bytes that a socket's path may have");
    options->state_dir = absolute_dir("state folder", options->state_dir);
    if (options->audit_dir)
        options->audit_dir = absolute_dir("audit folder", options->audit_dir);
}

void bh_options_parse(struct bh_options *ret, int argc, char **argv)
{
    int option;

    *ret = (struct bh_options){ .state_dir = BH_STATE_DIR_DEFAULT, .inherited = -1 };
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1)
        take(ret, option);
    check(ret);
}
