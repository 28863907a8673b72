/* The transport of one machine: task ring and task memory, a result ring for
 * each seat, a nursery.
 *
 * Invariants: of each seat the results come before its death; a death is told
 * once; a lost nursery is told as the deaths of its workers, and replaced when
 * work is wanted again and they are told. Who has damaged what the host reads is
 * not to be trusted with the rest: the nursery is killed. The nursery's side
 * stands in transport_nursery.c. */
#include "pool/transport_local.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/fd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    RING_BYTES = 1 << 20,
    BURIAL_SECONDS = 2, /* for killed workers to be gone */
    LOOK_NS = 1000000,  /* between two looks at the nursery of a host that never listens */
};

static local *self(mp_transport *t)
{
    return (local *)(void *)t;
}

/* ---- memory ---- */

static mp_buffer *local_open(mp_transport *t, mp_error *error)
{
    return mp_payload_open(self(t)->payload, error);
}

static uint64_t local_keep(mp_transport *t)
{
    return mp_payload_keep(self(t)->payload);
}

static void local_drop(mp_transport *t, uint64_t at, size_t size)
{
    mp_payload_free(self(t)->payload, at, size);
}

static size_t local_kept(mp_transport *t)
{
    return mp_payload_used(self(t)->payload);
}

static unsigned char *local_bytes(mp_transport *t, uint64_t at)
{
    return mp_payload_region(self(t)->payload)->base + at;
}

/* ---- work ---- */

static int local_publish(mp_transport *t, const mp_granule *g, uint64_t *position, mp_error *error)
{
    local *l = self(t);
    int status = mp_task_ring_publish(&l->segment.ring, g, position, error);
    if (status == 0)
        mp_segment_rouse(&l->segment);
    return status;
}

static bool local_revoke(mp_transport *t, uint64_t position)
{
    return mp_task_ring_revoke(&self(t)->segment.ring, position);
}

static void local_stop_unwanted(mp_transport *t)
{
    local *l = self(t);
    mp_fence();
    if (l->started)
        mp_nursery_nudge(&l->nursery);
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
    local *l = self(t);
    for (unsigned i = 0; i < l->seats; i++)
        if (seat_holds(&l->segment.seats[i], row)) {
            mp_store_relaxed(&l->segment.seats[i].stop_index, index);
            mp_store_release(&l->segment.seats[i].stop_row, row);
        }
    local_stop_unwanted(t);
}

static int watch(const local *l, int fd, mp_error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return mp_fail(error, -errno, "cannot watch a descriptor of the pool");
    return 0;
}

/* A fork of the host may hold a copy of the pidfd, so closing it is not enough for
 * epoll to forget it. */
static void forget_nursery(local *l)
{
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, l->nursery.pidfd, NULL);
    mp_nursery_close(&l->nursery);
    l->started = false;
}

/* Waits for a killed worker to be gone: its sign of life comes free. */
static void await_end(mp_seat *seat, int64_t deadline)
{
    if (mp_robust_lock(&seat->alive, deadline) >= 0)
        mp_robust_unlock(&seat->alive);
}

static void bury_all(local *l)
{
    int64_t deadline = mp_deadline(BURIAL_SECONDS);
    for (unsigned i = 0; i < l->seats; i++) {
        mp_seat *seat = &l->segment.seats[i];
        uint32_t incarnation = mp_load_acquire(&seat->incarnation);
        if (incarnation == 0)
            continue;
        await_end(seat, deadline);
        if (incarnation != l->streams[i].told)
            mp_segment_examine(&l->segment, i, -1, mp_result_published(&l->streams[i].reader),
                               &l->buried[l->buried_count++]);
        mp_segment_clear(&l->segment, i);
    }
}

/* The nursery's workers die with it, and its troubles are gone. */
static void lose_nursery(local *l)
{
    forget_nursery(l);
    l->buried_count = l->buried_told = 0;
    bury_all(l);
    l->trouble_told = mp_load_acquire(&l->segment.control->trouble);
}

static int start_nursery(local *l, mp_error *error)
{
    int status = mp_nursery_start(&l->nursery, &mp_local_nursery_ops, l, l->seats, "mp-nursery",
                                  "PoolWorker-%u", error);
    if (status < 0)
        return status;
    l->started = true;
    for (unsigned i = 0; i < l->seats; i++)
        l->streams[i].told = 0;
    status = watch(l, l->nursery.pidfd, error);
    if (status < 0)
        lose_nursery(l);
    return status;
}

/* What the last nursery has left is told before there is a new one. */
static bool in_mourning(const local *l)
{
    return l->damaged || l->buried_told < l->buried_count;
}

static int local_want(mp_transport *t, unsigned workers, mp_error *error)
{
    local *l = self(t);
    if (workers > l->seats)
        workers = l->seats;
    int32_t wanted = mp_load_relaxed(&l->segment.control->wanted);
    if (in_mourning(l) || (l->started && wanted >= (int32_t)workers && !l->barren))
        return 0;
    l->barren = false;
    mp_store_release(&l->segment.control->closing, 0);
    mp_store_release(&l->segment.control->wanted, (int32_t)workers);
    if (!l->started)
        return start_nursery(l, error);
    mp_nursery_nudge(&l->nursery);
    return 0;
}

/* ---- arrivals ---- */

/* Turns a frame of `seat` into an arrival; false for those that are none. */
static bool read_frame(local *l, unsigned seat, const mp_result_frame *f, mp_arrival *a)
{
    stream *s = &l->streams[seat];
    if (f->kind == MP_FRAME_ROW && f->size == sizeof(mp_frame_row)) {
        mp_frame_row head;
        memcpy(&head, f->data, sizeof head);
        s->row = head.row;
        s->index = head.index;
        return false;
    }
    *a = (mp_arrival){.seat = seat,
                      .row = s->row,
                      .index = s->index,
                      .count = 1,
                      .data = f->data,
                      .size = f->size,
                      .kind = MP_ARRIVAL_DAMAGED};
    if (f->kind == MP_FRAME_DONE)
        a->kind = MP_ARRIVAL_DONE;
    else if (f->kind == MP_FRAME_FAILED)
        a->kind = MP_ARRIVAL_FAILED;
    else if (f->kind == MP_FRAME_TIMEOUT)
        a->kind = MP_ARRIVAL_TIMEOUT;
    else if (f->kind == MP_FRAME_OUTPUT || f->kind == MP_FRAME_LOG) {
        a->kind = f->kind == MP_FRAME_LOG ? MP_ARRIVAL_LOG : MP_ARRIVAL_OUTPUT;
        a->count = 0;
    } else if (f->kind == MP_FRAME_SKIPPED && f->size == sizeof a->count) {
        a->kind = MP_ARRIVAL_SKIPPED;
        memcpy(&a->count, f->data, sizeof a->count);
    } else if (f->kind == MP_FRAME_NO_ROOM && f->size == sizeof(int32_t)) {
        a->kind = MP_ARRIVAL_NO_ROOM;
        memcpy(&a->code, f->data, sizeof(int32_t));
    }
    return true;
}

/* What follows in the ring belongs to no row, until the next begins. */
static void meet_damage(local *l, unsigned seat)
{
    l->damaged = true;
    l->streams[seat].row = 0;
    if (l->started)
        mp_nursery_kill(&l->nursery);
}

static bool next_of_seat(local *l, unsigned seat, mp_arrival *a)
{
    mp_result_frame frame;
    mp_result_reader *reader = &l->streams[seat].reader;
    while (mp_result_peek(reader, &frame)) {
        bool arrival = read_frame(l, seat, &frame, a);
        if (arrival && a->kind != MP_ARRIVAL_DAMAGED) {
            l->current = seat;
            l->current_items = a->count;
            return true;
        }
        if (arrival)
            meet_damage(l, seat);
        mp_result_consume(reader);
    }
    return false;
}

/* The oldest death that has not been told: the log's first, then what the host
 * itself buried. */
static const mp_death *oldest_death(const local *l)
{
    const mp_control *c = l->segment.control;
    uint64_t read = mp_load_relaxed(&c->deaths_read);
    if (read != mp_load_acquire(&c->deaths_written))
        return &l->segment.deaths[read % MP_DEATHS];
    return l->buried_told < l->buried_count ? &l->buried[l->buried_told] : NULL;
}

static void death_told(local *l)
{
    mp_control *c = l->segment.control;
    const mp_death *death = oldest_death(l);
    uint64_t read = mp_load_relaxed(&c->deaths_read);
    if (read == mp_load_acquire(&c->deaths_written)) {
        l->buried_told++;
        return;
    }
    l->streams[death->seat].told = death->incarnation;
    mp_store_release(&c->deaths_read, read + 1);
    if (mp_load_acquire(&c->deaths_written) - read == MP_DEATHS && l->started)
        mp_nursery_nudge(&l->nursery);
}

static bool next_death(local *l, mp_arrival *a)
{
    const mp_death *death = oldest_death(l);
    if (death == NULL)
        return false;
    if (mp_result_position(&l->streams[death->seat].reader) < death->published &&
        next_of_seat(l, death->seat, a))
        return true;
    *a = (mp_arrival){
        .kind = MP_ARRIVAL_DEATH, .seat = death->seat, .pid = death->pid, .death = death};
    l->current = CURRENT_DEATH;
    return true;
}

static bool next_trouble(local *l, mp_arrival *a)
{
    mp_control *c = l->segment.control;
    uint32_t told = mp_load_acquire(&c->trouble);
    if (told == l->trouble_told || l->damaged)
        return false;
    *a = (mp_arrival){.kind = MP_ARRIVAL_TROUBLE,
                      .code = mp_load_relaxed(&c->trouble_code),
                      .count = mp_load_relaxed(&c->trouble_failures),
                      .status = mp_load_relaxed(&c->trouble_status)};
    l->trouble_seen = told;
    l->current = CURRENT_TROUBLE;
    return true;
}

static bool next_damage(local *l, mp_arrival *a)
{
    if (!l->damaged || l->started)
        return false;
    *a = (mp_arrival){.kind = MP_ARRIVAL_DAMAGED, .code = -EBADMSG};
    l->current = CURRENT_DAMAGE;
    return true;
}

/* Looks whether the nursery has gone: if something says so, or if nobody has looked
 * for a while, since a host that polls never hears it. */
static bool nursery_lost(local *l)
{
    int64_t now = mp_now();
    if (!l->started || (!l->suspect && now < l->look_at))
        return false;
    l->suspect = false;
    l->look_at = now + LOOK_NS;
    if (!mp_nursery_gone(&l->nursery))
        return false;
    lose_nursery(l);
    return true;
}

static bool next_result(local *l, mp_arrival *a)
{
    for (unsigned i = 0; i < l->seats; i++) {
        unsigned seat = l->turn + i < l->seats ? l->turn + i : l->turn + i - l->seats;
        if (next_of_seat(l, seat, a)) {
            l->turn = seat;
            return true;
        }
    }
    return false;
}

static bool local_next(mp_transport *t, mp_arrival *a)
{
    local *l = self(t);
    if (next_death(l, a) || next_result(l, a) || next_trouble(l, a) || next_damage(l, a))
        return true;
    return nursery_lost(l) && local_next(t, a);
}

static void frame_taken(local *l, unsigned seat)
{
    stream *s = &l->streams[seat];
    mp_result_consume(&s->reader);
    s->index += l->current_items;
    if (++s->in_turn >= TURN_FRAMES) {
        s->in_turn = 0;
        l->turn = seat + 1 < l->seats ? seat + 1 : 0;
    }
}

static void trouble_taken(local *l)
{
    l->trouble_told = l->trouble_seen;
    l->barren = mp_load_relaxed(&l->segment.control->trouble_code) == 0;
}

static void local_taken(mp_transport *t)
{
    local *l = self(t);
    if (l->current == CURRENT_DEATH)
        death_told(l);
    else if (l->current == CURRENT_TROUBLE)
        trouble_taken(l);
    else if (l->current == CURRENT_DAMAGE)
        l->damaged = false;
    else
        frame_taken(l, l->current);
}

static bool local_pending(mp_transport *t)
{
    local *l = self(t);
    for (unsigned i = 0; i < l->seats; i++)
        if (mp_result_unread(&l->streams[i].reader) > 0)
            return true;
    return oldest_death(l) != NULL ||
           mp_load_acquire(&l->segment.control->trouble) != l->trouble_told ||
           (l->started ? l->suspect : l->damaged);
}

static int local_fd(const mp_transport *t)
{
    return ((const local *)(const void *)t)->epoll_fd;
}

static int local_listen(mp_transport *t, int64_t deadline, const sigset_t *mask)
{
    local *l = self(t);
    struct epoll_event events[2];
    int n = epoll_pwait(l->epoll_fd, events, 2, mp_poll_timeout(deadline), mask);
    for (int i = 0; i < n; i++)
        if (l->started && events[i].data.fd == l->nursery.pidfd)
            l->suspect = true;
    return n < 0 ? -errno : n > 0;
}

static void local_arm(mp_transport *t, enum mp_bell_mode mode)
{
    mp_bell_arm(&self(t)->segment.bell, mode);
}

static void local_disarm(mp_transport *t)
{
    mp_bell_disarm(&self(t)->segment.bell);
}

static void local_ring(mp_transport *t)
{
    mp_bell_force(&self(t)->segment.bell);
}

static void local_alarm(mp_transport *t, int64_t due)
{
    struct itimerspec when = {0};
    if (due != MP_NEVER) {
        due = due < 1 ? 1 : due;
        when.it_value.tv_sec = due / 1000000000;
        when.it_value.tv_nsec = due % 1000000000;
    }
    timerfd_settime(self(t)->alarm_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static bool local_may_spin(const mp_transport *t)
{
    const local *l = (const local *)(const void *)t;
    unsigned wanted = (unsigned)mp_load_relaxed(&l->segment.control->wanted);
    unsigned sleepers = mp_segment_sleepers(&l->segment);
    return wanted < sleepers + (unsigned)l->processors;
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

static void local_count(const mp_transport *t, uint64_t *claims, int64_t *busy)
{
    const local *l = (const local *)(const void *)t;
    for (unsigned i = 0; i < l->seats; i++) {
        const mp_seat *seat = &l->segment.seats[i];
        int64_t since = mp_load_relaxed(&seat->busy_since);
        *claims += mp_load_relaxed(&seat->claims);
        *busy += mp_load_relaxed(&seat->busy) + (since != 0 ? mp_now() - since : 0);
    }
}

/* ---- life ---- */

static void local_finish(mp_transport *t)
{
    local *l = self(t);
    mp_control *c = l->segment.control;
    if (mp_load_relaxed(&c->wanted) == MP_WANT_TERMINATE)
        return;
    mp_store_relaxed(&c->wanted, MP_WANT_END);
    mp_store_release(&c->closing, 1);
    mp_fence();
    for (unsigned i = 0; i < l->seats; i++)
        mp_bed_call(&l->segment.seats[i].bed);
    if (l->started)
        mp_nursery_nudge(&l->nursery);
}

static void local_terminate(mp_transport *t)
{
    local *l = self(t);
    mp_store_release(&l->segment.control->wanted, MP_WANT_TERMINATE);
    if (l->started)
        mp_nursery_nudge(&l->nursery);
}

static bool local_gone(mp_transport *t, int64_t deadline)
{
    local *l = self(t);
    return !l->started || mp_nursery_wait(&l->nursery, deadline);
}

static bool local_alive(const mp_transport *t)
{
    return ((const local *)(const void *)t)->started;
}

/* An orderly end first, so that nobody else has to reap the workers. */
static void end_processes(local *l)
{
    local_terminate(&l->base);
    if (!mp_nursery_wait(&l->nursery, mp_deadline(BURIAL_SECONDS))) {
        mp_nursery_kill(&l->nursery);
        mp_nursery_wait(&l->nursery, mp_deadline(BURIAL_SECONDS));
    }
}

static void local_destroy(mp_transport *t, bool owner)
{
    local *l = self(t);
    if (owner && l->started)
        end_processes(l);
    if (l->started)
        mp_nursery_close(&l->nursery);
    for (unsigned i = 0; i < l->regions_made; i++)
        mp_region_destroy(&l->streams[i].region);
    mp_payload_destroy(l->payload);
    mp_segment_destroy(&l->segment);
    mp_fd_close(&l->epoll_fd);
    mp_fd_close(&l->alarm_fd);
    free(l->streams);
    free(l->buried);
    free(l);
}

static const mp_transport_ops local_ops = {
    .open = local_open,
    .keep = local_keep,
    .drop = local_drop,
    .kept = local_kept,
    .bytes = local_bytes,
    .publish = local_publish,
    .revoke = local_revoke,
    .want = local_want,
    .stop_unwanted = local_stop_unwanted,
    .stop_item = local_stop_item,
    .idle = local_idle,
    .next = local_next,
    .taken = local_taken,
    .pending = local_pending,
    .fd = local_fd,
    .listen = local_listen,
    .arm = local_arm,
    .disarm = local_disarm,
    .ring = local_ring,
    .alarm = local_alarm,
    .may_spin = local_may_spin,
    .finish = local_finish,
    .terminate = local_terminate,
    .gone = local_gone,
    .alive = local_alive,
    .item_cost = local_item_cost,
    .count = local_count,
    .destroy = local_destroy,
};

static int make_streams(local *l, mp_error *error)
{
    for (unsigned i = 0; i < l->seats; i++) {
        stream *s = &l->streams[i];
        char name[32];
        snprintf(name, sizeof name, "moonpool-results-%u", i + 1);
        int status = mp_result_create(&s->region, name, RING_BYTES, error);
        if (status < 0)
            return status;
        l->regions_made++;
        mp_result_reader_init(&s->reader, &s->region);
    }
    return 0;
}

static int furnish(local *l, mp_error *error)
{
    l->epoll_fd = mp_fd_lift(epoll_create1(EPOLL_CLOEXEC));
    l->alarm_fd = mp_fd_lift(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
    if (l->epoll_fd < 0 || l->alarm_fd < 0)
        return mp_fail(error, -errno, "cannot make the pool's descriptors to wait on");
    int status = mp_segment_create(&l->segment, l->seats, error);
    if (status == 0)
        status = mp_payload_create(&l->payload, "moonpool-tasks", error);
    if (status == 0)
        status = make_streams(l, error);
    if (status == 0)
        status = watch(l, l->segment.bell.fd, error);
    return status == 0 ? watch(l, l->alarm_fd, error) : status;
}

int mp_transport_local(mp_transport **t, unsigned seats, const mp_handler *handler, mp_error *error)
{
    local *l = calloc(1, sizeof *l);
    stream *streams = calloc(seats, sizeof *streams);
    mp_death *buried = calloc(seats, sizeof *buried);
    if (l == NULL || streams == NULL || buried == NULL) {
        free(l);
        free(streams);
        free(buried);
        return mp_fail(error, -ENOMEM, "cannot make a pool of %u workers", seats);
    }
    *l = (local){.base.ops = &local_ops,
                 .seats = seats,
                 .handler = *handler,
                 .streams = streams,
                 .buried = buried,
                 .epoll_fd = -1,
                 .alarm_fd = -1,
                 .segment.bell.fd = -1,
                 .processors = sysconf(_SC_NPROCESSORS_ONLN)};
    int status = furnish(l, error);
    if (status < 0)
        local_destroy(&l->base, true);
    else
        *t = &l->base;
    return status;
}
