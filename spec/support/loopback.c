/* The transport within one process: see loopback.h. */
#include "spec/support/loopback_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static loopback *self(mp_transport *t)
{
    return (loopback *)(void *)t;
}

/* ---- news ---- */

static void ring_out(const struct loopback_inner *in)
{
    if (eventfd_write(in->fd, 1) < 0)
        abort();
}

static void tell(loopback *l, const mp_arrival *a)
{
    struct loopback_inner *in = l->inner;
    news *n = calloc(1, sizeof *n);
    if (n == NULL)
        abort();
    n->arrival = *a;
    if (a->size > 0) {
        n->data = malloc(a->size);
        if (n->data == NULL)
            abort();
        memcpy(n->data, a->data, a->size);
    }
    n->arrival.data = n->data;
    if (a->death != NULL)
        n->death = *a->death;
    n->arrival.death = a->death != NULL ? &n->death : NULL;
    TAILQ_INSERT_TAIL(&in->queue, n, link);
    if (in->armed != MP_BELL_OFF)
        ring_out(in);
    in->armed = MP_BELL_OFF;
}

void loopback_tell(loopback *l, const mp_arrival *told)
{
    tell(l, told);
}

static void forget(struct loopback_inner *in, news *n)
{
    TAILQ_REMOVE(&in->queue, n, link);
    free(n->data);
    free(n);
}

/* ---- births and deaths ---- */

static void bear(loopback *l, unsigned i)
{
    struct loopback_inner *in = l->inner;
    in->seat[i] = (seat){.incarnation = ++in->incarnations, .shown = -1};
    l->births++;
    mp_birth birth = {.seat = i, .tell = loopback_say, .show = loopback_show, .teller = l};
    if (in->handler.start != NULL)
        in->handler.start(in->handler.ctx, &birth);
}

static void bury_as(loopback *l, unsigned i, int status, bool aside)
{
    seat *s = &l->inner->seat[i];
    mp_death death = {.seat = i,
                      .incarnation = s->incarnation,
                      .pid = loopback_pid(s),
                      .status = status,
                      .held = s->holding,
                      .begun = s->begun,
                      .begun_item = s->begun_item,
                      .aside = aside,
                      .errand = s->doing,
                      .found = mp_now()};
    for (unsigned j = 0; j < s->holding; j++)
        death.rows[j] = s->held[j].row;
    tell(l, &(mp_arrival){.kind = MP_ARRIVAL_DEATH, .seat = i, .pid = death.pid, .death = &death});
    s->incarnation = 0;
    l->deaths++;
}

static void bury(loopback *l, unsigned i, int status)
{
    bury_as(l, i, status, false);
}

/* The worker goes at once: what it had claimed was not begun. */
static void leave(loopback *l, unsigned i)
{
    seat *s = &l->inner->seat[i];
    if (s->holding > 0)
        bury_as(l, i, 0, s->item == 0);
    s->incarnation = 0;
}

void loopback_kill(loopback *l, unsigned i, int status)
{
    if (l->inner->seat[i].incarnation == 0)
        return;
    bury(l, i, status);
    if (!l->ended)
        bear(l, i);
}

static void bury_all(loopback *l, int status)
{
    for (unsigned i = 0; i < l->inner->seats; i++)
        if (l->inner->seat[i].incarnation != 0)
            bury(l, i, status);
}

void loopback_lose_nursery(loopback *l)
{
    bury_all(l, -1);
    l->inner->started = false;
}

void loopback_damage(loopback *l, unsigned i)
{
    struct loopback_inner *in = l->inner;
    for (news *n = TAILQ_FIRST(&in->queue), *next; n != NULL; n = next) {
        next = TAILQ_NEXT(n, link);
        if (n->arrival.seat == i && n->arrival.kind < MP_ARRIVAL_DEATH)
            forget(in, n);
    }
    loopback_lose_nursery(l);
    tell(l, &(mp_arrival){.kind = MP_ARRIVAL_DAMAGED, .seat = i, .code = -EBADMSG});
    in->damaged = true;
}

/* ---- the seam ---- */

/* Room for one more behind those that wait. */
static void make_slot(const loopback *l)
{
    struct loopback_inner *in = l->inner;
    if (in->first + l->waiting < in->room)
        return;
    in->room = 2 * (size_t)l->waiting + 16;
    slot *ring = malloc(in->room * sizeof *ring);
    if (ring == NULL)
        abort();
    if (l->waiting > 0)
        memcpy(ring, in->ring + in->first, l->waiting * sizeof *ring);
    free(in->ring);
    in->ring = ring;
    in->first = 0;
}

static int loopback_publish(mp_transport *t, const mp_granule *g, uint64_t *position,
                            mp_error *error)
{
    loopback *l = self(t);
    (void)error;
    if (l->waiting >= l->capacity)
        return -EAGAIN;
    make_slot(l);
    *position = ++l->inner->position;
    l->inner->ring[l->inner->first + l->waiting++] = (slot){*g, *position};
    return 0;
}

static bool loopback_revoke(mp_transport *t, uint64_t position)
{
    loopback *l = self(t);
    slot *ring = l->inner->ring + l->inner->first;
    size_t i = l->waiting;
    while (i > 0 && ring[i - 1].position != position)
        i--;
    if (i == 0)
        return false;
    memmove(&ring[i - 1], &ring[i], (l->waiting - i) * sizeof *ring);
    l->waiting--;
    return true;
}

static int loopback_want(mp_transport *t, unsigned workers, mp_error *error)
{
    loopback *l = self(t);
    struct loopback_inner *in = l->inner;
    if (l->refuse_want > 0) {
        l->refuse_want--;
        return mp_fail(error, -EAGAIN, "nursery: fork");
    }
    if (in->damaged || l->ended)
        return 0;
    in->started = true;
    for (unsigned i = 0; i < workers && i < in->seats; i++)
        if (in->seat[i].incarnation == 0)
            bear(l, i);
    return 0;
}

static void loopback_refresh(mp_transport *t)
{
    for (unsigned i = 0; i < self(t)->inner->seats; i++)
        if (self(t)->inner->seat[i].incarnation != 0)
            leave(self(t), i);
    self(t)->inner->started = false;
}

static void loopback_resize(mp_transport *t, unsigned workers)
{
    struct loopback_inner *in = self(t)->inner;
    in->seats = workers < MAX_SEATS ? workers : MAX_SEATS;
    in->turn = 0;
    for (unsigned i = in->seats; i < MAX_SEATS; i++)
        if (in->seat[i].incarnation != 0)
            leave(self(t), i);
}

static bool loopback_worker(const mp_transport *t, unsigned rank, mp_worker_view *view)
{
    const struct loopback_inner *in = ((const loopback *)(const void *)t)->inner;
    if (rank >= in->seats || in->seat[rank].incarnation == 0)
        return false;
    const seat *s = &in->seat[rank];
    *view = (mp_worker_view){.seat = rank,
                             .pid = loopback_pid(s),
                             .state = s->holding > 0 ? MP_WORKER_BUSY : MP_WORKER_IDLE,
                             .item = s->holding > 0 ? s->begun_item : 0,
                             .row = s->holding > 0 ? s->held[s->begun].row : 0,
                             .fraction = s->shown};
    return true;
}

static bool loopback_pending(mp_transport *t)
{
    loopback *l = self(t);
    if (!TAILQ_EMPTY(&l->inner->queue))
        return true;
    for (unsigned i = 0; i < l->inner->seats; i++)
        if (!l->by_hand && loopback_can_work(l, i))
            return true;
    return false;
}

static bool loopback_next(mp_transport *t, mp_arrival *a)
{
    loopback *l = self(t);
    while (TAILQ_EMPTY(&l->inner->queue) && !l->by_hand)
        if (!loopback_work(l))
            break;
    if (TAILQ_EMPTY(&l->inner->queue))
        return false;
    *a = TAILQ_FIRST(&l->inner->queue)->arrival;
    return true;
}

static void loopback_taken(mp_transport *t)
{
    struct loopback_inner *in = self(t)->inner;
    news *first = TAILQ_FIRST(&in->queue);
    if (first->arrival.kind == MP_ARRIVAL_DAMAGED)
        in->damaged = false;
    forget(in, first);
}

static int loopback_fd(const mp_transport *t)
{
    return ((const loopback *)(const void *)t)->inner->fd;
}

static int loopback_listen(mp_transport *t, int64_t deadline, const sigset_t *mask)
{
    (void)mask;
    self(t)->slept_until = deadline;
    self(t)->listens++;
    return loopback_pending(t);
}

static void loopback_arm(mp_transport *t, enum mp_bell_mode mode)
{
    self(t)->inner->armed = mode;
}

static void loopback_disarm(mp_transport *t)
{
    eventfd_t rings;
    self(t)->inner->armed = MP_BELL_OFF;
    eventfd_read(self(t)->inner->fd, &rings);
}

static void loopback_ring(mp_transport *t)
{
    ring_out(self(t)->inner);
}

static void loopback_stop_unwanted(mp_transport *t)
{
    self(t)->stops++;
}

static unsigned loopback_idle(const mp_transport *t)
{
    return ((const loopback *)(const void *)t)->idle;
}

static void loopback_stop_item(mp_transport *t, uint64_t row, uint64_t index)
{
    (void)row;
    (void)index;
    self(t)->stops++;
}

static void loopback_alarm(mp_transport *t, int64_t due)
{
    self(t)->alarm = due;
}

static bool loopback_may_spin(const mp_transport *t)
{
    (void)t;
    return false;
}

static void loopback_finish(mp_transport *t)
{
    loopback *l = self(t);
    for (unsigned i = 0; i < l->inner->seats; i++) {
        if (l->inner->seat[i].incarnation != 0 && l->inner->handler.finish != NULL)
            l->inner->handler.finish(l->inner->handler.ctx);
        l->inner->seat[i].incarnation = 0;
    }
    l->ended = true;
}

static void loopback_terminate(mp_transport *t)
{
    self(t)->ended = true;
    bury_all(self(t), SIGKILL);
}

static bool loopback_gone(mp_transport *t, int64_t deadline)
{
    (void)deadline;
    return !self(t)->inner->started || self(t)->ended;
}

static unsigned loopback_crew(const mp_transport *t)
{
    const loopback *l = (const loopback *)(const void *)t;
    return l->inner->started && !l->ended ? l->inner->seats : 0;
}

static uint32_t loopback_item_cost(const mp_transport *t, uint32_t kind)
{
    (void)kind;
    return ((const loopback *)(const void *)t)->cost;
}

static void loopback_count(const mp_transport *t, uint64_t *claims, int64_t *busy)
{
    *claims += ((const loopback *)(const void *)t)->begun;
    *busy += 0;
}

static void loopback_destroy(mp_transport *t)
{
    struct loopback_inner *in = self(t)->inner;
    while (!TAILQ_EMPTY(&in->queue))
        forget(in, TAILQ_FIRST(&in->queue)); /* NOLINT(clang-analyzer-unix.Malloc) */
    free(in->ring);
    for (size_t i = 0; i < in->piece_count; i++)
        free(in->pieces[i].data);
    free(in->pieces);
    free(in->out.data);
    close(in->fd);
    free(in);
    free(t);
}

static const mp_transport_ops loopback_ops = {
    .open = loopback_open,
    .keep = loopback_keep,
    .drop = loopback_drop,
    .kept = loopback_kept,
    .bytes = loopback_bytes,
    .publish = loopback_publish,
    .post = loopback_post,
    .revoke = loopback_revoke,
    .want = loopback_want,
    .refresh = loopback_refresh,
    .resize = loopback_resize,
    .worker = loopback_worker,
    .stop_unwanted = loopback_stop_unwanted,
    .stop_item = loopback_stop_item,
    .idle = loopback_idle,
    .next = loopback_next,
    .taken = loopback_taken,
    .pending = loopback_pending,
    .fd = loopback_fd,
    .listen = loopback_listen,
    .arm = loopback_arm,
    .disarm = loopback_disarm,
    .ring = loopback_ring,
    .alarm = loopback_alarm,
    .may_spin = loopback_may_spin,
    .finish = loopback_finish,
    .terminate = loopback_terminate,
    .gone = loopback_gone,
    .crew = loopback_crew,
    .item_cost = loopback_item_cost,
    .count = loopback_count,
    .destroy = loopback_destroy,
};

loopback *loopback_new(unsigned seats, const mp_handler *handler)
{
    loopback *l = calloc(1, sizeof *l);
    struct loopback_inner *in = calloc(1, sizeof *in);
    if (l == NULL || in == NULL)
        abort();
    *l = (loopback){.base.ops = &loopback_ops, .capacity = MANY, .hold = 1, .inner = in};
    in->handler = *handler;
    in->seats = seats < MAX_SEATS ? seats : MAX_SEATS;
    in->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    TAILQ_INIT(&in->queue);
    return l;
}
