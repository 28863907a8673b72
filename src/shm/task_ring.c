/* One producer, many consumers, claims by compare-and-swap: see task_ring.h.
 *
 * What makes it safe, word by word:
 * - A word leaves READY(p) once, by a compare-and-swap that either the host or
 *   one worker wins, and never comes back to it. So "not READY(p)", seen for a
 *   published p, stays true, and the head may be moved over p by whoever saw it.
 * - The granule is written while the word is FREE and read while it is CLAIMED,
 *   with a release and an acquire of the word on either side.
 * - The host moves the head itself only when head == tail: then nobody else can,
 *   as others move it up to positions below the tail only. It does so before it
 *   publishes the tail: who sees the new tail sees the new head.
 * - The words hold 32 bits of the position. A claimer that slept while 2^32
 *   positions passed may mistake a READY word for the one it read about; it then
 *   claims the granule that lies there now, which is as good. The host, which
 *   may ask about a position after any time, keeps whole ones. */
#include "shm/task_ring.h"

#include "base/failpoint.h"

#include <errno.h>

enum { FREE = 0, READY = 1, CLAIMED = 2, STATE_MASK = 3 };

enum { AT_ODDS = 2 }; /* so many rings apart, head and tail are damaged */

static uint64_t ready(uint64_t position)
{
    return position << 32 | READY;
}

static uint64_t claimed(uint64_t position, uint32_t incarnation)
{
    return position << 32 | (uint64_t)incarnation << 2 | CLAIMED;
}

static uint32_t index_of(const mp_task_ring *ring, uint64_t position)
{
    return (uint32_t)position & (ring->capacity - 1);
}

static mp_task_slot *slot_at(const mp_task_ring *ring, uint64_t position)
{
    mp_task_slot *slots = (mp_task_slot *)(void *)(ring->region->base + ring->slots_at);
    return &slots[index_of(ring, position)];
}

static bool is_ready(const mp_task_ring *ring, uint64_t position)
{
    return mp_load_acquire(&slot_at(ring, position)->word) == ready(position);
}

static bool is_free(const mp_task_ring *ring, uint64_t position)
{
    return (mp_load_acquire(&slot_at(ring, position)->word) & STATE_MASK) == FREE;
}

/* Says that no position below `upto` is READY. */
static void advance_head(mp_task_ring_shared *shared, uint64_t upto)
{
    uint64_t head = mp_load_acquire(&shared->head);
    while (head < upto && !mp_cas_u64(&shared->head, head, upto))
        head = mp_load_acquire(&shared->head);
}

/* Host: what its region has room for. */
static uint32_t slots_there(const mp_task_ring *ring)
{
    if (ring->region->size < ring->slots_at)
        return 0;
    size_t there = (ring->region->size - ring->slots_at) / sizeof(mp_task_slot);
    return there < ring->capacity ? (uint32_t)there : ring->capacity;
}

/* Allocates the slots up to the one behind `position`. */
static int allocate(mp_task_ring *ring, uint64_t position, mp_error *error)
{
    uint64_t count = index_of(ring, position) + UINT64_C(2);
    if (count > ring->capacity)
        count = ring->capacity;
    if (count <= slots_there(ring))
        return 0;
    int status =
        mp_region_ensure(ring->region, ring->slots_at + count * sizeof(mp_task_slot), error);
    if (status < 0)
        return status;
    mp_store_relaxed(&ring->shared->allocated, slots_there(ring));
    return 0;
}

int mp_task_ring_create(mp_task_ring *ring, mp_task_ring_shared *shared, mp_region *region,
                        size_t slots_at, uint32_t capacity, mp_error *error)
{
    if (capacity < 2 || (capacity & (capacity - 1)) != 0 || slots_at % sizeof(mp_task_slot) != 0)
        return mp_fail(error, -EINVAL, "a task ring of %u slots at byte %zu", (unsigned)capacity,
                       slots_at);
    *ring = (mp_task_ring){
        .shared = shared, .region = region, .slots_at = slots_at, .capacity = capacity};
    mp_store_relaxed(&shared->slots, capacity);
    mp_store_relaxed(&shared->allocated, slots_there(ring));
    return allocate(ring, 0, error);
}

void mp_task_ring_attach(mp_task_ring *ring, mp_task_ring_shared *shared, mp_region *region,
                         size_t slots_at)
{
    *ring = (mp_task_ring){.shared = shared,
                           .region = region,
                           .slots_at = slots_at,
                           .capacity = mp_load_relaxed(&shared->slots)};
}

/* Where an empty ring goes on: at its first slot, or behind those there that a
 * worker has claimed and not yet released (it may be stopped for long). */
static uint64_t fresh_start(const mp_task_ring *ring, uint64_t tail)
{
    uint64_t first = (tail + ring->capacity - 1) & ~(uint64_t)(ring->capacity - 1);
    uint32_t there = slots_there(ring);
    for (uint32_t i = 0; i + 1 < there; i++) {
        if (is_free(ring, first + i))
            return first + i;
    }
    return tail;
}

/* The position to publish at. */
static uint64_t next_position(const mp_task_ring *ring)
{
    uint64_t tail = ring->tail;
    if (mp_load_acquire(&ring->shared->head) != tail)
        return tail;
    if (index_of(ring, tail) == 0 && is_free(ring, tail))
        return tail;
    return fresh_start(ring, tail);
}

int mp_task_ring_publish(mp_task_ring *ring, const mp_granule *granule, uint64_t *position,
                         mp_error *error)
{
    uint64_t at = next_position(ring);
    if (!is_free(ring, at))
        return -EAGAIN;
    int status = allocate(ring, at, error);
    if (status < 0)
        return status;
    mp_task_slot *slot = slot_at(ring, at);
    slot->granule = *granule;
    slot->position = at;
    if (at != ring->tail)
        mp_store_release(&ring->shared->head, at);
    mp_store_release(&slot->word, ready(at));
    ring->tail = at + 1;
    mp_store_release(&ring->shared->tail, ring->tail);
    *position = at;
    return 0;
}

/* The first READY position of [from, upto), else upto. */
static uint64_t find_ready(const mp_task_ring *ring, uint64_t from, uint64_t upto)
{
    while (from < upto && !is_ready(ring, from))
        from++;
    return from;
}

bool mp_task_ring_revoke(mp_task_ring *ring, uint64_t position)
{
    mp_task_slot *slot = slot_at(ring, position);
    if (slot->position != position || !mp_cas_u64(&slot->word, ready(position), FREE))
        return false;
    if (mp_load_acquire(&ring->shared->head) == position)
        advance_head(ring->shared, find_ready(ring, position + 1, ring->tail));
    return true;
}

/* Claims the READY run at `from`; 0 if another was faster. */
static unsigned claim_run(const mp_task_ring *ring, uint64_t from, uint64_t upto,
                          uint32_t incarnation, mp_granule out[], uint64_t positions[])
{
    unsigned n = 0;
    for (uint64_t p = from; p < upto; p++, n++) {
        mp_task_slot *slot = slot_at(ring, p);
        if (!mp_cas_u64(&slot->word, ready(p), claimed(p, incarnation)))
            break;
        MP_FAILPOINT("claim.after");
        out[n] = slot->granule;
        positions[n] = p;
    }
    return n;
}

unsigned mp_task_ring_claim(mp_task_ring *ring, mp_claim_note *note, uint32_t incarnation,
                            unsigned max, mp_granule out[], uint64_t positions[])
{
    mp_task_ring_shared *shared = ring->shared;
    for (;;) {
        uint64_t head = mp_load_acquire(&shared->head);
        uint64_t tail = mp_load_acquire(&shared->tail);
        if (head >= tail)
            return 0;
        uint64_t from = head;
        if (!is_ready(ring, from)) {
            if (mp_load_acquire(&shared->head) != head)
                continue;
            if (tail - head > AT_ODDS * (uint64_t)ring->capacity)
                return 0;
            from = find_ready(ring, head + 1, tail);
        }
        unsigned n = 0;
        if (from < tail) {
            mp_store_release(&note->from, from);
            MP_FAILPOINT("claim.before");
            n = claim_run(ring, from, tail - from < max ? tail : from + max, incarnation, out,
                          positions);
        }
        advance_head(shared, from + n);
        if (n > 0)
            return n;
    }
}

void mp_task_ring_release(mp_task_ring *ring, uint64_t position)
{
    mp_store_release(&slot_at(ring, position)->word, FREE);
}

/* The slots that the worker holds, at most MP_HOLD_MAX, in ring order. */
static unsigned held_slots(const mp_task_ring *ring, const mp_claim_note *note,
                           uint32_t incarnation, mp_task_slot *slots[])
{
    uint64_t from = mp_load_acquire(&note->from);
    uint32_t allocated = mp_load_acquire(&ring->shared->allocated);
    unsigned n = 0;
    for (uint64_t p = from; p < from + MP_HOLD_MAX; p++) {
        if (index_of(ring, p) >= allocated)
            continue;
        mp_task_slot *slot = slot_at(ring, p);
        if (mp_load_acquire(&slot->word) == claimed(p, incarnation))
            slots[n++] = slot;
    }
    return n;
}

unsigned mp_task_ring_claimed_by(const mp_task_ring *ring, const mp_claim_note *note,
                                 uint32_t incarnation, mp_granule out[])
{
    mp_task_slot *slots[MP_HOLD_MAX];
    unsigned n = held_slots(ring, note, incarnation, slots);
    for (unsigned i = 0; i < n; i++)
        out[i] = slots[i]->granule;
    return n;
}

unsigned mp_task_ring_sweep(mp_task_ring *ring, const mp_claim_note *note, uint32_t incarnation)
{
    mp_task_slot *slots[MP_HOLD_MAX];
    unsigned n = held_slots(ring, note, incarnation, slots);
    for (unsigned i = 0; i < n; i++)
        mp_store_release(&slots[i]->word, FREE);
    return n;
}

void mp_task_ring_reset(mp_task_ring *ring)
{
    uint32_t there = slots_there(ring);
    for (uint32_t i = 0; i < there; i++)
        mp_store_relaxed(&slot_at(ring, i)->word, FREE);
    mp_store_relaxed(&ring->shared->allocated, there);
    ring->tail = 0;
    mp_store_relaxed(&ring->shared->head, 0);
    mp_store_release(&ring->shared->tail, 0);
}

uint64_t mp_task_ring_waiting(const mp_task_ring *ring)
{
    uint64_t head = mp_load_acquire(&ring->shared->head);
    uint64_t tail = mp_load_acquire(&ring->shared->tail);
    return tail > head ? tail - head : 0;
}
