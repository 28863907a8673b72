/* The nurseries of a local pool as the host sees them: which there are, which seats
 * each fills, and what is to be done when one has gone.
 *
 * Invariants: each rank below the pool's size has one seat at most, and each seat one
 * nursery at most, until that has gone; a nursery that fills no rank any more ends by
 * itself. A lost one is told as the deaths of its workers, and replaced when work is
 * wanted again and they are told. */
#include "pool/transport_local.h"

#include "base/clock.h"
#include "base/memory.h"
#include "process/pidfd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>

enum {
    RING_BYTES = 1 << 20,
    BURIAL_SECONDS = 2, /* for killed workers to be gone */
    MAX_CHILDLESS = 10,
};

int mp_local_watch(const local *l, int fd, mp_error *error)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return mp_fail(error, -errno, "cannot watch a descriptor of the pool");
    return 0;
}

/* ---- seats ---- */

/* Room for one more in the two tables that have an entry a seat. */
static int grow_tables(local *l, mp_error *error)
{
    stream **streams = mp_realloc(l->streams, (l->seats + 1) * sizeof(stream *));
    l->streams = streams != NULL ? streams : l->streams;
    mp_death *buried = mp_realloc(l->buried, (l->seats + 1) * sizeof *buried);
    l->buried = buried != NULL ? buried : l->buried;
    if (streams == NULL || buried == NULL)
        return mp_fail(error, -ENOMEM, "cannot make a seat for a worker");
    return mp_segment_seats(&l->segment, l->seats + 1, error);
}

int mp_local_add_seat(local *l, mp_error *error)
{
    char name[32];
    int status = grow_tables(l, error);
    if (status < 0)
        return status;
    stream *s = mp_calloc(1, sizeof *s);
    if (s == NULL)
        return mp_fail(error, -ENOMEM, "cannot make a seat for a worker");
    snprintf(name, sizeof name, "moonpool-results-%u", l->seats + 1);
    status = mp_result_create(&s->region, name, RING_BYTES, error);
    if (status < 0) {
        mp_free(s);
        return status;
    }
    mp_result_reader_init(&s->reader, &s->region);
    l->streams[l->seats++] = s;
    return 0;
}

/* A seat that belongs to nobody, from `from` on; it is made where there is none. */
static int find_seat(local *l, unsigned from, unsigned *seat, mp_error *error)
{
    for (*seat = from; *seat < l->seats; ++*seat)
        if (l->streams[*seat]->brood == NULL)
            return 0;
    return mp_local_add_seat(l, error);
}

static void give_rank(local *l, unsigned seat, unsigned rank)
{
    l->by_rank[rank] = seat;
    l->covered++;
    mp_store_release(&l->segment.seats[seat].rank, rank);
}

static void take_rank(local *l, unsigned seat)
{
    uint32_t rank = mp_load_relaxed(&l->segment.seats[seat].rank);
    if (rank == MP_NO_RANK)
        return;
    l->by_rank[rank] = NO_SEAT;
    l->covered--;
    mp_store_release(&l->segment.seats[seat].rank, MP_NO_RANK);
}

/* ---- loss ---- */

/* Waits for a killed worker to be gone: its sign of life comes free. */
static void await_end(mp_seat *seat, int64_t deadline)
{
    if (mp_robust_lock(&seat->alive, deadline) >= 0)
        mp_robust_unlock(&seat->alive);
}

/* Its death is in the log and was not told yet. */
static bool is_logged(const local *l, uint32_t incarnation)
{
    uint64_t read = mp_load_relaxed(&l->segment.control->deaths_read);
    uint64_t n = mp_segment_deaths(&l->segment);
    for (uint64_t i = 0; i < n && n <= MP_DEATHS; i++)
        if (l->segment.deaths[(read + i) % MP_DEATHS].incarnation == incarnation)
            return true;
    return false;
}

static void bury(local *l, unsigned i, int64_t deadline)
{
    mp_seat *seat = &l->segment.seats[i];
    uint32_t incarnation = mp_load_acquire(&seat->incarnation);
    if (incarnation == 0)
        return;
    await_end(seat, deadline);
    if (incarnation != l->streams[i]->told && !is_logged(l, incarnation))
        mp_segment_examine(&l->segment, i, -1, mp_result_published(&l->streams[i]->reader),
                           &l->buried[l->buried_count++]);
    mp_segment_clear(&l->segment, i);
}

/* Nobody has waited for the workers of a nursery that was killed; in some hosts they are its own
 * children from then on. One that has ended in order has waited for them itself. */
static void reap_orphans(const brood *b, int64_t deadline)
{
    if (b->nursery.status == 0 || !mp_pid_adopts())
        return;
    for (unsigned i = 0; i < b->count; i++) {
        mp_seat *seat = &b->local->segment.seats[b->seats[i]];
        if (mp_load_acquire(&seat->incarnation) != 0)
            mp_pid_bury(mp_load_relaxed(&seat->pid), deadline);
    }
}

static bool has_borne(const brood *b)
{
    for (unsigned i = 0; i < b->count; i++)
        if (mp_load_acquire(&b->local->segment.seats[b->seats[i]].incarnation) != 0)
            return true;
    return false;
}

/* Whether its nursery was to be there: nobody has told it to end. */
static bool is_wanted(const brood *b)
{
    if (mp_load_relaxed(&b->local->segment.control->wanted) <= 0)
        return false;
    for (unsigned i = 0; i < b->count; i++)
        if (mp_load_relaxed(&b->local->segment.seats[b->seats[i]].rank) != MP_NO_RANK)
            return true;
    return false;
}

/* One that has said why it cannot be is not tried again. */
static void note_reason(brood *b)
{
    local *l = b->local;
    mp_nursery_reason(&b->nursery, l->reason, sizeof l->reason);
    if (l->reason[0] != '\0')
        l->childless = MAX_CHILDLESS;
}

/* Nurseries that cannot live are told as workers are that are dead before their first task: by a
 * trouble that ends all births. */
static void count_childless(local *l, bool childless, int status)
{
    mp_control *c = l->segment.control;
    l->childless = childless ? l->childless + 1 : 0;
    if (l->childless < MAX_CHILDLESS)
        return;
    l->childless = 0;
    mp_store_relaxed(&c->trouble_code, 0);
    mp_store_relaxed(&c->trouble_count, MAX_CHILDLESS);
    mp_store_relaxed(&c->trouble_status, status);
    atomic_fetch_add_explicit(&c->trouble, 1, memory_order_release);
}

static void empty_seats(brood *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        take_rank(b->local, b->seats[i]);
        b->local->streams[b->seats[i]]->brood = NULL;
    }
}

/* A fork of the host may hold a copy of the pidfd, so closing it is not enough for
 * epoll to forget it. Workers die with their nursery. */
static void lose(brood *b)
{
    local *l = b->local;
    int64_t deadline = mp_deadline(BURIAL_SECONDS);
    int status = b->nursery.status;
    bool childless = is_wanted(b) && !has_borne(b);
    note_reason(b);
    epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, b->nursery.process.pidfd, NULL);
    mp_nursery_close(&b->nursery);
    LIST_REMOVE(b, link);
    reap_orphans(b, deadline);
    for (unsigned i = 0; i < b->count; i++)
        bury(l, b->seats[i], deadline);
    empty_seats(b);
    mp_free(b);
    if (LIST_EMPTY(&l->broods))
        l->trouble_told = mp_load_acquire(&l->segment.control->trouble);
    count_childless(l, childless, status);
}

bool mp_local_bury_lost(local *l)
{
    bool any = false;
    l->buried_count = l->buried_told = 0;
    for (brood *b = LIST_FIRST(&l->broods), *next; b != NULL; b = next) {
        next = LIST_NEXT(b, link);
        if (!mp_nursery_gone(&b->nursery))
            continue;
        lose(b);
        any = true;
    }
    return any;
}

const mp_death *mp_local_oldest_death(const local *l)
{
    uint64_t n = mp_segment_deaths(&l->segment);
    if (n > 0 && n <= MP_DEATHS)
        return &l->segment.deaths[mp_load_relaxed(&l->segment.control->deaths_read) % MP_DEATHS];
    return l->buried_told < l->buried_count ? &l->buried[l->buried_told] : NULL;
}

bool mp_local_mourns(const local *l)
{
    return l->damaged || l->buried_told < l->buried_count;
}

/* ---- making ---- */

/* Seats for all ranks that have none, as far as they can be had. */
static int assign_seats(brood *b, mp_error *error)
{
    local *l = b->local;
    unsigned seat = 0;
    for (unsigned rank = 0; rank < l->size; rank++) {
        if (l->by_rank[rank] != NO_SEAT)
            continue;
        int status = find_seat(l, seat, &seat, error);
        if (status < 0)
            return b->count > 0 ? 0 : status;
        l->streams[seat]->brood = b;
        b->seats[b->count++] = seat;
        give_rank(l, seat, rank);
    }
    return 0;
}

static int start_brood(brood *b, mp_error *error)
{
    int status = assign_seats(b, error);
    if (status < 0)
        return status;
    const mp_handler *h = &b->local->handler;
    mp_places places = {b->count, b->seats, "mp-nursery", "PoolWorker-%u"};
    mp_cradle cradle = {h->roles, h->role, mp_local_pack};
    int method = h->role != NULL ? mp_start_choose(h->method, error) : MP_START_FORK;
    if (method < 0)
        return method;
    mp_store_relaxed(&b->local->segment.control->method, (uint32_t)method);
    return mp_nursery_start(&b->nursery, &mp_local_nursery_ops, b, &places,
                            (enum mp_start_method)method, &cradle, error);
}

static int add_brood(local *l, mp_error *error)
{
    brood *b = mp_calloc(1, sizeof *b + (l->size - l->covered) * sizeof b->seats[0]);
    if (b == NULL)
        return mp_fail(error, -ENOMEM, "cannot start workers");
    b->local = l;
    int status = start_brood(b, error);
    if (status < 0) {
        empty_seats(b);
        mp_free(b);
        return status;
    }
    LIST_INSERT_HEAD(&l->broods, b, link);
    status = mp_local_watch(l, b->nursery.process.pidfd, error);
    if (status < 0)
        lose(b);
    return status;
}

static bool covers(const local *l, unsigned ranks)
{
    for (unsigned i = 0; i < ranks && l->covered < l->size; i++)
        if (l->by_rank[i] == NO_SEAT)
            return false;
    return true;
}

int mp_local_want(local *l, unsigned workers, mp_error *error)
{
    mp_control *c = l->segment.control;
    workers = workers < l->size ? workers : l->size;
    int32_t wanted = mp_load_relaxed(&c->wanted);
    bool covered = covers(l, workers);
    if (mp_local_mourns(l) || (covered && wanted >= (int32_t)workers && !l->barren))
        return 0;
    l->barren = false;
    mp_store_release(&c->closing, 0);
    if (wanted < (int32_t)workers || l->covered == 0)
        mp_store_release(&c->wanted, (int32_t)workers);
    mp_local_nudge(l);
    return covered ? 0 : add_brood(l, error);
}

/* ---- change ---- */

void mp_local_refresh(local *l)
{
    for (unsigned i = 0; i < l->seats; i++)
        take_rank(l, i);
    mp_local_call_all(l);
    mp_local_nudge(l);
}

void mp_local_resize(local *l, unsigned size)
{
    mp_control *c = l->segment.control;
    for (unsigned rank = size; rank < l->size; rank++)
        if (l->by_rank[rank] != NO_SEAT)
            take_rank(l, l->by_rank[rank]);
    l->size = size;
    if (mp_load_relaxed(&c->wanted) > (int32_t)size)
        mp_store_release(&c->wanted, (int32_t)size);
    mp_local_call_all(l);
    mp_local_nudge(l);
}

/* ---- all of them ---- */

void mp_local_call_all(local *l)
{
    mp_fence();
    for (unsigned i = 0; i < l->seats; i++)
        mp_bed_call(&l->segment.seats[i].bed);
}

void mp_local_nudge(local *l)
{
    brood *b;
    LIST_FOREACH (b, &l->broods, link) {
        mp_nursery_nudge(&b->nursery);
    }
}

void mp_local_go_on(local *l)
{
    brood *b;
    LIST_FOREACH (b, &l->broods, link) {
        mp_nursery_go_on(&b->nursery);
    }
}

void mp_local_kill(local *l)
{
    brood *b;
    LIST_FOREACH (b, &l->broods, link) {
        mp_nursery_kill(&b->nursery);
    }
}

bool mp_local_gone(local *l, int64_t deadline)
{
    brood *b;
    LIST_FOREACH (b, &l->broods, link) {
        if (!mp_nursery_wait(&b->nursery, deadline))
            return false;
    }
    return true;
}

void mp_local_close(local *l)
{
    while (!LIST_EMPTY(&l->broods)) {
        brood *b = LIST_FIRST(&l->broods);
        mp_nursery_close(&b->nursery);
        reap_orphans(b, mp_deadline(BURIAL_SECONDS));
        LIST_REMOVE(b, link);
        mp_free(b);
    }
}
