/*
 * Reading the audit folder, segment by segment and line by line.
 *
 * Trust: in = CONFIG (root's folder, but what stands in it may have been changed: that
 *        is what verify is for); out = CHECKED (bounds only); called by = bulkheadctl
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "broker/audit/segment.h"
#include "broker/ctl/ctl.h"

struct ctl_log {
    int dir;
    char *path;
    uint64_t *segments; /* ascending */
    size_t n;
};

/* Opens `path`, or, if that is NULL, the folder that the agent's status names, or the default one. Exit
 * status. */
int ctl_log_open(struct ctl_log *log, const struct ctl *ctl, const char *path);
void ctl_log_close(struct ctl_log *log);

/* A segment for reading. NULL: errno. */
FILE *ctl_log_segment(const struct ctl_log *log, uint64_t segment);
