/* policy/paths.h: the folders that rules make visible. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "policy/paths.h"
#include "tests/unit/worker-fixture.h"

static struct bh_worker worker;
static struct records records;
static const char dir[] = "/tmp";

#define HEAD "policy 1\ncommands 49\n"
#define OPEN                                                                                                 \
    HEAD "allow @file-read, @file-write { verbs read write create truncate append\nuser root\ntypes any\n"   \
         "symlinks follow\ncreate-mode 0666 }\n"

static void check_folder(const struct bh_view_path *paths, uint32_t n, const char *path, uint32_t access)
{
    uint32_t seen = 0;

    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(paths[i].path, path))
            continue;
        seen++;
        assert_int_equal(paths[i].access, access);
    }
    assert_int_equal(seen, 1);
}

static void test_folders(void **state)
{
    struct bh_view_path paths[BH_PATHS_MAX];
    char storage[256];
    uint32_t n;

    (void)state;
    worker_init(
        &worker, &records,
        HEAD
        "allow @file-read { path is \"/etc/hostname\"\npath glob \"/srv/*/x\"\npath beneath \"/var/log\" }\n"
        "allow @file-write { path beneath \"/var/lib/x\"\nverbs write\nuser root }\n"
        "allow @file-read { path is \"/version\" }\n",
        dir);
    n = bh_policy_paths(&worker.policy, BH_NO_USER, paths, BH_PATHS_MAX, storage, sizeof(storage));
    assert_int_equal(n, 4);
    check_folder(paths, n, "/etc", BH_ACCESS_READ);
    check_folder(paths, n, "/srv", BH_ACCESS_READ);
    check_folder(paths, n, "/var/log", BH_ACCESS_READ);
    check_folder(paths, n, "/", BH_ACCESS_READ);
    n = bh_policy_paths(&worker.policy, 0, paths, BH_PATHS_MAX, storage, sizeof(storage));
    assert_int_equal(n, 1);
    check_folder(paths, n, "/var/lib/x", BH_ACCESS_WRITE);
    assert_int_equal(bh_policy_paths(&worker.policy, BH_NO_USER, paths, 3, storage, sizeof(storage)), 3);
    assert_int_equal(bh_policy_paths(&worker.policy, BH_NO_USER, paths, BH_PATHS_MAX, storage, 5), 1);
    assert_true(bh_policy_needs_fs_reader(&worker.policy));
    worker_deinit(&worker, &records);
    worker_init(&worker, &records, OPEN, dir);
    assert_false(bh_policy_needs_fs_reader(&worker.policy));
    assert_int_equal(
        bh_policy_paths(&worker.policy, BH_NO_USER, paths, BH_PATHS_MAX, storage, sizeof(storage)), 0);
    n = bh_policy_paths(&worker.policy, 0, paths, BH_PATHS_MAX, storage, sizeof(storage));
    check_folder(paths, n, "/", BH_ACCESS_READ | BH_ACCESS_WRITE | BH_ACCESS_ANY);
    worker_deinit(&worker, &records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
