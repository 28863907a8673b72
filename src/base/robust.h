/* A lock in shared memory that its holder's death sets free: a robust,
 * process-shared mutex of the C library. It also serves as a sign of life: what
 * a process locked at its start can be locked by others only when it is dead. */
#ifndef MP_BASE_ROBUST_H
#define MP_BASE_ROBUST_H

#include "base/atomics.h"

#include <pthread.h>
#include <stdint.h>

typedef struct mp_robust {
    pthread_mutex_t mutex;
    /* The holder's word to those who wait for it or find it dead: written by
     * the holder alone, read by anybody, with no meaning here. 0 at first. */
    _Atomic uint64_t note;
} mp_robust;

/* Makes an unlocked lock in shared memory. Returns 0 or a negative errno. */
int mp_robust_init(mp_robust *lock);

/* Waits for the lock until the deadline (mp_now's clock; MP_NEVER). Returns 0;
 * 1 if its holder died holding it (it is consistent again); -ETIMEDOUT; or
 * another negative errno. */
int mp_robust_lock(mp_robust *lock, int64_t deadline);

void mp_robust_unlock(mp_robust *lock);

#endif
