/* Time for durations and deadlines: CLOCK_MONOTONIC in nanoseconds.
 * No other time is told anywhere but by mp.time. */
#ifndef MP_BASE_CLOCK_H
#define MP_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MP_NEVER INT64_MAX /* a deadline that does not come */

/* Nanoseconds since an arbitrary start; never goes back. */
static inline int64_t mp_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The same for a few nanoseconds instead of some tens, but up to ten milliseconds late. */
static inline int64_t mp_now_roughly(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The deadline that lies `seconds` from now; negative counts as 0, and what
 * does not fit is MP_NEVER. */
int64_t mp_deadline(double seconds);

/* Milliseconds until the deadline, rounded up, as poll takes them: 0 when it
 * has passed, -1 for MP_NEVER. */
int mp_poll_timeout(int64_t deadline);

/* Seconds since 1970, by the clock that jumps: for dates that are told, nothing else. */
double mp_date(void);

#endif
