/* Locks, events and notices between processes, in cells of the session.
 *
 * Who waits sleeps on a futex in slices: between two of them it looks whether the
 * holder lives, so that a death is noticed within milliseconds, and a wake that went
 * to somebody who died since costs a slice at most. All waiting is the caller's
 * loop: try, sleep, try again; so hooks run between two slices.
 *
 * Words are zeroed at first. `me` is mp_session_self's. */
#ifndef MP_SHM_SYNC_H
#define MP_SHM_SYNC_H

#include "shm/session.h"

#include <stdint.h>

/* ---- a lock: who holds it, and whether somebody sleeps for it ---- */

typedef struct mp_lock {
    _Atomic uint32_t word; /* the holder's name, 0 free; the top bit: somebody may sleep */
    uint32_t depth;        /* the holder's: how often it holds it (a recursive one) */
} mp_lock;

enum mp_lock_try { MP_LOCK_HELD, MP_LOCK_GOT, MP_LOCK_ABANDONED };

/* GOT if it was free; ABANDONED if its holder was dead: it is the caller's now; HELD otherwise,
 * by the caller itself, too. Never blocks. `slept`: the caller has slept for it before. */
enum mp_lock_try mp_lock_try(mp_lock *lock, uint32_t me, bool slept);

/* Who holds it; 0 nobody. */
uint32_t mp_lock_holder(const mp_lock *lock);

/* Sleeps until it may be free, a signal came or the nanoseconds are over. */
void mp_lock_sleep(mp_lock *lock, int64_t nanoseconds);

/* Takes a lock that is held for moments only; what a dead one has held is as good as any. Blocks;
 * false where its holder, who lives, has kept it for longer than that: one that was stopped. */
bool mp_lock_take(mp_lock *lock, uint32_t me, int64_t nanoseconds);

/* Sets it free, whoever holds it. False where nobody does. */
bool mp_lock_release(mp_lock *lock);

/* ---- an event ---- */

typedef struct mp_event_flag {
    _Atomic uint32_t set; /* futex */
} mp_event_flag;

void mp_event_set(mp_event_flag *e);
void mp_event_clear(mp_event_flag *e);
bool mp_event_is_set(const mp_event_flag *e);
void mp_event_sleep(mp_event_flag *e, int64_t nanoseconds);

/* ---- notices: members that wait to be told, by cell ---- */

/* This process waits for a notice of the cell from now on, and for no other; `ticket` orders
 * those that wait. */
void mp_notice_await(uint32_t me, uint32_t index, uint64_t ticket);

/* Whether it was told since. */
bool mp_notice_came(uint32_t me);

/* Sleeps until told, until a signal came or the nanoseconds are over. */
void mp_notice_sleep(uint32_t me, uint32_t index, int64_t nanoseconds);

/* Waits no longer. True where it was told just before. */
bool mp_notice_give_up(uint32_t me, uint32_t index);

/* Tells the n that have waited longest of those that live. Returns how many it has told. */
unsigned mp_notice_tell(uint32_t index, unsigned n);

/* How many wait for one, and live; *dead: how many do not, who wait no longer. */
unsigned mp_notice_waiting(uint32_t index, unsigned *dead);

#endif
