/* The main shared segment: see control.h. */
#include "pool/control.h"

#include "base/clock.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SLOTS = 1 << 16, FIRST_SLOTS = 64, RESERVE = 64 << 20 };
static const size_t seat_room = MP_SEATS_MAX * sizeof(mp_seat);

static size_t round_up(size_t n, size_t step)
{
    return (n + step - 1) / step * step;
}

static int init_locks(mp_segment *s, mp_error *error)
{
    int status = mp_robust_init(&s->control->output);
    if (status == 0)
        status = mp_robust_init(&s->control->log);
    return status == 0 ? 0 : mp_fail(error, status, "cannot make the pool's locks");
}

int mp_segment_seats(mp_segment *s, unsigned seats, mp_error *error)
{
    unsigned there = mp_load_relaxed(&s->control->seats);
    if (seats <= there)
        return 0;
    if (seats > MP_SEATS_MAX)
        return mp_fail(error, -EAGAIN, "a pool has %d seats at most", MP_SEATS_MAX);
    int status = mp_region_ensure(&s->seat_region, seats * sizeof(mp_seat), error);
    for (unsigned i = there; i < seats && status == 0; i++) {
        mp_store_relaxed(&s->seats[i].rank, MP_NO_RANK);
        status = mp_robust_init(&s->seats[i].alive);
    }
    if (status == 0)
        mp_store_release(&s->control->seats, seats);
    return status == 0 ? 0 : mp_fail(error, status, "cannot make seats for workers");
}

static void draw_map(mp_segment *s, size_t deaths_at, size_t slots_at)
{
    mp_control *c = (mp_control *)(void *)s->region.base;
    *c = (mp_control){.version = MP_CONTROL_VERSION,
                      .seat_size = sizeof(mp_seat),
                      .deaths_at = deaths_at,
                      .slots_at = slots_at,
                      .host_pid = getpid(),
                      .seats_fd = s->seat_region.fd,
                      .tasks_fd = -1,
                      .wanted = 1};
    s->control = c;
    s->seats = (mp_seat *)(void *)s->seat_region.base;
    s->deaths = (mp_death *)(void *)(s->region.base + deaths_at);
}

static int furnish(mp_segment *s, unsigned seats, mp_error *error)
{
    int status = init_locks(s, error);
    if (status == 0)
        status = mp_segment_seats(s, seats, error);
    if (status == 0)
        status = mp_task_ring_create(&s->ring, &s->control->ring, &s->region, s->control->slots_at,
                                     SLOTS, error);
    if (status == 0)
        status = mp_bell_create(&s->bell, &s->control->bell, error);
    return status;
}

int mp_segment_create(mp_segment *s, unsigned seats, mp_error *error)
{
    *s = (mp_segment){.bell.fd = -1, .processors = sysconf(_SC_NPROCESSORS_ONLN)};
    size_t deaths_at = round_up(sizeof(mp_control), 64);
    size_t slots_at = round_up(deaths_at + MP_DEATHS * sizeof(mp_death), 4096);
    size_t size = slots_at + FIRST_SLOTS * sizeof(mp_task_slot);
    int status = mp_region_create(&s->region, "moonpool", RESERVE, RESERVE, size, error);
    if (status == 0)
        status = mp_region_create(&s->seat_region, "moonpool-seats", seat_room, seat_room,
                                  seats * sizeof(mp_seat), error);
    if (status < 0) {
        mp_region_destroy(&s->region);
        return status;
    }
    draw_map(s, deaths_at, slots_at);
    status = furnish(s, seats, error);
    if (status < 0)
        mp_segment_destroy(s);
    else
        memcpy(s->control->magic, "moonpool", sizeof s->control->magic);
    return status;
}

void mp_segment_destroy(mp_segment *s)
{
    mp_bell_destroy(&s->bell);
    mp_region_destroy(&s->seat_region);
    mp_region_destroy(&s->region);
}

void mp_segment_send(const mp_segment *s, mp_letter *letter)
{
    mp_region_send(&s->region, letter);
    mp_region_send(&s->seat_region, letter);
    mp_letter_put_fd(letter, s->bell.fd);
}

int mp_segment_receive(mp_segment *s, mp_letter *letter, mp_error *error)
{
    *s = (mp_segment){.processors = sysconf(_SC_NPROCESSORS_ONLN), .bell.fd = -1};
    int status = mp_region_receive(&s->region, letter, error);
    if (status == 0)
        status = mp_region_receive(&s->seat_region, letter, error);
    if (status < 0) {
        mp_segment_destroy(s);
        return status;
    }
    s->control = (mp_control *)(void *)s->region.base;
    s->seats = (mp_seat *)(void *)s->seat_region.base;
    s->deaths = (mp_death *)(void *)(s->region.base + s->control->deaths_at);
    mp_task_ring_attach(&s->ring, &s->control->ring, &s->region, s->control->slots_at);
    s->bell = (mp_bell){.shared = &s->control->bell, .fd = mp_letter_take_fd(letter)};
    return 0;
}

enum mp_worker_state mp_seat_state(const mp_seat *seat)
{
    if (mp_load_acquire(&seat->incarnation) == 0 ||
        mp_load_relaxed(&seat->phase) == MP_PHASE_STARTING)
        return MP_WORKER_STARTING;
    return mp_load_acquire(&seat->held) > 0 || mp_load_relaxed(&seat->errand) != 0 ? MP_WORKER_BUSY
                                                                                   : MP_WORKER_IDLE;
}

double mp_seat_fraction(const mp_seat *seat)
{
    double fraction;
    uint64_t item = mp_load_acquire(&seat->shown_item), bits = mp_load_relaxed(&seat->shown);
    memcpy(&fraction, &bits, sizeof fraction);
    bool shown = item != 0 && item == mp_load_acquire(&seat->items);
    return shown && fraction >= 0 && fraction <= 1 ? fraction : -1;
}

void mp_seat_mark(_Atomic uint64_t *map, unsigned seat)
{
    atomic_fetch_or(&map[seat / 64], UINT64_C(1) << (seat % 64));
}

void mp_seat_unmark(_Atomic uint64_t *map, unsigned seat)
{
    atomic_fetch_and(&map[seat / 64], ~(UINT64_C(1) << (seat % 64)));
}

static unsigned seats_of(const mp_segment *s)
{
    unsigned seats = mp_load_relaxed(&s->control->seats);
    return seats < MP_SEATS_MAX ? seats : MP_SEATS_MAX;
}

static unsigned count_marks(const _Atomic uint64_t *map, unsigned seats)
{
    unsigned n = 0;
    for (unsigned i = 0; i * 64 < seats; i++)
        n += (unsigned)__builtin_popcountll(mp_load_relaxed(&map[i]));
    return n;
}

unsigned mp_segment_sleepers(const mp_segment *s)
{
    return count_marks(s->control->sleeping, seats_of(s));
}

unsigned mp_segment_idle(const mp_segment *s)
{
    return mp_task_ring_waiting(&s->ring) > 0
               ? 0
               : mp_segment_sleepers(s) + count_marks(s->control->looking, seats_of(s));
}

void mp_segment_reset(mp_segment *s)
{
    mp_task_ring_reset(&s->ring);
    mp_store_relaxed(&s->control->deaths_read, 0);
    mp_store_relaxed(&s->control->deaths_written, 0);
    for (unsigned i = 0; i < MP_SEATS_MAX / 64; i++) {
        mp_store_relaxed(&s->control->sleeping[i], 0);
        mp_store_relaxed(&s->control->looking[i], 0);
    }
}

static bool rests(const mp_seat *seat)
{
    return mp_load_acquire(&seat->pid) != 0 && mp_load_acquire(&seat->phase) == MP_PHASE_READY &&
           mp_load_acquire(&seat->bed.state) == MP_BED_ASLEEP &&
           mp_load_acquire(&seat->held) == 0 && mp_load_acquire(&seat->paused) == 0;
}

bool mp_segment_rests(const mp_segment *s, unsigned seats)
{
    unsigned resting = 0;
    for (unsigned i = 0; i < seats; i++) {
        if (!mp_seat_wanted(s->control, &s->seats[i]))
            continue;
        if (!rests(&s->seats[i]))
            return false;
        resting++;
    }
    return resting > 0;
}

static bool call_sleeper_of(mp_segment *s, unsigned word)
{
    uint64_t marks = mp_load_relaxed(&s->control->sleeping[word]);
    for (; marks != 0; marks &= marks - 1) {
        unsigned seat = word * 64 + (unsigned)__builtin_ctzll(marks);
        if (mp_load_relaxed(&s->seats[seat].paused) == 0 && mp_bed_call(&s->seats[seat].bed))
            return true;
    }
    return false;
}

void mp_segment_rouse(mp_segment *s)
{
    mp_fence();
    unsigned seats = seats_of(s), words = (seats + 63) / 64;
    for (unsigned i = 0; i < words; i++) {
        if (mp_load_relaxed(&s->control->sleeping[i]) == 0)
            continue;
        if (mp_task_ring_waiting(&s->ring) <= count_marks(s->control->looking, seats))
            return;
        if (call_sleeper_of(s, i))
            return;
    }
}

/* What its own record says. */
static void read_record(const mp_seat *seat, mp_death *death)
{
    uint32_t held = mp_load_acquire(&seat->held);
    if (held == 0 || held > MP_HOLD_MAX)
        return;
    death->held = held;
    death->begun = mp_load_relaxed(&seat->begun);
    death->begun_item = mp_load_relaxed(&seat->begun_item);
    death->aside = mp_load_relaxed(&seat->aside) != 0;
    memcpy(death->rows, seat->rows, sizeof death->rows);
}

static bool holds(const mp_death *death, uint64_t row)
{
    for (unsigned i = 0; i < death->held; i++)
        if (death->rows[i] == row)
            return true;
    return false;
}

/* Adds what it had claimed and its record does not name yet. */
static void add_swept(const mp_granule *swept, unsigned n, mp_death *death)
{
    for (unsigned i = 0; i < n && death->held < MP_HOLD_MAX; i++) {
        if (death->held == 0)
            death->begun_item = swept[i].first;
        if (!holds(death, swept[i].row))
            death->rows[death->held++] = swept[i].row;
    }
}

void mp_segment_examine(mp_segment *s, unsigned seat, int status, uint64_t published,
                        mp_death *death)
{
    const mp_seat *dead = &s->seats[seat];
    mp_granule claimed[MP_HOLD_MAX];
    *death = (mp_death){.seat = seat,
                        .incarnation = mp_load_relaxed(&dead->incarnation),
                        .pid = mp_load_relaxed(&dead->pid),
                        .status = status,
                        .errand = mp_load_relaxed(&dead->errand),
                        .left = mp_load_relaxed(&dead->phase) == MP_PHASE_RETIRED,
                        .published = published,
                        .began = mp_load_relaxed(&dead->began),
                        .found = mp_now()};
    int64_t kill_at = mp_load_relaxed(&dead->kill_at);
    death->overdue = kill_at != 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL &&
                     death->found >= kill_at;
    unsigned n = mp_task_ring_claimed_by(&s->ring, &dead->note, death->incarnation, claimed);
    read_record(dead, death);
    add_swept(claimed, n, death);
}

/* What the dead worker was at counts up to now. */
static void end_work(mp_seat *dead)
{
    int64_t since = mp_load_relaxed(&dead->busy_since);
    mp_store_relaxed(&dead->busy_since, 0);
    mp_store_relaxed(&dead->began, 0);
    if (since != 0)
        mp_store_relaxed(&dead->busy, mp_load_relaxed(&dead->busy) + mp_now() - since);
}

void mp_segment_clear(mp_segment *s, unsigned seat)
{
    mp_seat *dead = &s->seats[seat];
    mp_task_ring_sweep(&s->ring, &dead->note, mp_load_relaxed(&dead->incarnation));
    mp_seat_unmark(s->control->looking, seat);
    mp_seat_unmark(s->control->sleeping, seat);
    end_work(dead);
    mp_store_relaxed(&dead->held, 0);
    mp_store_relaxed(&dead->aside, 0);
    mp_store_relaxed(&dead->errand, 0);
    mp_store_relaxed(&dead->pid, 0);
    mp_store_relaxed(&dead->paused, 0);
    mp_store_release(&dead->incarnation, 0);
}
