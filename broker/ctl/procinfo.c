/* The reader of procinfo.h: "Name: value" lines of two files. */
#include "broker/ctl/procinfo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "protocol/base/mem.h"

static FILE *open_file(pid_t pid, const char *name)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    return fopen(path, "re");
}

static void take_status_line(const char *line, struct ctl_proc *ret)
{
    (void)(sscanf(line, "Uid: %" SCNu32, &ret->uid) == 1 ||
           sscanf(line, "CapEff: %" SCNx64, &ret->caps) == 1 ||
           sscanf(line, "NoNewPrivs: %d", &ret->no_new_privs) == 1 ||
           sscanf(line, "Seccomp: %d", &ret->seccomp) == 1);
}

struct ctl_proc ctl_proc_read(pid_t pid)
{
    _cleanup_fclose_ FILE *status = open_file(pid, "status"), *memory = open_file(pid, "smaps_rollup");
    struct ctl_proc proc = { .found = status };
    char line[256];

    while (status && fgets(line, sizeof(line), status))
        take_status_line(line, &proc);
    while (memory && !proc.has_pss && fgets(line, sizeof(line), memory))
        proc.has_pss = sscanf(line, "Pss: %" SCNu64, &proc.pss_kib) == 1;
    return proc;
}
