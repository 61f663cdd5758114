/*
 * bulkhead-hook: runs the freeze hooks and the thaw hooks, as root.
 *
 * Beside the supervisor it is the one process with all of root's power, since what it runs inherits whatever
 * it is bound by, and hooks stop databases, call su and lvcreate. So it has no fences to speak of, and makes
 * up for it by what it does not do: it reads questions of eight bytes and nothing else of anybody's, runs
 * nothing but files that only root could have written, and knows no client.
 *
 * It has no parent-death signal, and SIGTERM does not end it: thaw hooks are owed whoever dies. Status 0 says
 * that nothing is owed, and so does the record.
 */
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "protocol/base/fd.h"
#include "protocol/base/log.h"
#include "workers/storage/hook_serve.h"

#define STATUS_OWED 1    /* the next agent has thaw hooks to run */
#define STATUS_CONFIG 78 /* EX_CONFIG: starting again will not help */

static bool is_path(const char path[PATH_MAX])
{
    return memchr(path, '\0', PATH_MAX) && (path[0] == '/' || path[0] == '\0');
}

static const struct bh_hook_config *read_config(void)
{
    static struct bh_hook_config config;

    if (!bh_memfd_is_sealed(BH_FD_POLICY) ||
        bh_read_file(BH_FD_POLICY, &config, sizeof(config)) != (ssize_t)sizeof(config))
        bh_die(STATUS_CONFIG, "descriptor %d is not the list of hooks that the supervisor makes",
               BH_FD_POLICY);
    if (config.magic != BH_HOOK_CONFIG_MAGIC || config.timeout_ms == 0 ||
        config.timeout_ms > BH_HOOK_TIMEOUT_MAX_MS || !is_path(config.file) || !is_path(config.folder) ||
        !memchr(config.channel, '\0', sizeof(config.channel)))
        bh_die(STATUS_CONFIG, "the list of hooks is not of this build");
    return &config;
}

static void passed_over(const char *name)
{
    bh_log(BH_LOG_WARNING, "the freeze hook %s is passed over: names have letters, digits, '_' and '-' only",
           name);
}

/* Nobody may look into it; nobody's signal ends it; what loses its parent below it is its own. */
static void settle(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
    (void)umask(077);
    if (chdir("/") < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        bh_die(STATUS_CONFIG, "cannot be set up: %m");
}

int main(void)
{
    static struct bh_hook_keeper keeper;
    const struct bh_boot *boot;
    bool paid;

    bh_log_init("bulkhead-hook", BH_LOG_NOTICE);
    boot = bh_boot_map();
    settle();
    keeper.config = read_config();
    keeper.frozen = bh_frozen_map();
    keeper.state = bh_state_map();
    keeper.audit = (struct bh_audit){ .fd = BH_FD_AUDIT, .source = boot->source, .state = keeper.state };
    keeper.control = BH_FD_CONTROL;
    keeper.peer = BH_FD_PEER;
    keeper.record = BH_FD_STATUS;
    keeper.privileged = geteuid() == 0;
    keeper.hooks.passed_over = passed_over;
    keeper.state->fences = boot->fences | BH_FENCE_DUMPABLE;
    paid = boot->user == BH_HOOK_OWED ? bh_hook_serve_owed(&keeper) : bh_hook_serve(&keeper);
    _exit(paid ? 0 : STATUS_OWED);
}
