/* A heap of deadlines: the soonest first.
 *
 * Timers lie in their owners' structures; the heap keeps pointers. One thread. */
#ifndef MP_BASE_TIMERS_H
#define MP_BASE_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mp_timer {
    int64_t due;  /* nanoseconds, mp_now's clock */
    size_t place; /* in the heap, from 1; 0: in none */
} mp_timer;

/* All zero: an empty heap. */
typedef struct mp_timers {
    mp_timer **heap;
    size_t count, room;
} mp_timers;

/* Enters a timer that is in no heap; it must not move until it is taken out.
 * 0 or -ENOMEM. */
int mp_timers_add(mp_timers *t, mp_timer *timer, int64_t due);

/* Takes it out, if it is in. */
void mp_timers_remove(mp_timers *t, mp_timer *timer);

/* The soonest, or NULL. */
static inline mp_timer *mp_timers_first(const mp_timers *t)
{
    return t->count > 0 ? t->heap[0] : NULL;
}

/* Frees the heap; the timers are their owners'. */
void mp_timers_destroy(mp_timers *t);

#endif
