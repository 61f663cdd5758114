/* Starts tests/confine/confined the way the supervisor starts a process, for the tests of this folder. */
#pragma once

#include "policy/confine/confine.h"

#define LAUNCH_BEFORE_FAILED 210 /* exit status if bh_confine_before_exec refused */
#define LAUNCH_SIGNALLED 256     /* added to the signal's number */
#define LAUNCH_LEFT_OUT_MAX 8

#define LAUNCH_UID (BH_UID_BLOCK + 9)

/* Everything but the fences whose work is not under test. */
#define ONLY(fences) (0xfffu & ~(uint32_t)(fences))

struct launch {
    const struct bh_profile *profile;
    struct bh_identity identity;
    struct bh_view view;
    uint32_t off, required;
    const char *landlock;              /* see confined.c */
    const char *args[4];               /* the attempt */
    uid_t start_as;                    /* not 0: the supervisor is this ordinary user */
    bool no_mount_setattr;             /* as on a kernel before 5.12 */
    void (*lie)(struct bh_boot *boot); /* spoils what the process expects to find */
};

struct running {
    pid_t pid;
    int peer;        /* our end of its BH_FD_PEER */
    uint32_t fences; /* of an attempt that waits */
};

struct left_out {
    uint32_t n;
    struct {
        char path[256];
        int error;
    } rows[LAUNCH_LEFT_OUT_MAX];
};

/* What the last launch left out of its view; shared with the children. */
extern struct left_out *launch_left_out;

/* Once, before all else. */
void launch_init(void);

/* An ordinary launch into the empty view, as LAUNCH_UID. Skips the test if this process is not root. */
struct launch launch_begin(const struct bh_profile *profile, uint32_t off);

void launch_start(const struct launch *launch, struct running *ret);

/* For the attempt "wait": returns when the process is confined and waits. */
void launch_start_waiting(struct launch *launch, struct running *ret);

/* Lets it go on, waits for its end: exit status, or LAUNCH_SIGNALLED + signal. */
int launch_end(struct running *running);

/* Both. */
int launch_run(const struct launch *launch);

/* Runs one attempt with `args`. */
int launch_try(struct launch *launch, const char *name, const char *first, const char *second);
