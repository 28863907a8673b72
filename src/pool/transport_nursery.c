/* What the nursery of a local pool does for it: it reads the record of a dead
 * worker into the death log before the seat is filled again. Runs in the
 * nursery (and, for `work`, in the new worker); touches shared memory only. */
#include "base/failpoint.h"
#include "pool/transport_local.h"

static void work(void *owner, unsigned seat, uint32_t incarnation)
{
    local *l = owner;
    mp_worker_run(&l->segment, seat, incarnation, mp_payload_region(l->payload)->base,
                  &l->streams[seat].region, &l->handler);
}

static int wanted(void *owner)
{
    local *l = owner;
    return mp_load_acquire(&l->segment.control->wanted);
}

static void expect(void *owner, unsigned seat, uint32_t incarnation)
{
    local *l = owner;
    mp_seat *s = &l->segment.seats[seat];
    mp_store_relaxed(&s->phase, MP_PHASE_STARTING);
    mp_store_relaxed(&s->held, 0);
    mp_store_relaxed(&s->bed.state, MP_BED_AWAKE);
    mp_store_release(&s->incarnation, incarnation);
}

static void born(void *owner, unsigned seat, uint32_t incarnation, pid_t pid)
{
    local *l = owner;
    (void)incarnation;
    mp_store_relaxed(&l->segment.seats[seat].pid, pid);
}

/* Sleepers that a dead or stopped worker was to call, or that were called by one
 * that died before its system call, are called again. */
static void call_again(local *l)
{
    for (unsigned i = 0; i < l->seats; i++) {
        _Atomic uint32_t *state = &l->segment.seats[i].bed.state;
        if (mp_load_relaxed(state) == MP_BED_CALLED)
            mp_futex_wake(state, 1);
    }
    mp_segment_rouse(&l->segment);
}

static enum mp_verdict verdict(uint32_t phase)
{
    if (phase == MP_PHASE_RETIRED)
        return MP_RETIRED;
    return phase == MP_PHASE_STARTING ? MP_STILLBORN : MP_BURIED;
}

static enum mp_verdict died(void *owner, unsigned seat, uint32_t incarnation, pid_t pid, int status)
{
    local *l = owner;
    mp_control *c = l->segment.control;
    (void)incarnation;
    uint64_t written = mp_load_relaxed(&c->deaths_written);
    if (written - mp_load_acquire(&c->deaths_read) >= MP_DEATHS)
        return MP_NO_ROOM;
    mp_store_relaxed(&l->segment.seats[seat].pid, pid);
    uint32_t phase = mp_load_acquire(&l->segment.seats[seat].phase);
    mp_segment_examine(&l->segment, seat, status, mp_result_published(&l->streams[seat].reader),
                       &l->segment.deaths[written % MP_DEATHS]);
    MP_FAILPOINT("nursery.log");
    if (phase != MP_PHASE_RETIRED)
        mp_store_release(&c->deaths_written, written + 1);
    MP_FAILPOINT("nursery.logged");
    mp_segment_clear(&l->segment, seat);
    call_again(l);
    mp_bell_force(&l->segment.bell);
    return verdict(phase);
}

static void paused(void *owner, unsigned seat, bool stopped)
{
    local *l = owner;
    mp_store_relaxed(&l->segment.seats[seat].paused, stopped);
    if (stopped) {
        mp_seat_unmark(l->segment.control->looking, seat);
        call_again(l);
    }
}

static void trouble(void *owner, int code, unsigned failures, int status)
{
    local *l = owner;
    mp_control *c = l->segment.control;
    mp_store_relaxed(&c->trouble_code, code);
    mp_store_relaxed(&c->trouble_failures, failures);
    mp_store_relaxed(&c->trouble_status, status);
    mp_store_release(&c->trouble, mp_load_relaxed(&c->trouble) + 1);
    mp_bell_force(&l->segment.bell);
}

const mp_nursery_ops mp_local_nursery_ops = {
    .work = work,
    .wanted = wanted,
    .expect = expect,
    .born = born,
    .died = died,
    .paused = paused,
    .trouble = trouble,
};
