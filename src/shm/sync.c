/* Locks and their kin: see sync.h. */
#include "shm/sync.h"

#include "base/clock.h"
#include "shm/wake.h"

#include <limits.h>

enum { TAKE_SLICE = 1000000 }; /* nanoseconds */

#define SLEEPERS (UINT32_C(1) << 31)

/* ---- lock ---- */

enum mp_lock_try mp_lock_try(mp_lock *lock, uint32_t me, bool slept)
{
    uint32_t mine = slept ? me | SLEEPERS : me; /* others may sleep still */
    if (mp_cas_u32(&lock->word, 0, mine))
        return MP_LOCK_GOT;
    for (;;) {
        uint32_t now = mp_load_acquire(&lock->word);
        if (now == 0 && mp_cas_u32(&lock->word, 0, mine))
            return MP_LOCK_GOT;
        if (now == 0)
            continue;
        if (mp_session_alive(now & ~SLEEPERS))
            return MP_LOCK_HELD;
        if (mp_cas_u32(&lock->word, now, mine | (now & SLEEPERS)))
            return MP_LOCK_ABANDONED;
    }
}

uint32_t mp_lock_holder(const mp_lock *lock)
{
    return mp_load_acquire(&lock->word) & ~SLEEPERS;
}

void mp_lock_sleep(mp_lock *lock, int64_t nanoseconds)
{
    uint32_t now = mp_load_acquire(&lock->word);
    if (now == 0)
        return;
    if ((now & SLEEPERS) == 0 && !mp_cas_u32(&lock->word, now, now | SLEEPERS))
        return;
    mp_futex_sleep(&lock->word, now | SLEEPERS, nanoseconds);
}

bool mp_lock_take(mp_lock *lock, uint32_t me, int64_t nanoseconds)
{
    int64_t upto = mp_now() + nanoseconds;
    bool slept = false;
    while (mp_lock_try(lock, me, slept) == MP_LOCK_HELD) {
        if (slept && mp_now() >= upto)
            return false;
        mp_lock_sleep(lock, TAKE_SLICE);
        slept = true;
    }
    return true;
}

bool mp_lock_release(mp_lock *lock)
{
    uint32_t before = mp_exchange(&lock->word, 0);
    if ((before & SLEEPERS) != 0)
        mp_futex_wake(&lock->word, 1);
    return before != 0;
}

/* ---- event ---- */

void mp_event_set(mp_event_flag *e)
{
    if (mp_exchange(&e->set, 1) == 0)
        mp_futex_wake(&e->set, INT_MAX);
}

void mp_event_clear(mp_event_flag *e)
{
    mp_store_release(&e->set, 0);
}

bool mp_event_is_set(const mp_event_flag *e)
{
    return mp_load_acquire(&e->set) != 0;
}

void mp_event_sleep(mp_event_flag *e, int64_t nanoseconds)
{
    mp_futex_sleep(&e->set, 0, nanoseconds);
}

/* ---- notices ---- */

void mp_notice_await(uint32_t me, uint32_t index, uint64_t ticket)
{
    mp_member *m = mp_session_member(me);
    mp_store_relaxed(&m->ticket, ticket);
    mp_store_release(&m->awaits, index + 1);
}

bool mp_notice_came(uint32_t me)
{
    return mp_load_acquire(&mp_session_member(me)->awaits) == 0;
}

void mp_notice_sleep(uint32_t me, uint32_t index, int64_t nanoseconds)
{
    mp_futex_sleep(&mp_session_member(me)->awaits, index + 1, nanoseconds);
}

bool mp_notice_give_up(uint32_t me, uint32_t index)
{
    return !mp_cas_u32(&mp_session_member(me)->awaits, index + 1, 0);
}

/* Those that wait for a notice of the cell, the oldest first: the next behind `ticket`. */
static mp_member *next_waiting(uint32_t index, uint64_t ticket, uint32_t *name)
{
    mp_member *next = NULL;
    for (unsigned place = 0; place < mp_session_places(); place++) {
        uint32_t other = mp_session_at(place);
        mp_member *m = other == 0 ? NULL : mp_session_member(other);
        if (m == NULL || mp_load_acquire(&m->awaits) != index + 1)
            continue;
        uint64_t its = mp_load_relaxed(&m->ticket);
        if (its > ticket && (next == NULL || its < mp_load_relaxed(&next->ticket))) {
            next = m;
            *name = other;
        }
    }
    return next;
}

unsigned mp_notice_tell(uint32_t index, unsigned n)
{
    unsigned told = 0;
    uint64_t ticket = 0;
    while (told < n) {
        uint32_t name;
        mp_member *m = next_waiting(index, ticket, &name);
        if (m == NULL)
            break;
        ticket = mp_load_relaxed(&m->ticket);
        if (!mp_session_alive(name) || !mp_cas_u32(&m->awaits, index + 1, 0))
            continue;
        mp_futex_wake(&m->awaits, 1);
        told++;
    }
    return told;
}

unsigned mp_notice_waiting(uint32_t index, unsigned *dead)
{
    unsigned living = 0;
    *dead = 0;
    for (unsigned place = 0; place < mp_session_places(); place++) {
        uint32_t name = mp_session_at(place);
        if (name == 0 || mp_load_acquire(&mp_session_member(name)->awaits) != index + 1)
            continue;
        if (mp_session_alive(name))
            living++;
        else
            *dead += mp_cas_u32(&mp_session_member(name)->awaits, index + 1, 0);
    }
    return living;
}
