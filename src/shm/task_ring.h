/* The ring that hands granules to workers: one producer (the host), many
 * consumers (the workers), claims by compare-and-swap.
 *
 * A granule is a run of consecutive items of one call. Each lies in a slot
 * whose claim word holds the low 32 bits of the ring position, a state and the
 * incarnation of the claiming worker, changed together by one
 * compare-and-swap: a worker may be killed between any two instructions and it
 * is still known what it held.
 *
 *   FREE --publish(host)--> READY(position) --claim(worker)--> CLAIMED(position, incarnation)
 *   CLAIMED --release(the worker, or the sweep after its death)--> FREE
 *   READY --revoke(host)--> FREE
 *
 * `head` is a hint with one invariant: no position below it is READY. Positions
 * grow for ever; a ring that runs empty goes on at its next multiple of the
 * capacity, so that little work touches little memory.
 *
 * The positions that are so left out were never published. Only a claimer whose
 * head is from before the jump can look at one of them, the one that was next;
 * so the slot of the next position is always allocated, and a claimer that finds
 * no READY word looks at the head again before it goes further. */
#ifndef MP_SHM_TASK_RING_H
#define MP_SHM_TASK_RING_H

#include "base/atomics.h"
#include "shm/region.h"

enum {
    MP_HOLD_MAX = 16,                   /* granules that a worker claims at once */
    MP_INCARNATION_MAX = (1 << 30) - 1, /* incarnations are 1..MAX */
};

/* What a slot carries. The ring does not look into it. */
typedef struct mp_granule {
    uint64_t row;     /* the host's ledger row */
    uint64_t first;   /* index of the first item within its call, from 1 */
    uint64_t payload; /* offset of the first item in the task memory */
    uint64_t call;    /* offset of the call's block in the task memory */
    uint32_t count;   /* items */
    uint32_t flags;
    uint64_t check; /* the host's, of the others */
} mp_granule;

typedef struct mp_task_slot {
    /* Host: FREE->READY->FREE; worker: READY->CLAIMED->FREE; nursery, after a
     * death: CLAIMED->FREE. One cache line a slot. */
    _Alignas(64) _Atomic uint64_t word;
    mp_granule granule; /* written by the host while FREE */
    uint64_t position;  /* written by the host with the granule, for itself:
                           the word has 32 bits of it only */
} mp_task_slot;

/* The shared head of the ring. */
typedef struct mp_task_ring_shared {
    _Alignas(64) _Atomic uint64_t tail;  /* written by the host: next position to publish */
    _Alignas(64) _Atomic uint64_t head;  /* advanced by anybody, see above */
    _Alignas(64) _Atomic uint32_t slots; /* capacity, a power of two; set once */
    _Atomic uint32_t allocated;          /* written by the host: slots that may be looked at */
} mp_task_ring_shared;

/* One process's view. The slots lie at the end of `region` (owned by the
 * caller, grown by the host as the ring is used), from byte `slots_at`. */
typedef struct mp_task_ring {
    mp_task_ring_shared *shared;
    mp_region *region;
    size_t slots_at;
    uint32_t capacity;
    uint64_t tail; /* the host's own */
} mp_task_ring;

/* Where a worker says what it is about to claim, in its shared record.
 * Written by the worker only; read by the nursery after its death. */
typedef struct mp_claim_note {
    _Atomic uint64_t from; /* positions [from, from + MP_HOLD_MAX) are the only
                              ones where a CLAIMED word of this worker can stand */
} mp_claim_note;

/* Lays out an empty ring of `capacity` slots (a power of two) whose shared head
 * is `shared` (zeroed) and whose slots start at byte `slots_at` (a multiple of
 * 64) of `region`, zeroed. Allocates the first slots only. Forked processes use
 * copies of *ring. */
int mp_task_ring_create(mp_task_ring *ring, mp_task_ring_shared *shared, mp_region *region,
                        size_t slots_at, uint32_t capacity, mp_error *error);

/* A worker's view of a ring that was laid out so. */
void mp_task_ring_attach(mp_task_ring *ring, mp_task_ring_shared *shared, mp_region *region,
                         size_t slots_at);

/* Host: publishes one granule. *position gets its ring position (for revoke).
 * Returns 0; -EAGAIN when the ring is full (or the slot that is next is still
 * CLAIMED), without filling *error; -ENOSPC/-ENOMEM/-EFBIG when the ring cannot
 * grow, which an empty ring never needs, so that waiting until it is empty
 * helps. Wakes nobody. */
int mp_task_ring_publish(mp_task_ring *ring, const mp_granule *granule, uint64_t *position,
                         mp_error *error);

/* Host: takes the granule at `position` back. True: nobody has claimed or will
 * claim it. False: it has been claimed. */
bool mp_task_ring_revoke(mp_task_ring *ring, uint64_t position);

/* Worker: claims up to `max` (1..MP_HOLD_MAX) consecutive granules, in ring
 * order, copied to out[]. positions[] gets where they lay, to be given to
 * mp_task_ring_release once the worker's record says that it holds them, and
 * before the next claim (the note tells of one claim only).
 * Returns their number, 0 when nothing is READY. Never blocks. */
unsigned mp_task_ring_claim(mp_task_ring *ring, mp_claim_note *note, uint32_t incarnation,
                            unsigned max, mp_granule out[], uint64_t positions[]);

/* Worker: gives the claimed slot back. */
void mp_task_ring_release(mp_task_ring *ring, uint64_t position);

/* After a worker's death: the granules of the slots that it had claimed and not
 * released, in ring order, copied to out[] (room for MP_HOLD_MAX). Returns their
 * number and changes nothing, so that whoever asks may die before it has noted them. */
unsigned mp_task_ring_claimed_by(const mp_task_ring *ring, const mp_claim_note *note,
                                 uint32_t incarnation, mp_granule out[]);

/* Behind that (nursery, or host when that is gone): frees those slots. Returns their number. */
unsigned mp_task_ring_sweep(mp_task_ring *ring, const mp_claim_note *note, uint32_t incarnation);

/* Host, while no worker can reach the ring: empties it, whatever damage has left of its words.
 * Granules that it holds are gone; revoke those that are wanted first. */
void mp_task_ring_reset(mp_task_ring *ring);

/* How many published granules nobody has claimed; a hint, never too small
 * while the ring is at rest. */
uint64_t mp_task_ring_waiting(const mp_task_ring *ring);

#endif
