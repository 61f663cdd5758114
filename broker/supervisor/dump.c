/*
 * The answer to -D: the order and the form of qemu-ga's, byte for byte, so that what
 * compares or parses it finds what it expects. Our own keys come last, and only if set.
 */
#include <stdio.h>

#include "broker/supervisor/keyfile.h"
#include "broker/supervisor/settle.h"

static void text(const char *key, const char *value)
{
    bh_keyfile_print(stdout, key, value ? value : "");
}

static void text_if_set(const char *key, const char *value)
{
    if (value)
        text(key, value);
}

static void boolean(const char *key, bool value)
{
    text(key, value ? "true" : "false");
}

void bh_options_dump(const struct bh_options *options)
{
    puts("[general]");
    boolean("daemon", options->daemon);
    text("method", options->method);
    text_if_set("path", options->path);
    text_if_set("logfile", options->log_file);
    text("pidfile", options->pid_file);
    text_if_set("fsfreeze-hook", options->hook);
    text("statedir", options->state_dir);
    boolean("verbose", options->verbose);
    boolean("retry-path", options->retry_path);
    text("block-rpcs", options->block_rpcs);
    text("allow-rpcs", options->allow_rpcs);
    text_if_set("policy", options->policy);
    text_if_set("audit-dir", options->audit_dir);
}
