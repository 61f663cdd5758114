/* The lists of qgaconf.h and what is said of their names; the configuration file. */
#include "broker/ctl/qgaconf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/ctl/ctl.h"
#include "broker/supervisor/keyfile.h"
#include "broker/supervisor/narrow.h"
#include "protocol/base/mem.h"
#include "protocol/commands.h"
#include "protocol/wire/utf8.h"

#define GROUP "general"

/* What is quoted may be any bytes; a finding is text. */
static void make_text(char *text)
{
    if (!bh_utf8_valid(text, strlen(text)))
        for (; *text; text++)
            if ((unsigned char)*text >= 0x80)
                *text = '?';
}

void ctl_qga_say(struct ctl_qga *qga, bool warning, const char *where, const char *format, ...)
{
    struct ctl_finding *finding = &qga->findings[qga->n_findings];
    va_list args;

    if (qga->n_findings == CTL_QGA_FINDINGS_MAX) {
        qga->n_lost++;
        return;
    }
    va_start(args, format);
    if (vasprintf(&finding->text, format, args) < 0)
        finding->text = NULL;
    va_end(args);
    finding->where = strdup(where);
    finding->warning = warning;
    if (!finding->text || !finding->where) {
        free(finding->text);
        free(finding->where);
        qga->n_lost++;
        return;
    }
    make_text(finding->text);
    make_text(finding->where);
    qga->n_findings++;
}

void ctl_qga_free(struct ctl_qga *qga)
{
    for (unsigned i = 0; i < qga->n_findings; i++) {
        free(qga->findings[i].where);
        free(qga->findings[i].text);
    }
    free(qga->config);
}

/* What the names of one list are told to. */
struct listing {
    struct ctl_qga *qga;
    const char *where, *option;
    enum ctl_qga_list which;
    unsigned known;
};

static bool trimmed_is_command(const char *name, int len)
{
    while (len > 0 && strchr(" \t", name[0])) {
        name++;
        len--;
    }
    while (len > 0 && strchr(" \t", name[len - 1]))
        len--;
    return bh_command_find(name, (size_t)len) >= 0;
}

/* A name that no command has does nothing: an allow of it grants nothing, a block of it blocks nothing. */
static void say_unknown(const struct listing *l, const char *name, int len)
{
    const char *loss = l->which == CTL_QGA_BLOCK ? "blocks" : "allows";
    int shown = len < 200 ? len : 200;

    if (memchr(name, ';', (size_t)len))
        ctl_qga_say(l->qga, true, l->where,
                    "%s: '%.*s' is ONE name, which no command has: only commas separate names, so qemu-ga "
                    "%s NONE of them, and neither does this policy",
                    l->option, shown, name, loss);
    else if (trimmed_is_command(name, len))
        ctl_qga_say(l->qga, true, l->where,
                    "%s: '%.*s' has a blank beside it, which qemu-ga does not trim: it %s nothing, and so "
                    "does this policy",
                    l->option, shown, name, loss);
    else
        ctl_qga_say(l->qga, l->which == CTL_QGA_BLOCK, l->where,
                    "%s: '%.*s' is no command of a Linux agent: it %s nothing", l->option, shown, name, loss);
}

static void add_name(void *context, const char *name, int len, int command)
{
    struct listing *l = context;
    uint64_t *mask = l->which == CTL_QGA_ALLOW ? l->qga->allowed : l->qga->blocked;

    if (command < 0) {
        say_unknown(l, name, len);
        return;
    }
    mask[command / 64] |= 1ull << (command % 64);
    l->known++;
}

void ctl_qga_add_list(struct ctl_qga *qga, const char *where, enum ctl_qga_list which, const char *option,
                      const char *names)
{
    struct listing l = { .qga = qga, .where = where, .option = option, .which = which };

    if (!*names) {
        ctl_qga_say(qga, which == CTL_QGA_ALLOW, where, "%s: the list is empty, which is as good as none%s",
                    option, which == CTL_QGA_ALLOW ? ": it does NOT refuse everything" : "");
        return;
    }
    bh_narrow_each(names, add_name, &l);
    *(which == CTL_QGA_ALLOW ? &qga->has_allow : &qga->has_block) = true;
    ctl_qga_say(qga, false, where, "%s: %u %s %s", option, l.known, l.known == 1 ? "command" : "commands",
                which == CTL_QGA_ALLOW ? "allowed" : "blocked");
}

bool ctl_qga_serves(const struct ctl_qga *qga, unsigned command)
{
    uint64_t bit = 1ull << (command % 64);

    return !bh_command_is_extension(command) && (!qga->has_allow || qga->allowed[command / 64] & bit) &&
           !(qga->blocked[command / 64] & bit);
}

void ctl_qga_judge(struct ctl_qga *qga)
{
    if (!qga->has_allow && !qga->has_block)
        ctl_qga_say(qga, true, "all in all", "no list says anything: qemu-ga serves every command");
    if (qga->has_allow && qga->has_block)
        ctl_qga_say(qga, false, "all in all",
                    "there is an allow list and a block list: qemu-ga 8.1 to 9.0 do not start with both; "
                    "later ones serve what is allowed and not blocked, and so does this policy");
    if (qga->blocked[0] & (1ull << BH_CMD_GUEST_INFO | 1ull << BH_CMD_GUEST_FSFREEZE_THAW))
        ctl_qga_say(qga, true, "all in all",
                    "while file systems are frozen, qemu-ga serves guest-info, guest-fsfreeze-thaw and the "
                    "rest of its six whatever the lists say; this policy does not");
}

/* The first ones of `keys`; what follows is text. */
enum key { KEY_BLOCK, KEY_BLACKLIST, KEY_ALLOW, KEY_DAEMON, KEY_VERBOSE, KEY_RETRY };

static const char *const keys[] = { "block-rpcs", "blacklist",  "allow-rpcs", "daemon",
                                    "verbose",    "retry-path", "method",     "path",
                                    "logfile",    "pidfile",    "statedir",   "fsfreeze-hook" };

/* The keys of the configuration file, as they were said last. */
struct config {
    struct ctl_qga *qga;
    const char *path;
    struct bh_keyfile_entry entries[BH_ARRAY_SIZE(keys)]; /* value NULL: not said */
};

static void where_is(const char *path, unsigned line, char ret[512])
{
    (void)snprintf(ret, 512, "%.480s:%u", path, line);
}

static void keep_entry(void *context, const struct bh_keyfile_entry *entry)
{
    struct config *config = context;
    char where[512];
    unsigned i = 0;

    while (i < BH_ARRAY_SIZE(keys) && strcmp(keys[i], entry->key) != 0)
        i++;
    where_is(config->path, entry->line, where);
    if (strcmp(entry->group, GROUP) != 0)
        ctl_qga_say(config->qga, false, where, "[%s] %s: qemu-ga reads the group [" GROUP "] only",
                    entry->group, entry->key);
    else if (i == BH_ARRAY_SIZE(keys))
        ctl_qga_say(config->qga, false, where, "%s: no key of qemu-ga, which passes it over", entry->key);
    else
        config->entries[i] = *entry;
}

static int refuse(const char *path, const struct bh_keyfile_error *error)
{
    return ctl_fail(CTL_FAILED, "%s:%u:%u: qemu-ga does not start with this file: %s", path, error->line,
                    error->column, error->what);
}

/* Converts one value. Exit status; CTL_OK too where the key was not said. */
static int take_value(struct config *config, unsigned key)
{
    const struct bh_keyfile_entry *entry = &config->entries[key];
    bool truth, is_list = key == KEY_BLOCK || key == KEY_BLACKLIST || key == KEY_ALLOW;
    bool is_truth = key == KEY_DAEMON || key == KEY_VERBOSE || key == KEY_RETRY;
    struct bh_keyfile_error error;
    char where[512];

    if (!entry->value)
        return CTL_OK;
    if (is_truth ? bh_keyfile_boolean(entry, &truth, &error) < 0 : bh_keyfile_string(entry, &error) < 0)
        return refuse(config->path, &error);
    where_is(config->path, entry->line, where);
    if (is_list)
        ctl_qga_add_list(config->qga, where, key == KEY_ALLOW ? CTL_QGA_ALLOW : CTL_QGA_BLOCK, keys[key],
                         entry->value);
    else
        ctl_qga_say(config->qga, false, where, "%s: no matter of policy; the agent reads this key itself",
                    keys[key]);
    return CTL_OK;
}

static int take_values(struct config *config)
{
    const struct bh_keyfile_entry *blacklist = &config->entries[KEY_BLACKLIST];
    struct bh_keyfile_entry *block = &config->entries[KEY_BLOCK];
    char where[512];
    int status = CTL_OK;

    if (blacklist->value) {
        where_is(config->path, blacklist->line, where);
        ctl_qga_say(
            config->qga, true, where,
            "blacklist: qemu-ga up to 9.0 takes this key as block-rpcs, and instead of it; later ones "
            "pass it over. It is obeyed here");
    }
    if (blacklist->value && block->value) {
        where_is(config->path, block->line, where);
        ctl_qga_say(config->qga, true, where, "block-rpcs: not read, because there is a key `blacklist`");
        block->value = NULL;
    }
    for (unsigned i = 0; i < BH_ARRAY_SIZE(keys) && status == CTL_OK; i++)
        status = take_value(config, i);
    return status;
}

int ctl_qga_config(struct ctl_qga *qga, const char *path)
{
    struct config config = { .qga = qga, .path = path };
    struct bh_keyfile_error error;
    _cleanup_free_ char *text = NULL;
    size_t len;

    text = ctl_read_file(path, BH_KEYFILE_BYTES_MAX, &len);
    if (!text)
        return ctl_fail(CTL_FAILED, "%s cannot be read: %s", path, strerror(errno));
    if (bh_keyfile_parse(text, len, keep_entry, &config, &error) < 0)
        return refuse(path, &error);
    return take_values(&config);
}
