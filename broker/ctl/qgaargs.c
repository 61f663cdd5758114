/*
 * Arguments of qemu-ga, and the variables of the files that a distribution's service file
 * makes arguments of.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/ctl.h"
#include "broker/ctl/envfile.h"
#include "broker/ctl/qgaconf.h"
#include "broker/qgaoptions.h"
#include "protocol/base/mem.h"

#define WORDS_MAX 64 /* in one variable */

/* In order, and a word without a value is ours to report. */
static const char short_options[] = "+:" BH_QGA_SHORT_OPTIONS;

static const struct option long_options[] = { BH_QGA_LONG_OPTIONS, { 0 } };

/* `name`: as the option was written, long or short. */
static int take_list(struct ctl_qga *qga, const char *where, int option, const char *name, const char *names)
{
    if (strcmp(names, "help") == 0 || strcmp(names, "?") == 0)
        return ctl_fail(CTL_FAILED, "%s: with --%s %s qemu-ga prints a list and ends: it serves nothing",
                        where, name, names);
    if (strcmp(name, BH_QGA_BLACKLIST) == 0)
        ctl_qga_say(
            qga, true, where,
            "--%s: qemu-ga up to 9.0 takes it as --block-rpcs; later ones do not start with it. It is "
            "obeyed here",
            name);
    ctl_qga_add_list(qga, where, option == 'a' ? CTL_QGA_ALLOW : CTL_QGA_BLOCK, name, names);
    return CTL_OK;
}

static const char *long_name(int option)
{
    for (const struct option *row = long_options; row->name; row++)
        if (row->val == option)
            return row->name;
    return "?";
}

/* `word` is where getopt stands; `name`: of the long option, or NULL. */
static int take_option(struct ctl_qga *qga, const char *where, int option, const char *name, const char *word)
{
    switch (option) {
    case 'a':
    case 'b':
        return take_list(qga, where, option, name ? name : long_name(option), optarg);
    case 'h':
    case 'V':
    case 'D':
        return ctl_fail(CTL_FAILED, "%s: with --%s qemu-ga prints something and ends: it serves nothing",
                        where, long_name(option));
    case ':':
        return ctl_fail(CTL_FAILED, "%s: qemu-ga does not start: %s needs a value", where, word);
    case '?':
        return ctl_fail(CTL_FAILED, "%s: qemu-ga does not start: it has no option %s, or not one alone",
                        where, word);
    case 'c':
        free(qga->config);
        qga->config = strdup(optarg);
        return CTL_OK;
    default:
        ctl_qga_say(qga, false, where, "--%s%s%s: no matter of policy; give it to the agent as well",
                    long_name(option), optarg ? "=" : "", optarg ? optarg : "");
        return CTL_OK;
    }
}

/* The options of words[1..n], one at a time, so that a word which belongs to none can be told. */
static int take_all(struct ctl_qga *qga, const char *where, int n, char **words)
{
    int status = CTL_OK;

    opterr = 0;
    optind = 0; /* begin anew, with the flags of short_options */
    while (status == CTL_OK) {
        int at = optind > 0 ? optind : 1, index = -1;
        int option = getopt_long(n + 1, words, short_options, long_options, &index);

        if (option != -1) {
            status = take_option(qga, where, option, index < 0 ? NULL : long_options[index].name,
                                 words[at <= n ? at : n]);
            continue;
        }
        if (optind > n || strcmp(words[at], "--") == 0)
            break;
        if (*words[optind])
            ctl_qga_say(qga, false, where, "%s: qemu-ga passes over words that belong to no option",
                        words[optind]);
        optind++;
    }
    return status;
}

int ctl_qga_arguments(struct ctl_qga *qga, const char *where, int argc, char **argv)
{
    _cleanup_free_ char **words = calloc((size_t)argc + 2, sizeof(*words));
    char name[] = "qemu-ga";

    if (!words)
        return ctl_fail(CTL_FAILED, "out of memory");
    words[0] = name;
    for (int i = 0; i < argc; i++)
        words[i + 1] = argv[i];
    return take_all(qga, where, argc, words);
}

/* How a variable comes to qemu-ga's arguments. */
enum use { USE_WORDS, USE_BLOCK, USE_OPTION };

static const struct {
    const char *name;
    enum use use;
} variables[] = {
    { "FILTER_RPC_ARGS", USE_WORDS },
    { "QEMU_GA_ARGS", USE_WORDS },
    { "DAEMON_ARGS", USE_WORDS },
    { "BLOCK_RPCS", USE_BLOCK },
    { "BLACKLIST_RPC", USE_BLOCK },
    { "TRANSPORT_METHOD", USE_OPTION },
    { "DEVPATH", USE_OPTION },
    { "GA_METHOD", USE_OPTION },
    { "GA_PATH", USE_OPTION },
    { "LOGFILE", USE_OPTION },
    { "PIDFILE", USE_OPTION },
    { "VERBOSE", USE_OPTION },
    { "FSFREEZE_HOOK_ENABLE", USE_OPTION },
    { "FSFREEZE_HOOK_PATHNAME", USE_OPTION },
    { "FSFREEZE_HOOK_LOGFILE", USE_OPTION },
};

/* The last value of each variable. */
struct sysconfig {
    const char *values[BH_ARRAY_SIZE(variables)], *dubious[BH_ARRAY_SIZE(variables)];
    unsigned lines[BH_ARRAY_SIZE(variables)];
    struct ctl_qga *qga;
    const char *path;
};

static bool keep_variable(void *context, const char *name, const char *value, const char *dubious,
                          unsigned line)
{
    struct sysconfig *config = context;
    char where[512];

    for (unsigned i = 0; i < BH_ARRAY_SIZE(variables); i++) {
        if (strcmp(variables[i].name, name) != 0)
            continue;
        config->values[i] = value;
        config->dubious[i] = dubious;
        config->lines[i] = line;
        return true;
    }
    (void)snprintf(where, sizeof(where), "%.480s:%u", config->path, line);
    ctl_qga_say(config->qga, true, where, "%s: not known, and so not read; see that nothing hangs on it",
                name);
    return true;
}

/* A variable that holds options: cut at blanks, as shells and service managers do. */
static int take_words(struct ctl_qga *qga, const char *where, const char *name, char *value)
{
    char *words[WORDS_MAX], *state, *word;
    int n = 0;

    if (strpbrk(value, "\"'\\"))
        return ctl_fail(
            CTL_FAILED,
            "%s: %s has quotes within its quotes, which shells and service managers take in different "
            "ways: give what it comes to behind --",
            where, name);
    for (word = strtok_r(value, " \t\n", &state); word; word = strtok_r(NULL, " \t\n", &state)) {
        if (n == WORDS_MAX)
            return ctl_fail(CTL_FAILED, "%s: %s has more than %d words", where, name, WORDS_MAX);
        words[n++] = word;
    }
    if (n > 1 && strcmp(name, "DAEMON_ARGS") != 0)
        ctl_qga_say(qga, true, where,
                    "%s: taken as %d arguments; a service file that writes ${%s} makes one of them", name, n,
                    name);
    return ctl_qga_arguments(qga, where, n, words);
}

static int take_variable(struct sysconfig *config, unsigned i)
{
    const char *name = variables[i].name;
    char *value = (char *)(uintptr_t)config->values[i]; /* a piece of our own copy of the file */
    char where[512];

    if (!value)
        return CTL_OK;
    (void)snprintf(where, sizeof(where), "%.480s:%u", config->path, config->lines[i]);
    if (variables[i].use == USE_OPTION) {
        ctl_qga_say(config->qga, false, where,
                    "%s=%s: no matter of policy; see that the agent gets it as an option", name, value);
        return CTL_OK;
    }
    if (config->dubious[i])
        return ctl_fail(CTL_FAILED, "%s: the value of %s %s", where, name, config->dubious[i]);
    if (variables[i].use == USE_WORDS)
        return take_words(config->qga, where, name, value);
    ctl_qga_add_list(config->qga, where, CTL_QGA_BLOCK, name, value);
    return CTL_OK;
}

int ctl_qga_sysconfig(struct ctl_qga *qga, const char *path)
{
    struct sysconfig config = { .qga = qga, .path = path };
    _cleanup_free_ char *text = NULL;
    unsigned line = 0;
    int status = CTL_OK;
    size_t len;

    text = ctl_read_file(path, CTL_QGA_FILE_MAX, &len);
    if (!text)
        return ctl_fail(CTL_FAILED, "%s cannot be read: %s", path, strerror(errno));
    if (strlen(text) != len)
        return ctl_fail(CTL_FAILED, "%s is no text: there is a zero byte in it", path);
    if (ctl_envfile_read(text, keep_variable, &config, &line) < 0)
        return ctl_fail(CTL_FAILED, "%s:%u: this is no NAME=VALUE, or its quotes do not close", path, line);
    for (unsigned i = 0; i < BH_ARRAY_SIZE(variables) && status == CTL_OK; i++)
        status = take_variable(&config, i);
    return status;
}
