/* The pool's main shared segment: its map and the death log; and the segment of the
 * workers' seats, which grows. Each field names its only writer; what has several is a
 * hint or changes by a single atomic operation.
 *
 * A seat has a rank while the pool wants it filled: the n workers of a pool are those
 * of rank 0 to n - 1. Seats that were told to leave have none any more; their workers
 * end behind what they have begun. Each seat belongs to one nursery at a time.
 *
 * A worker's record is written in this order, so that its death at any instant
 * can be read: claim of one granule (compare-and-swap in the ring), rows[] and,
 * with the first, begun and begun_item; held; release of the slot; perhaps the
 * same with a further granule. Then per item: begun_item, the run, the result
 * published. held = 0 after the last. What was claimed and is not in the record
 * yet the sweep of the ring finds; where the record is empty, its first item
 * counts as begun. `aside` says of a record that nothing in it is begun: the worker
 * leaves, or does an errand first. */
#ifndef MP_POOL_CONTROL_H
#define MP_POOL_CONTROL_H

#include "base/robust.h"
#include "shm/task_ring.h"
#include "shm/wake.h"

enum {
    MP_WORKERS_MAX = 1024,  /* of a pool */
    MP_SEATS_MAX = 2048,    /* those of workers that are about to leave among them */
    MP_DEATHS = 512,        /* entries of the death log */
    MP_CONTROL_VERSION = 2, /* of all that other programs read: see peek.h */
};

enum mp_phase {
    MP_PHASE_STARTING = 0, /* not yet ready for work: a death is a stillbirth */
    MP_PHASE_READY = 1,
    MP_PHASE_RETIRED = 2, /* has left in peace */
};

#define MP_NO_RANK UINT32_MAX

typedef struct mp_seat {
    /* host */
    _Atomic uint32_t rank; /* MP_NO_RANK: its worker is to leave */
    /* nursery */
    _Atomic uint32_t incarnation; /* 0: empty */
    _Atomic int32_t pid;
    _Atomic uint32_t paused;
    _Atomic uint32_t used; /* a worker was born here once */
    /* the worker, and the nursery before its birth */
    _Alignas(64) _Atomic uint32_t phase;
    _Atomic uint32_t held;       /* rows[] that are valid */
    _Atomic uint32_t begun;      /* which of them */
    _Atomic uint32_t aside;      /* none of them is begun */
    _Atomic uint64_t errand;     /* the row of the one it does, perhaps MP_NOBODY; 0: none */
    _Atomic uint64_t begun_item; /* index within its call of the item last begun */
    _Atomic uint64_t call;       /* where the block of that call lies in the task memory */
    _Atomic int64_t kill_at;     /* when a timer kills it (mp_now's clock), 0: never */
    mp_claim_note note;
    _Atomic uint64_t items;  /* items begun in its life */
    _Atomic uint64_t before; /* those before what it holds now */
    /* Of all workers of this seat; whoever buries one ends its work. */
    _Atomic uint64_t claims;
    _Atomic int64_t busy;       /* nanoseconds of work */
    _Atomic int64_t busy_since; /* mp_now's clock, 0: idle */
    _Atomic int64_t began;      /* when the item last begun did, of a timed call; 0: unknown */
    _Atomic uint32_t kind;      /* of the work measured last */
    _Atomic uint32_t item_cost; /* its cost, in nanoseconds an item */
    uint64_t rows[MP_HOLD_MAX];
    /* What the item that runs has shown of itself: how much of it is done, a double's bits; holds
     * while shown_item, 0 for none, is `items`. */
    _Atomic uint64_t shown, shown_item;
    _Atomic uint64_t rung; /* what its result ring's tail was when it rang for a lazy host */
    /* host: an item to be stopped, by its row and its index within its call */
    _Atomic uint64_t stop_row, stop_index;
    _Atomic uint32_t asked; /* host: how often the worker was asked what it is doing */
    mp_bed bed;
    mp_robust alive; /* held by the worker all its life */
} mp_seat;

/* One death, as whoever buried the worker found it. */
typedef struct mp_death {
    uint32_t seat;
    uint32_t incarnation;
    int32_t pid;
    int32_t status;      /* as waitpid gives it; -1 unknown */
    uint64_t published;  /* the result ring's tail: what lies before comes first */
    uint32_t held;       /* rows[] in the order of the claim */
    uint32_t begun;      /* index in rows[] of the one last begun */
    bool aside;          /* none of them was begun */
    bool left;           /* in peace */
    uint64_t errand;     /* as in its seat */
    uint64_t begun_item; /* index within its call; held 0: meaningless */
    bool overdue;        /* killed since that item ran too long */
    int64_t began;       /* when it did, as in its seat */
    int64_t found;       /* when this was written (mp_now's clock) */
    uint64_t rows[MP_HOLD_MAX];
} mp_death;

typedef struct mp_control {
    char magic[8];      /* "moonpool" */
    uint32_t version;   /* MP_CONTROL_VERSION */
    uint32_t seat_size; /* sizeof(mp_seat) */
    uint64_t deaths_at; /* offsets of the parts */
    uint64_t slots_at;
    int32_t host_pid;
    int32_t seats_fd; /* the host's: of the segment of the seats, */
    int32_t tasks_fd; /* and of the task memory; -1: not made yet */
    /* host */
    _Alignas(64) _Atomic int32_t wanted; /* seats of a rank below it are to be filled; or an
                                            mp_wanted of 0 and less, for all nurseries */
    _Atomic uint32_t seats;              /* how many there are; only grows */
    _Atomic uint32_t method;             /* mp_start_method of the nursery made last, 0: none was */
    _Atomic uint32_t closing;            /* workers retire when nothing is READY */
    _Atomic uint64_t deaths_read;
    _Atomic uint64_t errands; /* the first mp_errand: as its next */
    /* nursery, under `log` as there may be several */
    mp_robust log;
    _Alignas(64) _Atomic uint64_t deaths_written;
    _Atomic int32_t trouble_code;
    _Atomic uint32_t trouble_count;
    _Atomic int32_t trouble_status;
    _Atomic uint32_t trouble;      /* counts what the three above have told */
    _Atomic uint32_t incarnations; /* given so far */
    mp_bell_shared bell;
    mp_task_ring_shared ring;
    mp_robust output; /* whoever writes lines */
    /* One bit a seat. The worker sets and clears its own; its death clears both. */
    _Alignas(64) _Atomic uint64_t sleeping[MP_SEATS_MAX / 64];
    _Alignas(64) _Atomic uint64_t looking[MP_SEATS_MAX / 64];
} mp_control;

/* One process's view of the segment and the bell. */
typedef struct mp_segment {
    mp_region region, seat_region;
    mp_control *control;
    mp_seat *seats;
    mp_death *deaths;
    mp_task_ring ring;
    mp_bell bell;
    long processors; /* online when it was made */
} mp_segment;

/* Host: makes the segment for `seats` workers and its bell. */
int mp_segment_create(mp_segment *s, unsigned seats, mp_error *error);

/* Host: makes sure that there are so many (MP_SEATS_MAX at most); new ones are empty and
 * without a rank. Whoever has the segment sees them. 0 or a negative errno. */
int mp_segment_seats(mp_segment *s, unsigned seats, mp_error *error);

void mp_segment_destroy(mp_segment *s);

/* Puts what a nursery needs that has not inherited the segment into the letter; in that one, takes
 * it out. The latter returns 0 or a negative errno with nothing left. */
void mp_segment_send(const mp_segment *s, mp_letter *letter);
int mp_segment_receive(mp_segment *s, mp_letter *letter, mp_error *error);

/* Anybody, after publishing or when one that was called may not come: wakes a
 * sleeper if more granules wait than workers look for them. */
void mp_segment_rouse(mp_segment *s);

/* Host, while there is no worker: whatever damage has left of tasks, deaths and sleepers is gone.
 */
void mp_segment_reset(mp_segment *s);

/* Deaths that were logged and not read. More than MP_DEATHS: the counters are damaged. */
static inline uint64_t mp_segment_deaths(const mp_segment *s)
{
    return mp_load_acquire(&s->control->deaths_written) - mp_load_relaxed(&s->control->deaths_read);
}

/* Whether each worker that is wanted, in the first `seats`, sleeps with nothing in hand: when it
 * lay down, it found nothing to claim. */
bool mp_segment_rests(const mp_segment *s, unsigned seats);

/* Whether the seat is to have a worker. */
static inline bool mp_seat_wanted(const mp_control *c, const mp_seat *seat)
{
    uint32_t rank = mp_load_acquire(&seat->rank);
    int32_t wanted = mp_load_acquire(&c->wanted);
    return rank != MP_NO_RANK && wanted > 0 && rank < (uint32_t)wanted;
}

enum mp_worker_state { MP_WORKER_STARTING, MP_WORKER_IDLE, MP_WORKER_BUSY };

/* What the worker of this seat does. */
enum mp_worker_state mp_seat_state(const mp_seat *seat);

/* How much of the item that it runs is done, 0 to 1; below 0: the item has not shown any, or the
 * seat is damaged. */
double mp_seat_fraction(const mp_seat *seat);

/* Worker: its bit in one of the two maps. */
void mp_seat_mark(_Atomic uint64_t *map, unsigned seat);
void mp_seat_unmark(_Atomic uint64_t *map, unsigned seat);

/* Workers that look for work, or sleep; 0 while some waits. */
unsigned mp_segment_idle(const mp_segment *s);

/* Workers that are asleep now. */
unsigned mp_segment_sleepers(const mp_segment *s);

/* Reads what a dead worker held, and changes nothing, so that whoever does this
 * may itself be killed before the finding is written down. `published` is its
 * result ring's tail. Nursery, or the host once the nursery has gone. */
void mp_segment_examine(mp_segment *s, unsigned seat, int status, uint64_t published,
                        mp_death *death);

/* Behind that: frees its slots in the ring and empties its seat. */
void mp_segment_clear(mp_segment *s, unsigned seat);

#endif
