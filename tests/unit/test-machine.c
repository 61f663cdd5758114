/*
 * broker/front/machine.h: every pair of state and event against the properties that the table must have, said
 * another way than the table says them; and the table at work: all that a client, a worker and a supervisor
 * can do, searched until nothing new is found, with a ledger of what each request has got and left behind.
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

/* --- the table at work -------------------------------------------------------- */

/* What is true of the request that is being read or served, and not written in the machine's state. */
struct world {
    unsigned state; /* enum bh_front_state */
    bool lifted;    /* a bulk argument was begun */
    bool spoiled;   /* ... and was not acceptable */
    bool staged;    /* the worker holds bytes of it */
    bool complete;  /* the request was read whole: it is owed an answer */
    bool called;    /* the worker has all of the call, and what was staged is its own */
    bool line;      /* the reply's line has begun */
};

#define WORLDS (BH_FRONT_STATES << 6)

static unsigned number_of(const struct world *w)
{
    return w->state << 6 | (unsigned)w->lifted << 5 | (unsigned)w->spoiled << 4 | (unsigned)w->staged << 3 |
           (unsigned)w->complete << 2 | (unsigned)w->called << 1 | (unsigned)w->line;
}

static struct world world_of(unsigned n)
{
    return (struct world){ n >> 6, n >> 5 & 1, n >> 4 & 1, n >> 3 & 1, n >> 2 & 1, n >> 1 & 1, n & 1 };
}

/* True if somebody can make the event happen. The text is read in two states only (loop.c), sending has its
 * own events (route.c), frames are taken only from the worker that has the call (receive.c). */
static bool can_happen(const struct world *w, unsigned event)
{
    bool reads = bh_front_reads(w->state), with_worker = w->state != BH_READING && w->state != BH_FLUSHING;
    bool sends = w->state == BH_HOLDING || w->state == BH_SENDING || w->state == BH_STAGING;

    switch (event) {
    case BH_ON_LIFT:
        return w->state == BH_READING && !w->lifted;
    case BH_ON_SPOILED:
        return w->state == BH_STAGING;
    case BH_ON_BROKEN:
    case BH_ON_ANSWER:
        return reads;
    case BH_ON_CALL:
        return reads && !w->spoiled;
    case BH_ON_FULL:
        return w->state == BH_READING;
    case BH_ON_TAKEN:
        return w->state == BH_FLUSHING;
    case BH_ON_PEER:
        return w->state == BH_STAGING || w->state == BH_HOLDING || w->state == BH_STARTING;
    case BH_ON_BLOCKED:
        return sends;
    case BH_ON_STALE: /* once something went through the socket it is not stale but dead; or a call came back
                       */
        return (sends || w->state == BH_WAITING) && !w->staged;
    case BH_ON_ROOM:
        return sends && w->state != BH_SENDING;
    case BH_ON_SENT:
        return w->state == BH_SENDING;
    case BH_ON_DATA:
    case BH_ON_REPLY:
    case BH_ON_ERROR:
        return w->called;
    case BH_ON_GONE:
        return with_worker;
    default:
        return true; /* a 0xFF comes at any time */
    }
}

static void forget(struct world *w)
{
    *w = (struct world){ .state = w->state };
}

/* The request has its one answer, and nothing of it lies about. */
static void answered(struct world *w)
{
    assert_true(w->complete);
    assert_true(w->called || !w->staged);
    forget(w);
}

static void do_action(struct world *w, unsigned action, unsigned event)
{
    switch (action) {
    case BH_DO_STAGE:
        w->lifted = true;
        break;
    case BH_DO_SPOIL:
        w->spoiled = true;
        w->staged = false;
        break;
    case BH_DO_ABANDON: /* the answer was written, or nobody wants it */
        assert_true(event == BH_ON_ANSWER || event == BH_ON_RESET);
        assert_false(w->complete);
        forget(w);
        break;
    case BH_DO_CALL:
        assert_false(w->complete || w->spoiled);
        w->complete = true;
        break;
    case BH_DO_OPEN:
        assert_true(w->called && !w->line);
        w->line = true;
        break;
    case BH_DO_BYTES:
        assert_true(w->line);
        break;
    case BH_DO_CLOSE:
    case BH_DO_SHORTEN:
        assert_true(w->line);
        answered(w);
        break;
    case BH_DO_REPLY:
        assert_true(w->called && !w->line);
        answered(w);
        break;
    case BH_DO_FAIL: /* of a broken text, too */
        assert_false(w->line);
        assert_true(w->complete != (event == BH_ON_BROKEN));
        forget(w);
        break;
    case BH_DO_DROP:
    case BH_DO_RESTART:
        assert_int_equal(event, BH_ON_RESET);
        assert_true(action == BH_DO_DROP || !w->complete);
        forget(w);
        break;
    default:
        assert_true(action == BH_DO_NOTHING || action == BH_DO_ASK || action == BH_DO_SEND);
    }
}

struct search {
    bool seen[WORLDS];
    bool used[BH_FRONT_STATES][BH_FRONT_EVENTS];
    unsigned todo[WORLDS], n;
};

static void find(struct search *search, const struct world *w)
{
    unsigned number = number_of(w);

    if (search->seen[number])
        return;
    search->seen[number] = true;
    search->todo[search->n++] = number;
}

/* Everything that can come of one event: while sending, bytes may have gone to the worker or not. */
static void step(struct search *search, struct world w, unsigned event)
{
    struct bh_front_row row = bh_front_next(w.state, event);
    bool sending = w.state == BH_STAGING || w.state == BH_HOLDING || w.state == BH_SENDING;

    assert_int_not_equal(row.action, BH_DO_DIE); /* what can happen is no defect */
    search->used[w.state][event] = true;
    w.state = row.next;
    if (event == BH_ON_SENT)
        w.called = true;
    if (event == BH_ON_STALE) /* the worker has nothing of it any more */
        w.called = false;
    do_action(&w, row.action, event);
    assert_int_equal(w.complete, bh_front_owes(w.state));
    assert_true(!w.staged || w.called || w.complete || w.state == BH_STAGING || w.state == BH_HOLDING);
    find(search, &w);
    if (sending && w.lifted && !w.spoiled && (event == BH_ON_ROOM || event == BH_ON_BLOCKED)) {
        w.staged = true;
        find(search, &w);
    }
}

static void test_all_that_can_happen(void **state)
{
    static struct search search;
    struct world start = { .state = BH_READING };
    uint32_t states = 0;

    (void)state;
    find(&search, &start);
    while (search.n > 0) {
        struct world w = world_of(search.todo[--search.n]);

        states |= 1u << w.state;
        for (unsigned event = 0; event < BH_FRONT_EVENTS; event++)
            if (can_happen(&w, event))
                step(&search, w, event);
    }
    assert_int_equal(states, (1u << BH_FRONT_STATES) - 1);
    for (unsigned s = 0; s < BH_FRONT_STATES; s++) /* and the table says nothing that cannot happen */
        for (unsigned e = 0; e < BH_FRONT_EVENTS; e++)
            assert_int_equal(search.used[s][e], bh_front_next(s, e).action != BH_DO_DIE);
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
        cmocka_unit_test(test_all_that_can_happen),
        cmocka_unit_test(test_names_are_those_of_the_enums),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
