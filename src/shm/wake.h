/* Waking without losing a wake, and without a system call where nobody sleeps.
 *
 * A sleeper says that it sleeps, fences, looks again, and only then sleeps. A
 * waker publishes, fences, and makes a system call only where somebody said so.
 *
 * The bell: many workers ring, one host listens on an eventfd. `armed` is
 * written by the host (arm) and cleared by the worker that rings, so that at
 * most one write is made per arming. A host that is armed EAGER hears every
 * result; armed LAZY it hears only what cannot wait (a worker out of tasks, a
 * failure, a ring that is filling up).
 *
 * The bed: one futex word a worker; awake, asleep, or called (woken but not yet
 * seen to act, so that whoever wakes next calls another). */
#ifndef MP_SHM_WAKE_H
#define MP_SHM_WAKE_H

#include "base/atomics.h"
#include "base/error.h"

#include <time.h>

enum mp_bell_mode { MP_BELL_OFF = 0, MP_BELL_EAGER = 1, MP_BELL_LAZY = 2 };

typedef struct mp_bell_shared {
    _Alignas(64) _Atomic uint32_t armed; /* an mp_bell_mode */
} mp_bell_shared;

typedef struct mp_bell {
    mp_bell_shared *shared;
    int fd; /* eventfd, non-blocking, close-on-exec, >= 3 */
} mp_bell;

enum mp_bed_state { MP_BED_AWAKE = 0, MP_BED_ASLEEP = 1, MP_BED_CALLED = 2 };

/* In each worker's shared record. The worker writes AWAKE and ASLEEP, a waker
 * changes ASLEEP to CALLED. */
typedef struct mp_bed {
    _Alignas(64) _Atomic uint32_t state;
} mp_bed;

/* Host: makes the eventfd. `shared` is zeroed shared memory. */
int mp_bell_create(mp_bell *bell, mp_bell_shared *shared, mp_error *error);
void mp_bell_destroy(mp_bell *bell);

/* Host: from now on the next result rings. The caller looks once more for
 * results after this (arm contains the fence) before it sleeps on the fd. */
void mp_bell_arm(mp_bell *bell, enum mp_bell_mode mode);

/* Host: is awake, nobody need ring; swallows a ring that was not heard (so one
 * system call each time: call it only where the bell was armed). */
void mp_bell_disarm(mp_bell *bell);

/* Worker or nursery, after publishing: rings if armed EAGER, or armed at all
 * and `urgent`. Contains the fence. One load in the common case. */
void mp_bell_ring(mp_bell *bell, bool urgent);

/* Anybody: rings, whatever is armed (host to itself). The nursery does it after
 * every death: who died may have disarmed the bell and not yet rung it. */
void mp_bell_force(mp_bell *bell);

/* Worker: says that it sleeps; contains the fence. The worker looks for work
 * once more after this, then calls mp_bed_sleep, or mp_bed_rise if it found some. */
void mp_bed_lie_down(mp_bed *bed);

/* Worker: sleeps until called, at most `nanoseconds` (negative: for ever).
 * May return early (signals). True if it was called: the bed says CALLED until
 * the worker rises or lies down again. After false the worker is AWAKE, so that
 * no call is spent on one that is not asleep; it looks for work and lies down
 * again. */
bool mp_bed_sleep(mp_bed *bed, int64_t nanoseconds);

/* Worker: is awake. */
void mp_bed_rise(mp_bed *bed);

/* Anybody, after publishing: calls the sleeper. True if it was asleep (and a
 * system call was made). Contains the fence. */
bool mp_bed_call(mp_bed *bed);

/* Anybody: whether the worker says that it sleeps. For a waker that looks at
 * many beds: publish, mp_fence() once, then call those that this is true of. */
static inline bool mp_bed_asleep(mp_bed *bed)
{
    return mp_load_relaxed(&bed->state) == MP_BED_ASLEEP;
}

/* Anybody: wakes a sleeper that is CALLED already, for the case that who called
 * it died before its system call. */
void mp_bed_call_again(mp_bed *bed);

/* FUTEX_WAIT and FUTEX_WAKE on a shared word; timeouts relative, NULL for ever.
 * wait returns 0 or a negative errno (-EAGAIN, -ETIMEDOUT, -EINTR). */
int mp_futex_wait(_Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout);
int mp_futex_wake(_Atomic uint32_t *word, int sleepers);

/* FUTEX_WAIT for so many nanoseconds at most (negative: for ever); why it returns is for the caller
 * to see. */
void mp_futex_sleep(_Atomic uint32_t *word, uint32_t expected, int64_t nanoseconds);

#endif
