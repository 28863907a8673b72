/* Robust locks: see robust.h. The C library and the kernel do the work: the
 * mutex lies on its holder's robust list, which the kernel walks at its death. */
#include "base/robust.h"

#include "base/clock.h"

#include <errno.h>
#include <time.h>

static int set_up(pthread_mutex_t *mutex, pthread_mutexattr_t *how)
{
    int error = pthread_mutexattr_setpshared(how, PTHREAD_PROCESS_SHARED);
    if (error == 0)
        error = pthread_mutexattr_setrobust(how, PTHREAD_MUTEX_ROBUST);
    if (error == 0)
        error = pthread_mutex_init(mutex, how);
    return -error;
}

int mp_robust_init(mp_robust *lock)
{
    pthread_mutexattr_t how;
    int status = -pthread_mutexattr_init(&how);
    if (status < 0)
        return status;
    status = set_up(&lock->mutex, &how);
    pthread_mutexattr_destroy(&how);
    mp_store_relaxed(&lock->note, 0);
    return status;
}

static int lock_until(pthread_mutex_t *mutex, int64_t deadline)
{
    struct timespec end = {deadline / 1000000000, deadline % 1000000000};
    if (deadline == MP_NEVER)
        return pthread_mutex_lock(mutex);
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &end);
}

int mp_robust_lock(mp_robust *lock, int64_t deadline)
{
    int error = lock_until(&lock->mutex, deadline);
    if (error != EOWNERDEAD)
        return -error;
    /* Left undone, the next unlock would make the lock unusable for good. */
    error = pthread_mutex_consistent(&lock->mutex);
    return error == 0 ? 1 : -error;
}

void mp_robust_unlock(mp_robust *lock)
{
    pthread_mutex_unlock(&lock->mutex);
}
