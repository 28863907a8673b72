/* A barrier: see barrier.h. */
#include "shm/barrier.h"

#include <limits.h>

/* It is held for a few stores; a holder that died in between has left them as good as any. */
static void lock(mp_barrier *b, uint32_t me)
{
    while (!mp_lock_take(&b->guard, me, INT64_MAX / 2))
        continue;
}

static void unlock(mp_barrier *b)
{
    mp_lock_release(&b->guard);
}

static void tell_all(uint32_t cell)
{
    mp_notice_tell(cell, UINT_MAX);
}

static uint64_t bit(uint64_t round)
{
    return UINT64_C(1) << round % 64;
}

enum mp_barrier_state mp_barrier_enter(mp_barrier *b, uint32_t me, uint32_t cell, uint64_t *round,
                                       uint32_t *index)
{
    enum mp_barrier_state state = MP_BARRIER_WAITING;
    lock(b, me);
    if (b->broken) {
        state = MP_BARRIER_BROKEN;
    } else if (b->here >= b->parties) {
        state = MP_BARRIER_FULL;
    } else {
        *round = b->round;
        *index = b->here++;
        mp_notice_await(me, cell, ++b->tickets);
        if (b->here == b->parties)
            state = MP_BARRIER_LAST;
    }
    unlock(b);
    return state;
}

enum mp_barrier_state mp_barrier_look(mp_barrier *b, uint32_t me, uint64_t round)
{
    enum mp_barrier_state state = MP_BARRIER_WAITING;
    lock(b, me);
    if (b->round != round)
        state = (b->failed & bit(round)) != 0 ? MP_BARRIER_BROKEN : MP_BARRIER_PASSED;
    else if (b->broken)
        state = MP_BARRIER_BROKEN;
    unlock(b);
    return state;
}

static void break_it(mp_barrier *b, uint32_t cell)
{
    b->broken = 1;
    b->here = 0;
    tell_all(cell);
}

static bool is_hopeless(const mp_barrier *b, mp_cell_name cell, bool others_here)
{
    unsigned dead, lost;
    unsigned waiting = mp_notice_waiting(cell.index, &dead);
    unsigned users = mp_cell_users(cell, &lost);
    bool all_wait = !others_here && users <= waiting && b->here < b->parties && !b->sent;
    return dead > 0 || lost > 0 || (all_wait && !mp_session_expects());
}

/* Who has passed may be gone already: that is nothing to the round that is over. */
void mp_barrier_check(mp_barrier *b, uint32_t me, mp_cell_name cell, uint64_t round,
                      bool others_here)
{
    lock(b, me);
    if (!b->broken && (round == MP_BARRIER_ANY || round == b->round) &&
        is_hopeless(b, cell, others_here))
        break_it(b, cell.index);
    unlock(b);
}

static void next_round(mp_barrier *b, bool failed)
{
    b->failed = (b->failed & ~bit(b->round)) | (failed ? bit(b->round) : 0);
    b->round++;
    b->here = 0;
}

void mp_barrier_pass(mp_barrier *b, uint32_t me, uint32_t cell)
{
    lock(b, me);
    if (!b->broken)
        next_round(b, false);
    tell_all(cell);
    unlock(b);
}

void mp_barrier_leave(mp_barrier *b, uint32_t me, uint32_t cell)
{
    lock(b, me);
    mp_notice_give_up(me, cell);
    unlock(b);
}

void mp_barrier_send(mp_barrier *b, uint32_t me, uint32_t cell)
{
    (void)cell;
    lock(b, me);
    b->sent = 1;
    unlock(b);
}

void mp_barrier_break(mp_barrier *b, uint32_t me, uint32_t cell)
{
    lock(b, me);
    break_it(b, cell);
    unlock(b);
}

void mp_barrier_reset(mp_barrier *b, uint32_t me, uint32_t cell)
{
    lock(b, me);
    b->broken = 0;
    next_round(b, true);
    tell_all(cell);
    unlock(b);
}
