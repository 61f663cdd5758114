/* The supervisor's two writes to the page of state.h, and its one question. */
#include "broker/audit/state.h"

#include <string.h>

void bh_audit_state_init(struct bh_audit_state *state, const struct bh_audit_previous *previous,
                         const uint8_t key[BH_SHA256_SIZE], uint64_t started_ns)
{
    state->magic = BH_AUDIT_MAGIC;
    state->started_ns = started_ns;
    state->now.segment = previous->segment;
    state->now.size = previous->size;
    memcpy(state->now.chain.mac, previous->mac, BH_SHA256_SIZE);
    memcpy(state->now.chain.key, key, BH_SHA256_SIZE);
}

void bh_audit_state_offer(struct bh_audit_state *state, uint64_t segment)
{
    __atomic_store_n(&state->offered, segment, __ATOMIC_RELEASE);
}

bool bh_audit_state_writes(const struct bh_audit_state *state)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(&state->writing, __ATOMIC_SEQ_CST) != 0;
}
