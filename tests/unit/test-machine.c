/*
 * broker/front/machine.h: every pair of state and event against the properties that the
 * table must have, said another way than the table says them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "broker/front/machine.h"

/* Events that each state knows, as bits; all others are defects. */
#define E(event) (1u << BH_ON_##event)
static const uint32_t known[BH_FRONT_STATES] = {
    [BH_READING] = E(LIFT) | E(BROKEN) | E(ANSWER) | E(CALL) | E(RESET) | E(FULL),
    [BH_STAGING] = E(BLOCKED) | E(ROOM) | E(PEER) | E(STALE) | E(SPOILED) | E(GONE) | E(BROKEN) | E(ANSWER) |
                   E(CALL) | E(RESET),
    [BH_HOLDING] = E(PEER) | E(STALE) | E(BLOCKED) | E(ROOM) | E(GONE) | E(RESET),
    [BH_STARTING] = E(PEER) | E(GONE) | E(RESET),
    [BH_SENDING] = E(SENT) | E(STALE) | E(BLOCKED) | E(GONE) | E(RESET),
    [BH_WAITING] = E(DATA) | E(STALE) | E(REPLY) | E(ERROR) | E(GONE) | E(RESET),
    [BH_STREAMING] = E(DATA) | E(REPLY) | E(ERROR) | E(GONE) | E(RESET),
    [BH_FLUSHING] = E(TAKEN) | E(RESET),
};

/* Actions that answer the request under way, or say that nobody wants the answer. */
static bool ends_request(unsigned action)
{
    return action == BH_DO_REPLY || action == BH_DO_CLOSE || action == BH_DO_SHORTEN ||
           action == BH_DO_FAIL || action == BH_DO_DROP;
}

/* Actions that take back what is staged. */
static bool takes_back(unsigned action)
{
    return action == BH_DO_ABANDON || action == BH_DO_SPOIL || action == BH_DO_FAIL ||
           action == BH_DO_RESTART || action == BH_DO_DROP;
}

static bool has_staged(unsigned state)
{
    return state == BH_STAGING || state == BH_HOLDING;
}

static void test_every_pair(void **state)
{
    (void)state;
    for (unsigned s = 0; s < BH_FRONT_STATES; s++)
        for (unsigned e = 0; e < BH_FRONT_EVENTS; e++) {
            struct bh_front_row row = bh_front_next(s, e);

            assert_int_equal(row.action != BH_DO_DIE, known[s] >> e & 1);
            assert_true(row.action < BH_FRONT_ACTIONS && row.next < BH_FRONT_STATES);
        }
}

static void test_one_answer_for_one_request(void **state)
{
    (void)state;
    for (unsigned s = 0; s < BH_FRONT_STATES; s++)
        for (unsigned e = 0; e < BH_FRONT_EVENTS; e++) {
            struct bh_front_row row = bh_front_next(s, e);

            if (row.action == BH_DO_DIE || !bh_front_owes(s))
                continue;
            assert_int_equal(!bh_front_owes(row.next), ends_request(row.action));
        }
}

static void test_a_call_is_the_only_way_to_owe(void **state)
{
    (void)state;
    for (unsigned s = 0; s < BH_FRONT_STATES; s++)
        for (unsigned e = 0; e < BH_FRONT_EVENTS; e++) {
            struct bh_front_row row = bh_front_next(s, e);

            if (row.action != BH_DO_DIE && !bh_front_owes(s) && bh_front_owes(row.next))
                assert_int_equal(row.action, BH_DO_CALL);
        }
}

static void test_what_is_staged_is_called_or_taken_back(void **state)
{
    (void)state;
    for (unsigned s = 0; s < BH_FRONT_STATES; s++)
        for (unsigned e = 0; e < BH_FRONT_EVENTS; e++) {
            struct bh_front_row row = bh_front_next(s, e);

            if (row.action == BH_DO_DIE || !has_staged(s) || has_staged(row.next))
                continue;
            assert_true(row.action == BH_DO_CALL || takes_back(row.action));
        }
}

/* A 0xFF ends everything at once: the next byte is read as the beginning of a request. */
static void test_reset_leads_to_reading_from_everywhere(void **state)
{
    (void)state;
    for (unsigned s = 0; s < BH_FRONT_STATES; s++)
        assert_int_equal(bh_front_next(s, BH_ON_RESET).next, BH_READING);
}

static void test_a_lost_worker_never_leaves_us_waiting_for_it(void **state)
{
    (void)state;
    for (unsigned s = 0; s < BH_FRONT_STATES; s++)
        if (bh_front_next(s, BH_ON_GONE).action != BH_DO_DIE)
            assert_int_equal(bh_front_next(s, BH_ON_GONE).next, BH_READING);
}

/* A line that has begun is never answered by a second reply. */
static void test_a_streamed_reply_is_ended_not_replaced(void **state)
{
    (void)state;
    for (unsigned e = 0; e < BH_FRONT_EVENTS; e++) {
        unsigned action = bh_front_next(BH_STREAMING, e).action;

        assert_true(action != BH_DO_FAIL && action != BH_DO_REPLY && action != BH_DO_OPEN);
    }
}

static void test_every_state_is_reached_and_left(void **state)
{
    uint32_t reached = 1u << BH_READING;

    (void)state;
    for (unsigned round = 0; round < BH_FRONT_STATES; round++)
        for (unsigned s = 0; s < BH_FRONT_STATES; s++)
            for (unsigned e = 0; e < BH_FRONT_EVENTS; e++)
                if ((reached >> s & 1) && bh_front_next(s, e).action != BH_DO_DIE)
                    reached |= 1u << bh_front_next(s, e).next;
    assert_int_equal(reached, (1u << BH_FRONT_STATES) - 1);
}

static void test_names_are_those_of_the_enums(void **state)
{
    (void)state;
    assert_string_equal(bh_front_state_name(BH_READING), "READING");
    assert_string_equal(bh_front_state_name(BH_SENDING), "SENDING");
    assert_string_equal(bh_front_state_name(BH_FLUSHING), "FLUSHING");
    assert_string_equal(bh_front_event_name(BH_ON_LIFT), "LIFT");
    assert_string_equal(bh_front_event_name(BH_ON_STALE), "STALE");
    assert_string_equal(bh_front_event_name(BH_ON_GONE), "GONE");
    assert_string_equal(bh_front_event_name(BH_ON_TAKEN), "TAKEN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_one_answer_for_one_request),
        cmocka_unit_test(test_a_call_is_the_only_way_to_owe),
        cmocka_unit_test(test_what_is_staged_is_called_or_taken_back),
        cmocka_unit_test(test_reset_leads_to_reading_from_everywhere),
        cmocka_unit_test(test_a_lost_worker_never_leaves_us_waiting_for_it),
        cmocka_unit_test(test_a_streamed_reply_is_ended_not_replaced),
        cmocka_unit_test(test_every_state_is_reached_and_left),
        cmocka_unit_test(test_names_are_those_of_the_enums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
