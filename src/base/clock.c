/* Deadlines: see clock.h. */
#include "base/clock.h"

#include <limits.h>

int64_t mp_deadline(double seconds)
{
    double nanoseconds = seconds * 1e9;
    if (!(nanoseconds > 0))
        return mp_now();
    if (nanoseconds > 9e18 - 1e18)
        return MP_NEVER;
    return mp_now() + (int64_t)nanoseconds;
}

int mp_poll_timeout(int64_t deadline)
{
    if (deadline == MP_NEVER)
        return -1;
    int64_t now = mp_now();
    if (deadline <= now)
        return 0;
    int64_t left = deadline - now, milliseconds = left / 1000000 + (left % 1000000 != 0);
    return milliseconds > INT_MAX ? INT_MAX : (int)milliseconds;
}

double mp_date(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
