/* The transport of one machine: task ring and task memory, a result ring for
 * each seat, a nursery.
 *
 * What comes from the workers stands in transport_arrivals.c, the nurseries' making and
 * their loss in transport_births.c, their own side in transport_nursery.c. */
#include "pool/transport_local.h"

#include "base/clock.h"
#include "base/fd.h"
#include "base/memory.h"
#include "pool/stopper.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    BURIAL_SECONDS = 2, /* for killed workers to be gone */
};

/* ---- memory ---- */

static mp_buffer *local_open(mp_transport *t, mp_error *error)
{
    return mp_payload_open(mp_local_of(t)->payload, error);
}

static uint64_t local_keep(mp_transport *t)
{
    return mp_payload_keep(mp_local_of(t)->payload);
}

static void local_drop(mp_transport *t, uint64_t at, size_t size)
{
    mp_payload_free(mp_local_of(t)->payload, at, size);
}

static size_t local_kept(mp_transport *t)
{
    return mp_payload_used(mp_local_of(t)->payload);
}

static unsigned char *local_bytes(mp_transport *t, uint64_t at)
{
    return mp_local_of(t)->tasks->base + at;
}

/* ---- work ---- */

static int local_publish(mp_transport *t, const mp_granule *g, uint64_t *position, mp_error *error)
{
    local *l = mp_local_of(t);
    int status = mp_task_ring_publish(&l->segment.ring, g, position, error);
    if (status == 0)
        mp_segment_rouse(&l->segment);
    return status;
}

static bool local_revoke(mp_transport *t, uint64_t position)
{
    return mp_task_ring_revoke(&mp_local_of(t)->segment.ring, position);
}

static void local_post(mp_transport *t, uint64_t at)
{
    local *l = mp_local_of(t);
    mp_errand *last =
        l->last_errand != 0 ? (mp_errand *)(void *)local_bytes(t, l->last_errand - 1) : NULL;
    mp_store_release(last != NULL ? &last->next : &l->segment.control->errands, at + 1);
    l->last_errand = at + 1;
    mp_local_call_all(l);
}

static void local_stop_unwanted(mp_transport *t)
{
    local *l = mp_local_of(t);
    mp_fence();
    mp_local_nudge(l);
}

static unsigned local_idle(const mp_transport *t)
{
    return mp_segment_idle(&((const local *)(const void *)t)->segment);
}

static bool seat_holds(const mp_seat *seat, uint64_t row)
{
    uint32_t held = mp_load_acquire(&seat->held);
    for (uint32_t i = 0; i < held && i < MP_HOLD_MAX; i++)
        if (seat->rows[i] == row)
            return true;
    return false;
}

static void local_stop_item(mp_transport *t, uint64_t row, uint64_t index)
{
    local *l = mp_local_of(t);
    for (unsigned i = 0; i < l->seats; i++)
        if (seat_holds(&l->segment.seats[i], row)) {
            mp_store_relaxed(&l->segment.seats[i].stop_index, index);
            mp_store_release(&l->segment.seats[i].stop_row, row);
        }
    local_stop_unwanted(t);
}

/* What the signal does to a process that is no worker any more is nothing: it is ignored by those
 * that do not expect it. */
static uint32_t local_ask(mp_transport *t, unsigned rank)
{
    local *l = mp_local_of(t);
    if (rank >= l->size || l->by_rank[rank] == NO_SEAT)
        return 0;
    mp_seat *seat = &l->segment.seats[l->by_rank[rank]];
    uint32_t number = mp_load_relaxed(&seat->asked) + 1;
    number = number == 0 ? 1 : number;
    mp_store_release(&seat->asked, number);
    int32_t pid = mp_load_acquire(&seat->pid);
    return pid > 0 && kill(pid, MP_ASK_SIGNAL) == 0 ? number : 0;
}

/* ---- waiting ---- */

static int local_fd(const mp_transport *t)
{
    return ((const local *)(const void *)t)->epoll_fd;
}

static int local_listen(mp_transport *t, int64_t deadline, const sigset_t *mask)
{
    local *l = mp_local_of(t);
    struct epoll_event events[8];
    int n = epoll_pwait(l->epoll_fd, events, 8, mp_poll_timeout(deadline), mask);
    for (int i = 0; i < n; i++)
        if (events[i].data.fd != l->segment.bell.fd && events[i].data.fd != l->alarm_fd)
            l->suspect = true;
    return n < 0 ? -errno : n > 0;
}

static bool local_doubt(mp_transport *t)
{
    local *l = mp_local_of(t);
    mp_local_go_on(l);
    if (mp_task_ring_waiting(&l->segment.ring) > 0)
        mp_local_call_all(l);
    return mp_segment_deaths(&l->segment) > MP_DEATHS ||
           (!mp_local_pending(t) && mp_segment_rests(&l->segment, l->seats));
}

static const char *local_reason(const mp_transport *t)
{
    return ((const local *)(const void *)t)->reason;
}

static void local_arm(mp_transport *t, enum mp_bell_mode mode)
{
    mp_bell_arm(&mp_local_of(t)->segment.bell, mode);
}

static void local_disarm(mp_transport *t)
{
    mp_bell_disarm(&mp_local_of(t)->segment.bell);
}

static void local_ring(mp_transport *t)
{
    mp_bell_force(&mp_local_of(t)->segment.bell);
}

static void local_alarm(mp_transport *t, int64_t due)
{
    struct itimerspec when = {0};
    if (due != MP_NEVER) {
        due = due < 1 ? 1 : due;
        when.it_value.tv_sec = due / 1000000000;
        when.it_value.tv_nsec = due % 1000000000;
    }
    timerfd_settime(mp_local_of(t)->alarm_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static bool local_may_spin(const mp_transport *t)
{
    const local *l = (const local *)(const void *)t;
    unsigned wanted = (unsigned)mp_load_relaxed(&l->segment.control->wanted);
    unsigned sleepers = mp_segment_sleepers(&l->segment);
    return wanted < sleepers + (unsigned)l->segment.processors;
}

static uint32_t local_item_cost(const mp_transport *t, uint32_t kind)
{
    const local *l = (const local *)(const void *)t;
    uint32_t cost = 0;
    for (unsigned i = 0; i < l->seats && cost == 0; i++)
        if (mp_load_relaxed(&l->segment.seats[i].kind) == kind)
            cost = mp_load_relaxed(&l->segment.seats[i].item_cost);
    return cost;
}

/* Work that ends while one looks is not to count twice. */
static int64_t busy_time(const mp_seat *seat)
{
    for (;;) {
        int64_t since = mp_load_acquire(&seat->busy_since);
        int64_t busy = mp_load_acquire(&seat->busy);
        if (mp_load_relaxed(&seat->busy_since) == since)
            return busy + (since != 0 ? mp_now() - since : 0);
    }
}

static void local_count(const mp_transport *t, uint64_t *claims, int64_t *busy)
{
    const local *l = (const local *)(const void *)t;
    for (unsigned i = 0; i < l->seats; i++) {
        const mp_seat *seat = &l->segment.seats[i];
        *claims += mp_load_relaxed(&seat->claims);
        *busy += busy_time(seat);
    }
}

/* ---- life ---- */

static void local_finish(mp_transport *t)
{
    local *l = mp_local_of(t);
    mp_control *c = l->segment.control;
    if (mp_load_relaxed(&c->wanted) == MP_WANT_TERMINATE)
        return;
    mp_store_relaxed(&c->wanted, MP_WANT_END);
    mp_store_release(&c->closing, 1);
    mp_fence();
    for (unsigned i = 0; i < l->seats; i++)
        mp_bed_call(&l->segment.seats[i].bed);
    mp_local_nudge(l);
}

static void local_terminate(mp_transport *t)
{
    local *l = mp_local_of(t);
    mp_store_release(&l->segment.control->wanted, MP_WANT_TERMINATE);
    mp_local_nudge(l);
}

static int local_want(mp_transport *t, unsigned workers, mp_error *error)
{
    return mp_local_want(mp_local_of(t), workers, error);
}

static void local_refresh(mp_transport *t)
{
    mp_local_refresh(mp_local_of(t));
}

static void local_resize(mp_transport *t, unsigned workers)
{
    mp_local_resize(mp_local_of(t), workers);
}

static bool local_gone(mp_transport *t, int64_t deadline)
{
    return mp_local_gone(mp_local_of(t), deadline);
}

static unsigned local_crew(const mp_transport *t)
{
    return ((const local *)(const void *)t)->covered;
}

/* What it runs of what it holds. */
static void look_at_item(const mp_seat *seat, mp_worker_view *view)
{
    uint32_t begun = mp_load_acquire(&seat->begun);
    view->item = mp_load_relaxed(&seat->begun_item);
    view->row = begun < MP_HOLD_MAX ? seat->rows[begun] : 0;
    view->fraction = mp_seat_fraction(seat);
}

static bool local_worker(const mp_transport *t, unsigned rank, mp_worker_view *view)
{
    const local *l = (const local *)(const void *)t;
    if (rank >= l->size || l->by_rank[rank] == NO_SEAT)
        return false;
    const mp_seat *seat = &l->segment.seats[l->by_rank[rank]];
    *view = (mp_worker_view){.seat = l->by_rank[rank],
                             .pid = mp_load_relaxed(&seat->pid),
                             .state = mp_seat_state(seat),
                             .fraction = -1};
    if (view->state == MP_WORKER_BUSY && mp_load_relaxed(&seat->aside) == 0)
        look_at_item(seat, view);
    return true;
}

static int local_spans(const mp_transport *t, unsigned seat, mp_span found[MP_SPANS])
{
    const local *l = (const local *)(const void *)t;
    return seat < l->seats ? (int)mp_spans_read(mp_result_notes(&l->streams[seat]->region), found)
                           : -1;
}

/* An orderly end first, so that nobody else has to reap the workers. */
static void end_processes(local *l)
{
    local_terminate(&l->base);
    if (!mp_local_gone(l, mp_deadline(BURIAL_SECONDS))) {
        mp_local_kill(l);
        mp_local_gone(l, mp_deadline(BURIAL_SECONDS));
    }
}

static void local_destroy(mp_transport *t)
{
    local *l = mp_local_of(t);
    if (!LIST_EMPTY(&l->broods) && l->segment.control->host_pid == getpid())
        end_processes(l);
    mp_local_close(l);
    for (unsigned i = 0; i < l->seats; i++) {
        mp_region_destroy(&l->streams[i]->region);
        mp_free(l->streams[i]);
    }
    mp_payload_destroy(l->payload);
    mp_segment_destroy(&l->segment);
    mp_fd_close(&l->epoll_fd);
    mp_fd_close(&l->alarm_fd);
    mp_free(l->streams);
    mp_free(l->buried);
    mp_free(l);
}

static const mp_transport_ops local_ops = {
    .open = local_open,
    .keep = local_keep,
    .drop = local_drop,
    .kept = local_kept,
    .bytes = local_bytes,
    .publish = local_publish,
    .post = local_post,
    .revoke = local_revoke,
    .want = local_want,
    .refresh = local_refresh,
    .resize = local_resize,
    .worker = local_worker,
    .spans = local_spans,
    .stop_unwanted = local_stop_unwanted,
    .stop_item = local_stop_item,
    .ask = local_ask,
    .idle = local_idle,
    .next = mp_local_next,
    .taken = mp_local_taken,
    .follow = mp_local_follow,
    .ahead = mp_local_ahead,
    .taken_ahead = mp_local_taken_ahead,
    .pending = mp_local_pending,
    .may_wait = mp_local_may_wait,
    .fd = local_fd,
    .listen = local_listen,
    .doubt = local_doubt,
    .reason = local_reason,
    .condemn = mp_local_condemn,
    .arm = local_arm,
    .disarm = local_disarm,
    .ring = local_ring,
    .alarm = local_alarm,
    .may_spin = local_may_spin,
    .finish = local_finish,
    .terminate = local_terminate,
    .gone = local_gone,
    .crew = local_crew,
    .item_cost = local_item_cost,
    .count = local_count,
    .destroy = local_destroy,
};

static int furnish(local *l, unsigned workers, mp_error *error)
{
    l->epoll_fd = mp_fd_lift(epoll_create1(EPOLL_CLOEXEC));
    l->alarm_fd = mp_fd_lift(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (l->epoll_fd < 0 || l->alarm_fd < 0)
        return mp_fail(error, -errno, "cannot make the pool's descriptors to wait on");
    int status = mp_segment_create(&l->segment, workers, error);
    if (status == 0)
        status = mp_payload_create(&l->payload, "moonpool-tasks", error);
    if (status == 0)
        l->tasks = mp_payload_region(l->payload);
    if (status == 0)
        l->segment.control->tasks_fd = l->tasks->fd;
    while (status == 0 && l->seats < workers)
        status = mp_local_add_seat(l, error);
    if (status == 0)
        status = mp_local_watch(l, l->segment.bell.fd, error);
    return status == 0 ? mp_local_watch(l, l->alarm_fd, error) : status;
}

int mp_transport_local(mp_transport **t, unsigned workers, const mp_handler *handler,
                       mp_error *error)
{
    local *l = mp_calloc(1, sizeof *l);
    if (l == NULL)
        return mp_fail(error, -ENOMEM, "cannot make a pool of %u workers", workers);
    *l = (local){.base.ops = &local_ops,
                 .size = workers,
                 .handler = *handler,
                 .epoll_fd = -1,
                 .alarm_fd = -1,
                 .segment.bell.fd = -1};
    LIST_INIT(&l->broods);
    for (unsigned i = 0; i < MP_WORKERS_MAX; i++)
        l->by_rank[i] = NO_SEAT;
    int status = furnish(l, workers, error);
    if (status < 0)
        local_destroy(&l->base);
    else
        *t = &l->base;
    return status;
}
