/*
 * What a worker finds when it starts, made by a test: a policy from text, a state page, an
 * audit queue that the test reads, a temporary folder.
 *
 * Trust: in = CHECKED; out = CHECKED; called by = tests/unit
 */
#pragma once

#include "policy/blob.h"
#include "protocol/wire/record.h"
#include "workers/lib/worker.h"

struct records {
    int fd; /* our end of the queue */
    char data[BH_RECORD_MAX];
    struct bh_record last;
    struct bh_record_count counts[BH_RECORD_COUNTS_MAX];
};

/* Compiles; the test fails if the text has an error. "$DIR" in it becomes `dir`. */
void policy_from(struct bh_policy *ret, const char *text, const char *dir);

/* Fills boot, state, policy and audit; user is root's index in `records`' policy or 0. */
void worker_init(struct bh_worker *worker, struct records *records, const char *policy, const char *dir);
void worker_deinit(struct bh_worker *worker, struct records *records);

/* Takes the next record from the queue. False: there is none. */
bool records_next(struct records *records);

/* A fresh folder; its resolved name. */
void dir_make(char ret[64]);
void dir_remove(const char *dir);
/* A file `name` in it with this text. */
void dir_file(const char *dir, const char *name, const char *text);
