/*
 * Any bytes as a compiled slice and as a bundle: refused, or every question can be asked of it
 * without a step outside. The first eight bytes of the head and the size are made right, so that
 * the fuzzer gets past them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/eval.h"
#include "protocol/commands.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What must be frozen may be frozen. */
static void ask_of_mounts(const struct bh_policy *policy, unsigned command)
{
    static const char *const mounts[] = { "/", "/data/db", "/srv/tmp/x", "data", "" };

    for (unsigned i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        struct bh_str mount = { mounts[i], (uint32_t)strlen(mounts[i]) };

        if (bh_policy_mount_required(policy, command, mount) &&
            bh_policy_mount(policy, command, mount, NULL).verdict != BH_VERDICT_ALLOW)
            abort();
    }
}

static void ask_of_programs(const struct bh_policy *policy)
{
    static const char *const programs[] = { "/usr/bin/systemctl", "/opt/x", "/bin/sh", "x", "" };
    static const struct bh_str args[] = { BH_STR("restart"), BH_STR("-1"), BH_STR("/srv/x"), BH_STR("--"),
                                          BH_STR("") };
    static const struct bh_str env[] = { BH_STR("LANG=C"), BH_STR("LD_X=") };

    for (uint32_t sandbox = 0; sandbox <= BH_SANDBOX_NONE; sandbox++)
        (void)bh_policy_has_sandbox(policy, sandbox);
    for (unsigned i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
        for (uint32_t n = 0; n <= 5; n++) {
            struct bh_exec_object object = { .path = { programs[i], (uint32_t)strlen(programs[i]) },
                                             .args = args,
                                             .env = env,
                                             .n_args = n,
                                             .n_env = n % 3,
                                             .has_input = n & 1 };
            struct bh_decision decision;

            object.resolved = n & 2 ? object.path : (struct bh_str){ 0 };
            decision = bh_policy_exec(policy, &object, NULL);
            if (decision.verdict == BH_VERDICT_ALLOW && policy->rules[decision.rule].exec == BH_NO_EXEC)
                abort();
        }
}

static void ask(const struct bh_policy *policy)
{
    static const char *const paths[] = { "/", "/a/b", "/var/log/x", "a", "" };

    for (unsigned command = 0; command <= BH_CMD_COUNT; command++) {
        (void)bh_policy_grants(policy, command);
        (void)bh_policy_name(policy, command, (struct bh_str)BH_STR("eth0:1"), NULL);
        ask_of_mounts(policy, command);
    }
    ask_of_programs(policy);
    for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++)
        for (uint32_t verbs = 0; verbs <= BH_VERB_ALL; verbs++) {
            struct bh_file_object file = { .path = { paths[i], (uint32_t)strlen(paths[i]) },
                                           .verbs = verbs,
                                           .found = verbs & 1,
                                           .user = BH_NO_USER };
            struct bh_decision decision = bh_policy_file(policy, &file, NULL);

            if (decision.rule != BH_NO_RULE && !bh_policy_string(policy, policy->rules[decision.rule].name))
                abort();
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bh_bundle *bundle;
    struct bh_policy policy;
    void *copy = malloc(size ? size : 1); /* exactly as long, so that a sanitizer sees a step beyond */

    if (!copy)
        abort();
    memcpy(copy, data, size);
    (void)bh_bundle_open(&bundle, copy, size);
    if (size >= sizeof(struct bh_slice)) {
        struct bh_slice *slice = copy;

        slice->magic = BH_SLICE_MAGIC;
        slice->format = BH_POLICY_FORMAT;
        slice->schema = BH_SCHEMA_HASH;
        slice->size = (uint32_t)size;
    }
    if (bh_policy_open(&policy, copy, size) == 0)
        ask(&policy);
    free(copy);
    return 0;
}
