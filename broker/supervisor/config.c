/*
 * qemu-ga.conf: the group [general], qemu-ga's keys and ours. Other groups and keys are
 * left alone, as qemu-ga does. Of a key that stands twice the last counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "broker/places.h"
#include "broker/supervisor/keyfile.h"
#include "broker/supervisor/settle.h"
#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "protocol/base/mem.h"

enum kind { STRING, BOOLEAN, LIST };

static const struct key {
    const char *name;
    enum kind kind;
    size_t at; /* in struct bh_options */
} keys[] = {
    { "daemon", BOOLEAN, offsetof(struct bh_options, daemon) },
    { "method", STRING, offsetof(struct bh_options, method) },
    { "path", STRING, offsetof(struct bh_options, path) },
    { "logfile", STRING, offsetof(struct bh_options, log_file) },
    { "pidfile", STRING, offsetof(struct bh_options, pid_file) },
    { "fsfreeze-hook", STRING, offsetof(struct bh_options, hook) },
    { "statedir", STRING, offsetof(struct bh_options, state_dir) },
    { "verbose", BOOLEAN, offsetof(struct bh_options, verbose) },
    { "retry-path", BOOLEAN, offsetof(struct bh_options, retry_path) },
    { "block-rpcs", LIST, offsetof(struct bh_options, block_rpcs) },
    { "blacklist", LIST, offsetof(struct bh_options, block_rpcs) }, /* what qemu-ga called it up to 9.0 */
    { "allow-rpcs", LIST, offsetof(struct bh_options, allow_rpcs) },
    { "policy", STRING, offsetof(struct bh_options, policy) },
    { "audit-dir", STRING, offsetof(struct bh_options, audit_dir) },
};

struct found {
    struct bh_keyfile_entry entries[BH_ARRAY_SIZE(keys)]; /* key NULL: not there */
};

static void take(void *context, const struct bh_keyfile_entry *entry)
{
    struct found *found = context;

    for (size_t i = 0; i < BH_ARRAY_SIZE(keys); i++)
        if (!strcmp(entry->group, "general") && !strcmp(entry->key, keys[i].name))
            found->entries[i] = *entry;
}

static int apply(struct bh_options *options, const struct key *key, const struct bh_keyfile_entry *entry,
                 struct bh_keyfile_error *error)
{
    void *at = (char *)options + key->at;
    const char **text = at;
    bool *truth = at;
    int r;

    if (key->kind == BOOLEAN)
        return bh_keyfile_boolean(entry, truth, error);
    r = bh_keyfile_string(entry, error);
    if (r == 0 && key->kind == LIST)
        bh_options_add_list(text, entry->value);
    else if (r == 0)
        *text = entry->value;
    return r;
}

static void parse(struct bh_options *options, const char *path, char *text, size_t len)
{
    struct bh_keyfile_error error;
    struct found found = { 0 };
    int r = bh_keyfile_parse(text, len, take, &found, &error);

    for (size_t i = 0; i < BH_ARRAY_SIZE(keys) && r == 0; i++)
        if (found.entries[i].key)
            r = apply(options, &keys[i], &found.entries[i], &error);
    if (r < 0)
        bh_options_refuse(options, "%s:%u:%u: %s", path, error.line, error.column, error.what);
    for (size_t i = 0; i < BH_ARRAY_SIZE(keys); i++)
        if (found.entries[i].key && !strcmp(keys[i].name, "blacklist"))
            bh_log(BH_LOG_WARNING, "%s:%u: blacklist is block-rpcs' old name; use the new one", path,
                   found.entries[i].line);
    options->own_state_dir = options->state_dir != NULL;
}

/* A regular file of bounded size; what it holds stays for good, for the options point into it. */
static char *read_file(struct bh_options *options, const char *path, int fd, size_t *ret_len)
{
    char *text = malloc(BH_KEYFILE_BYTES_MAX + 1);
    struct stat st;
    ssize_t n;

    if (!text || fstat(fd, &st) < 0)
        bh_options_refuse(options, "%s cannot be read: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        bh_options_refuse(options, "%s is not a regular file", path);
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
        options->loose_config = path;
    n = bh_read_file(fd, text, BH_KEYFILE_BYTES_MAX);
    if (n == -EFBIG)
        bh_options_refuse(options, "%s is larger than %u bytes", path, BH_KEYFILE_BYTES_MAX);
    if (n < 0)
        bh_options_refuse(options, "%s cannot be read: %s", path, strerror((int)-n));
    text[n] = '\0';
    *ret_len = (size_t)n;
    return text;
}

void bh_config_load(struct bh_options *options, const char *path)
{
    const char *of_environment = getenv("QGA_CONF");
    bool must = path != NULL;
    _cleanup_close_ int fd = -1;
    size_t len;
    char *text;

    if (!path)
        path = of_environment ? of_environment : BH_CONFIG_FILE_DEFAULT;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT && !must)
        return;
    if (fd < 0)
        bh_options_refuse(options, "the configuration file %s cannot be opened: %s", path, strerror(errno));
    text = read_file(options, path, fd, &len);
    parse(options, path, text, len);
}
