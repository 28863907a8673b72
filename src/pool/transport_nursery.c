/* What the nursery of a local pool does for it: it reads the record of a dead
 * worker into the death log before the seat is filled again. Runs in the
 * nursery (and, for `work`, in the new worker); touches shared memory only. */
#include "base/clock.h"
#include "base/failpoint.h"
#include "pool/stopper.h"
#include "pool/transport_local.h"
#include "shm/session.h"

#include <unistd.h>

static const int64_t log_wait = 10000000; /* how long to wait for another nursery's entry */

static local *local_of(void *owner)
{
    return ((brood *)owner)->local;
}

static void work(void *owner, unsigned seat, uint32_t incarnation)
{
    local *l = local_of(owner);
    /* As the nursery does, which may die before it comes to it. */
    mp_store_relaxed(&l->segment.seats[seat].pid, getpid());
    mp_worker_run(&l->segment, seat, incarnation, l->tasks, &l->streams[seat]->region, &l->handler);
}

/* One that has no rank to fill any more is to end. */
static enum mp_wanted wanted(void *owner)
{
    const brood *b = owner;
    mp_session_stand_by();
    int32_t all = mp_load_acquire(&b->local->segment.control->wanted);
    if (all <= 0)
        return (enum mp_wanted)all;
    for (unsigned i = 0; i < b->count; i++)
        if (mp_load_acquire(&b->local->segment.seats[b->seats[i]].rank) != MP_NO_RANK)
            return MP_WANT_WORK;
    return MP_WANT_END;
}

static bool fills(void *owner, unsigned seat)
{
    local *l = local_of(owner);
    return mp_seat_wanted(l->segment.control, &l->segment.seats[seat]);
}

static uint32_t expect(void *owner, unsigned seat)
{
    local *l = local_of(owner);
    mp_seat *s = &l->segment.seats[seat];
    uint32_t incarnation = mp_add_relaxed(&l->segment.control->incarnations, 1) + 1;
    mp_store_relaxed(&s->phase, MP_PHASE_STARTING);
    mp_store_relaxed(&s->held, 0);
    mp_store_relaxed(&s->aside, 0);
    mp_store_relaxed(&s->errand, 0);
    mp_store_relaxed(&s->kill_at, 0);
    mp_store_relaxed(&s->bed.state, MP_BED_AWAKE);
    mp_store_release(&s->incarnation, incarnation);
    return incarnation;
}

static void born(void *owner, unsigned seat, uint32_t incarnation, pid_t pid)
{
    local *l = local_of(owner);
    (void)incarnation;
    mp_store_relaxed(&l->segment.seats[seat].used, 1);
    mp_store_relaxed(&l->segment.seats[seat].pid, pid);
}

/* Sleepers that a dead or stopped worker was to call, or that were called by one
 * that died before its system call, are called again; so is one that nobody called
 * while it was stopped. */
static void call_again(local *l)
{
    unsigned seats = mp_load_acquire(&l->segment.control->seats);
    for (unsigned i = 0; i < seats; i++)
        mp_bed_call_again(&l->segment.seats[i].bed);
    mp_segment_rouse(&l->segment);
}

/* One that has left in peace may be wanted again by now. */
static enum mp_verdict verdict(const mp_control *c, const mp_seat *seat, uint32_t phase)
{
    if (phase == MP_PHASE_STARTING)
        return MP_STILLBORN;
    return phase == MP_PHASE_RETIRED && !mp_seat_wanted(c, seat) ? MP_RETIRED : MP_BURIED;
}

/* Of those who left in peace with nothing nobody needs to know; nor of anybody once all
 * is done. */
static bool worth_telling(const mp_control *c, const mp_seat *seat, uint32_t phase)
{
    return (phase != MP_PHASE_RETIRED || mp_load_acquire(&seat->held) > 0) &&
           mp_load_acquire(&c->wanted) != MP_WANT_END;
}

/* False while the log is full. */
static bool write_death(local *l, unsigned seat, int status)
{
    mp_control *c = l->segment.control;
    uint64_t written = mp_load_relaxed(&c->deaths_written);
    if (written - mp_load_acquire(&c->deaths_read) >= MP_DEATHS)
        return false;
    mp_segment_examine(&l->segment, seat, status, mp_result_published(&l->streams[seat]->reader),
                       &l->segment.deaths[written % MP_DEATHS]);
    MP_FAILPOINT("nursery.log");
    mp_store_release(&c->deaths_written, written + 1);
    MP_FAILPOINT("nursery.logged");
    return true;
}

/* The log is there for all nurseries; its entry counts with `deaths_written`, so that
 * one which dies in between leaves nothing behind. False while it is full, or another
 * nursery was stopped while it wrote. */
static bool log_death(local *l, unsigned seat, int status)
{
    mp_control *c = l->segment.control;
    if (mp_robust_lock(&c->log, mp_now() + log_wait) < 0)
        return false;
    bool room = write_death(l, seat, status);
    mp_robust_unlock(&c->log);
    return room;
}

static enum mp_verdict died(void *owner, unsigned seat, uint32_t incarnation, pid_t pid, int status)
{
    local *l = local_of(owner);
    mp_control *c = l->segment.control;
    (void)incarnation;
    mp_seat *s = &l->segment.seats[seat];
    uint32_t phase = mp_load_acquire(&s->phase);
    mp_store_relaxed(&s->pid, pid);
    if (worth_telling(c, s, phase) && !log_death(l, seat, status))
        return MP_NO_ROOM;
    mp_segment_clear(&l->segment, seat);
    call_again(l);
    mp_bell_force(&l->segment.bell);
    return verdict(c, s, phase);
}

static bool unwanted(void *owner, unsigned seat)
{
    local *l = local_of(owner);
    return mp_seat_unwanted(&l->segment.seats[seat], l->tasks->base);
}

static void paused(void *owner, unsigned seat, bool stopped)
{
    local *l = local_of(owner);
    mp_store_relaxed(&l->segment.seats[seat].paused, stopped);
    if (stopped)
        mp_seat_unmark(l->segment.control->looking, seat);
    call_again(l);
}

/* Of the worker that is to be born in `seat`, from 1; 0 for one in place of another. */
static unsigned birth_number(const local *l, unsigned seat)
{
    unsigned n = 1, seats = mp_load_acquire(&l->segment.control->seats);
    if (mp_load_relaxed(&l->segment.seats[seat].used) != 0)
        return 0;
    for (unsigned i = 0; i < seats; i++)
        n += mp_load_relaxed(&l->segment.seats[i].used) != 0;
    return n;
}

static void trouble(void *owner, int code, unsigned n, int status)
{
    local *l = local_of(owner);
    mp_control *c = l->segment.control;
    if (code != 0)
        n = birth_number(l, n);
    bool locked = mp_robust_lock(&c->log, mp_now() + log_wait) >= 0;
    mp_store_relaxed(&c->trouble_code, code);
    mp_store_relaxed(&c->trouble_count, n);
    mp_store_relaxed(&c->trouble_status, status);
    atomic_fetch_add_explicit(&c->trouble, 1, memory_order_release);
    if (locked)
        mp_robust_unlock(&c->log);
    mp_bell_force(&l->segment.bell);
}

const mp_nursery_ops mp_local_nursery_ops = {
    .work = work,
    .wanted = wanted,
    .fills = fills,
    .expect = expect,
    .born = born,
    .died = died,
    .unwanted = unwanted,
    .paused = paused,
    .trouble = trouble,
};
