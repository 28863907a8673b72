/* A semaphore between processes, in a cell of the session, that may know who holds what
 * of it: then that is not lost with a holder.
 *
 * Taking for holding and giving back are two words' changes, the count and the holder's
 * slot. Who makes one says in the count's own word what it is about to do to its slot;
 * whoever comes next does that for it, if it died. Words are zeroed at first. */
#ifndef MP_SHM_SEMAPHORE_H
#define MP_SHM_SEMAPHORE_H

#include "shm/session.h"

enum { MP_HOLDERS = 20, MP_HELD_UNSEEN = -2 };

typedef struct mp_semaphore {
    _Atomic uint64_t word; /* the count (its lower half, a futex), and who is changing its slot */
    _Atomic uint32_t sleepers;
    uint32_t most; /* of a bounded one; else UINT32_MAX */
    _Atomic uint32_t holders[MP_HOLDERS];
} mp_semaphore;

_Static_assert(sizeof(mp_semaphore) <= MP_CELL_ROOM, "a semaphore fits into its cell");

uint32_t mp_semaphore_count(const mp_semaphore *s);

/* Takes one; false where there is none. */
bool mp_semaphore_try(mp_semaphore *s);

/* Takes one that this process holds: its slot, for mp_semaphore_let; MP_HELD_UNSEEN where all slots
 * are taken, so that nobody would notice its death; -1 where there is none. */
int mp_semaphore_hold(mp_semaphore *s, uint32_t me);

/* Takes over what a dead one has held, for holding where `hold` is true: as mp_semaphore_hold. */
int mp_semaphore_inherit(mp_semaphore *s, uint32_t me, bool hold);

/* Gives back what it holds. */
void mp_semaphore_let(mp_semaphore *s, int slot, uint32_t me);

/* Gives one; false where there are as many as there may be. */
bool mp_semaphore_give(mp_semaphore *s);

/* Sleeps while there is none, until a signal came or the nanoseconds are over. */
void mp_semaphore_sleep(mp_semaphore *s, int64_t nanoseconds);

#endif
