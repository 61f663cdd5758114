/* The restart budget: the first restart is immediate, fruitless ones wait, a finished request forgives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "broker/supervisor/budget.h"

static void first_death_restarts_at_once(void **state)
{
    struct bh_budget budget = { 0 };

    (void)state;
    bh_budget_started(&budget, 0);
    bh_budget_died(&budget, 0, 1000);
    assert_int_equal(bh_budget_wait(&budget, 1000), 0);
}

static void fruitless_deaths_wait_longer_up_to_the_limit(void **state)
{
    const uint64_t expected[] = { 0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000 };
    struct bh_budget budget = { 0 };
    uint64_t now = 5000;

    (void)state;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        bh_budget_started(&budget, 7);
        bh_budget_died(&budget, 7, now);
        assert_int_equal(bh_budget_wait(&budget, now), expected[i]);
        now += expected[i];
        assert_int_equal(bh_budget_wait(&budget, now), 0);
    }
}

static void a_finished_request_forgives(void **state)
{
    struct bh_budget budget = { 0 };

    (void)state;
    for (int i = 0; i < 5; i++) {
        bh_budget_started(&budget, 3);
        bh_budget_died(&budget, 3, 0);
    }
    assert_int_equal(bh_budget_wait(&budget, 0), 800);
    bh_budget_started(&budget, 3);
    bh_budget_died(&budget, 4, 10000);
    assert_int_equal(bh_budget_wait(&budget, 10000), 0);
}

static void fruitful_deaths_are_bounded_per_second(void **state)
{
    struct bh_budget budget = { 0 };

    (void)state;
    for (uint64_t i = 1; i <= BH_DEATHS_PER_SECOND; i++) {
        assert_int_equal(bh_budget_wait(&budget, 7000 + i), 0);
        bh_budget_started(&budget, i);
        bh_budget_died(&budget, i + 1, 7000 + i);
    }
    assert_int_equal(bh_budget_wait(&budget, 7050), 951); /* the second began at 7001 */
    assert_int_equal(bh_budget_wait(&budget, 8001), 0);
    bh_budget_started(&budget, 1);
    bh_budget_died(&budget, 2, 8001);
    assert_int_equal(bh_budget_wait(&budget, 8001), 0);
}

static void many_deaths_do_not_overflow(void **state)
{
    struct bh_budget budget = { .fruitless = UINT32_MAX - 1 };

    (void)state;
    bh_budget_started(&budget, 0);
    bh_budget_died(&budget, 0, 1);
    assert_int_equal(bh_budget_wait(&budget, 1), BH_RESTART_DELAY_MAX_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_death_restarts_at_once),
        cmocka_unit_test(fruitless_deaths_wait_longer_up_to_the_limit),
        cmocka_unit_test(a_finished_request_forgives),
        cmocka_unit_test(fruitful_deaths_are_bounded_per_second),
        cmocka_unit_test(many_deaths_do_not_overflow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
