/* The pool's main shared segment: its map, the seats of the workers, the death
 * log. Each field names its only writer; what has several is a hint or changes
 * by a single atomic operation.
 *
 * A worker's record is written in this order, so that its death at any instant
 * can be read: claim of one granule (compare-and-swap in the ring), rows[] and,
 * with the first, begun and begun_item; held; release of the slot; perhaps the
 * same with a further granule. Then per item: begun_item, the run, the result
 * published. held = 0 after the last. What was claimed and is not in the record
 * yet the sweep of the ring finds; where the record is empty, its first item
 * counts as begun. */
#ifndef MP_POOL_CONTROL_H
#define MP_POOL_CONTROL_H

#include "base/robust.h"
#include "shm/task_ring.h"
#include "shm/wake.h"

enum {
    MP_SEATS_MAX = 1024,
    MP_DEATHS = 512, /* entries of the death log */
    MP_CONTROL_VERSION = 1,
};

enum mp_phase {
    MP_PHASE_STARTING = 0, /* not yet ready for work: a death is a stillbirth */
    MP_PHASE_READY = 1,
    MP_PHASE_RETIRED = 2, /* has left because the pool is closing */
};

typedef struct mp_seat {
    /* nursery */
    _Atomic uint32_t incarnation; /* 0: empty */
    _Atomic int32_t pid;
    _Atomic uint32_t paused;
    /* the worker, and the nursery before its birth */
    _Alignas(64) _Atomic uint32_t phase;
    _Atomic uint32_t held;       /* rows[] that are valid */
    _Atomic uint32_t begun;      /* which of them */
    _Atomic uint64_t begun_item; /* index within its call of the item last begun */
    _Atomic uint64_t call;       /* where the block of that call lies in the task memory */
    _Atomic int64_t kill_at;     /* when a timer kills it (mp_now's clock), 0: never */
    mp_claim_note note;
    _Atomic uint64_t items; /* items begun in its life */
    /* Of all workers of this seat. */
    _Atomic uint64_t claims;
    _Atomic int64_t busy;       /* nanoseconds of work */
    _Atomic int64_t busy_since; /* mp_now's clock, 0: idle */
    _Atomic uint32_t kind;      /* of the work measured last */
    _Atomic uint32_t item_cost; /* its cost, in nanoseconds an item */
    uint64_t rows[MP_HOLD_MAX];
    /* host: an item to be stopped, by its row and its index within its call */
    _Atomic uint64_t stop_row, stop_index;
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
    uint64_t begun_item; /* index within its call; held 0: meaningless */
    bool overdue;        /* killed since that item ran too long */
    uint64_t rows[MP_HOLD_MAX];
} mp_death;

typedef struct mp_control {
    char magic[8];     /* "moonpool" */
    uint32_t version;  /* MP_CONTROL_VERSION */
    uint32_t seats;    /* how many mp_seat lie at seats_at; set once */
    uint64_t seats_at; /* offsets of the parts */
    uint64_t deaths_at;
    uint64_t slots_at;
    int32_t host_pid;
    /* host */
    _Alignas(64) _Atomic int32_t wanted; /* as mp_nursery_ops.wanted */
    _Atomic uint32_t closing;            /* workers retire when nothing is READY */
    _Atomic uint64_t deaths_read;
    /* nursery */
    _Alignas(64) _Atomic uint64_t deaths_written;
    _Atomic int32_t trouble_code;
    _Atomic uint32_t trouble_failures;
    _Atomic int32_t trouble_status;
    _Atomic uint32_t trouble; /* counts what the three above have told */
    mp_bell_shared bell;
    mp_task_ring_shared ring;
    mp_robust output; /* whoever writes lines */
    /* One bit a seat. The worker sets and clears its own; its death clears both. */
    _Alignas(64) _Atomic uint64_t sleeping[MP_SEATS_MAX / 64];
    _Alignas(64) _Atomic uint64_t looking[MP_SEATS_MAX / 64];
} mp_control;

/* One process's view of the segment and the bell. */
typedef struct mp_segment {
    mp_region region;
    mp_control *control;
    mp_seat *seats;
    mp_death *deaths;
    mp_task_ring ring;
    mp_bell bell;
} mp_segment;

/* Host: makes the segment for `seats` workers and its bell. */
int mp_segment_create(mp_segment *s, unsigned seats, mp_error *error);
void mp_segment_destroy(mp_segment *s);

/* Anybody, after publishing or when one that was called may not come: wakes a
 * sleeper if more granules wait than workers look for them. */
void mp_segment_rouse(mp_segment *s);

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
