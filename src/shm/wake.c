/* Bells and beds: see wake.h.
 *
 * The one rule: publish, fence, look whether anybody sleeps; say that one
 * sleeps, fence, look whether anything was published. One of the two sees the
 * other. */
#include "shm/wake.h"

#include "base/fd.h"

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

int mp_futex_wait(_Atomic uint32_t *word, uint32_t expected, const struct timespec *timeout)
{
    return syscall(SYS_futex, word, FUTEX_WAIT, expected, timeout, NULL, 0) == 0 ? 0 : -errno;
}

int mp_futex_wake(_Atomic uint32_t *word, int sleepers)
{
    long woken = syscall(SYS_futex, word, FUTEX_WAKE, sleepers, NULL, NULL, 0);
    return woken < 0 ? -errno : (int)woken;
}

void mp_futex_sleep(_Atomic uint32_t *word, uint32_t expected, int64_t nanoseconds)
{
    struct timespec t = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    mp_futex_wait(word, expected, nanoseconds < 0 ? NULL : &t);
}

int mp_bell_create(mp_bell *bell, mp_bell_shared *shared, mp_error *error)
{
    *bell = (mp_bell){.shared = shared, .fd = mp_fd_lift(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))};
    return bell->fd >= 0 ? 0 : mp_fail(error, -errno, "eventfd");
}

void mp_bell_destroy(mp_bell *bell)
{
    mp_fd_close(&bell->fd);
}

void mp_bell_arm(mp_bell *bell, enum mp_bell_mode mode)
{
    mp_store_relaxed(&bell->shared->armed, (uint32_t)mode);
    mp_fence();
}

void mp_bell_disarm(mp_bell *bell)
{
    mp_store_relaxed(&bell->shared->armed, MP_BELL_OFF);
    /* Also where nobody has rung since: a ringer may be late, and what stays in
     * the eventfd ends every sleep to come. EAGAIN says that there was nothing. */
    uint64_t rings;
    while (read(bell->fd, &rings, sizeof rings) < 0 && errno == EINTR)
        ;
}

/* EAGAIN: the counter is full, so it is readable anyway. */
static void write_ring(const mp_bell *bell)
{
    uint64_t one = 1;
    while (write(bell->fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void mp_bell_ring(mp_bell *bell, bool urgent)
{
    mp_fence();
    uint32_t mode = mp_load_relaxed(&bell->shared->armed);
    if (mode == MP_BELL_OFF || (mode == MP_BELL_LAZY && !urgent))
        return;
    if (mp_exchange(&bell->shared->armed, MP_BELL_OFF) != MP_BELL_OFF)
        write_ring(bell);
}

void mp_bell_force(mp_bell *bell)
{
    mp_exchange(&bell->shared->armed, MP_BELL_OFF);
    write_ring(bell);
}

void mp_bed_lie_down(mp_bed *bed)
{
    mp_store_relaxed(&bed->state, MP_BED_ASLEEP);
    mp_fence();
}

bool mp_bed_sleep(mp_bed *bed, int64_t nanoseconds)
{
    mp_futex_sleep(&bed->state, MP_BED_ASLEEP, nanoseconds);
    return !mp_cas_u32(&bed->state, MP_BED_ASLEEP, MP_BED_AWAKE);
}

void mp_bed_rise(mp_bed *bed)
{
    mp_store_relaxed(&bed->state, MP_BED_AWAKE);
}

bool mp_bed_call(mp_bed *bed)
{
    mp_fence();
    if (!mp_bed_asleep(bed) || !mp_cas_u32(&bed->state, MP_BED_ASLEEP, MP_BED_CALLED))
        return false;
    mp_futex_wake(&bed->state, 1);
    return true;
}

void mp_bed_call_again(mp_bed *bed)
{
    if (mp_load_relaxed(&bed->state) == MP_BED_CALLED)
        mp_futex_wake(&bed->state, 1);
}
