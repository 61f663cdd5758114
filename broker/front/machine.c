/* The table of machine.h. An empty cell is BH_DO_DIE. */
#include "broker/front/machine.h"

static const struct bh_front_row table[BH_FRONT_STATES][BH_FRONT_EVENTS] = {
    [BH_READING] = {
        [BH_ON_LIFT] = { BH_DO_STAGE, BH_STAGING },
        [BH_ON_BROKEN] = { BH_DO_FAIL, BH_READING },
        [BH_ON_ANSWER] = { BH_DO_ABANDON, BH_READING },
        [BH_ON_CALL] = { BH_DO_CALL, BH_STARTING },
        [BH_ON_RESET] = { BH_DO_RESTART, BH_READING },
        [BH_ON_FULL] = { BH_DO_NOTHING, BH_FLUSHING },
    },
    [BH_STAGING] = {
        [BH_ON_BLOCKED] = { BH_DO_NOTHING, BH_HOLDING },
        [BH_ON_ROOM] = { BH_DO_NOTHING, BH_STAGING },
        [BH_ON_PEER] = { BH_DO_NOTHING, BH_STAGING },
        [BH_ON_STALE] = { BH_DO_ASK, BH_HOLDING },
        [BH_ON_SPOILED] = { BH_DO_SPOIL, BH_READING },
        [BH_ON_GONE] = { BH_DO_SPOIL, BH_READING },
        [BH_ON_BROKEN] = { BH_DO_FAIL, BH_READING },
        [BH_ON_ANSWER] = { BH_DO_ABANDON, BH_READING },
        [BH_ON_CALL] = { BH_DO_CALL, BH_STARTING },
        [BH_ON_RESET] = { BH_DO_RESTART, BH_READING },
    },
    [BH_HOLDING] = {
        [BH_ON_PEER] = { BH_DO_SEND, BH_HOLDING },
        [BH_ON_STALE] = { BH_DO_ASK, BH_HOLDING },
        [BH_ON_BLOCKED] = { BH_DO_NOTHING, BH_HOLDING },
        [BH_ON_ROOM] = { BH_DO_NOTHING, BH_STAGING },
        [BH_ON_GONE] = { BH_DO_SPOIL, BH_READING },
        [BH_ON_RESET] = { BH_DO_ABANDON, BH_READING },
    },
    [BH_STARTING] = {
        [BH_ON_PEER] = { BH_DO_SEND, BH_SENDING },
        [BH_ON_GONE] = { BH_DO_FAIL, BH_READING },
        [BH_ON_RESET] = { BH_DO_DROP, BH_READING },
    },
    [BH_SENDING] = {
        [BH_ON_SENT] = { BH_DO_NOTHING, BH_WAITING },
        [BH_ON_STALE] = { BH_DO_ASK, BH_STARTING },
        [BH_ON_BLOCKED] = { BH_DO_NOTHING, BH_SENDING },
        [BH_ON_GONE] = { BH_DO_FAIL, BH_READING },
        [BH_ON_RESET] = { BH_DO_DROP, BH_READING },
    },
    [BH_WAITING] = {
        [BH_ON_DATA] = { BH_DO_OPEN, BH_STREAMING },
        [BH_ON_STALE] = { BH_DO_ASK, BH_STARTING },
        [BH_ON_REPLY] = { BH_DO_REPLY, BH_READING },
        [BH_ON_ERROR] = { BH_DO_FAIL, BH_READING },
        [BH_ON_GONE] = { BH_DO_FAIL, BH_READING },
        [BH_ON_RESET] = { BH_DO_DROP, BH_READING },
    },
    [BH_STREAMING] = {
        [BH_ON_DATA] = { BH_DO_BYTES, BH_STREAMING },
        [BH_ON_REPLY] = { BH_DO_CLOSE, BH_READING },
        [BH_ON_ERROR] = { BH_DO_SHORTEN, BH_READING },
        [BH_ON_GONE] = { BH_DO_SHORTEN, BH_READING },
        [BH_ON_RESET] = { BH_DO_DROP, BH_READING },
    },
    [BH_FLUSHING] = {
        [BH_ON_TAKEN] = { BH_DO_NOTHING, BH_READING },
        [BH_ON_RESET] = { BH_DO_DROP, BH_READING },
    },
};

struct bh_front_row bh_front_next(enum bh_front_state state, enum bh_front_event event)
{
    return table[state][event];
}

bool bh_front_reads(enum bh_front_state state)
{
    return state == BH_READING || state == BH_STAGING;
}

bool bh_front_owes(enum bh_front_state state)
{
    return state >= BH_STARTING && state <= BH_STREAMING;
}

const char *bh_front_state_name(enum bh_front_state state)
{
    static const char *const names[BH_FRONT_STATES] = { "READING", "STAGING", "HOLDING",   "STARTING",
                                                        "SENDING", "WAITING", "STREAMING", "FLUSHING" };

    return names[state];
}

const char *bh_front_event_name(enum bh_front_event event)
{
    static const char *const names[BH_FRONT_EVENTS] = { "LIFT",   "BLOCKED", "ROOM",  "SPOILED", "BROKEN",
                                                        "ANSWER", "CALL",    "PEER",  "STALE",   "SENT",
                                                        "DATA",   "REPLY",   "ERROR", "GONE",    "RESET",
                                                        "FULL",   "TAKEN" };

    return names[event];
}
