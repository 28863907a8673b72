/* The result ring as the worker sees it: see result_ring.h and result_frame.h.
 *
 * Nothing that is written here can be seen before finish() stores the tail; so
 * the only states that a kill leaves behind are the ones before and after it.
 * Memory is kept allocated for SPARE bytes behind every published frame, where
 * it can be had: a gap's word and a failure's frame fit there. */
#include "shm/result_ring.h"

#include "base/failpoint.h"
#include "shm/result_frame.h"
#include "shm/wake.h"

#include <errno.h>

enum {
    /* A small frame, and the gap that it may need before it, with room to spare. */
    SPARE = MP_RESULT_RESERVE + 64,
    OPEN_ROOM = 64,  /* a place for a frame of unknown size has at least this, if possible */
    WARM = 16 << 10, /* an emptied ring starts again when it has come this far */
    STEP = 4 << 10,  /* and looks whether it is empty each time it has come this much further */
    RING_PART = 4,   /* a frame above this part of the ring goes to the spill, so that the ring
                        is not blocked by the gap that it may need */
    SPILL_LIMIT = 64 << 20,
    FILLING_PART = 8, /* of the ring: what unread results may be before the host is to hear */
};

enum { NOTHING, IN_RING, IN_SPILL };

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t index_of(const mp_result_writer *w, uint64_t position)
{
    return position & (w->capacity - 1);
}

static unsigned char *ring_at(const mp_result_writer *w, uint64_t position)
{
    return w->region->base + MP_RING_AT + index_of(w, position);
}

/* Looks how far the host has read. */
static void refresh(mp_result_writer *w)
{
    uint64_t head = mp_load_acquire(&w->shared->head);
    if ((int64_t)(head - w->floor) > 0)
        w->floor = head;
    mp_spill_reclaim(&w->spill, head);
}

/* Contiguous free bytes at a position, but `spare`. */
static uint64_t room_at(const mp_result_writer *w, uint64_t position, uint64_t spare)
{
    uint64_t used = position - w->floor + spare;
    return used >= w->capacity ? 0
                               : smaller(w->capacity - used, w->capacity - index_of(w, position));
}

static bool is_empty(const mp_result_writer *w)
{
    return w->floor == w->tail;
}

static void restart(mp_result_writer *w)
{
    if (index_of(w, w->tail) != 0)
        w->tail = w->floor = w->sure = mp_ring_restart(w->tail, w->capacity);
}

static bool place_as_known(mp_result_writer *w, uint64_t need, uint64_t spare)
{
    if (room_at(w, w->tail, spare) < need && is_empty(w))
        restart(w);
    w->open_at = w->tail;
    if (room_at(w, w->open_at, spare) >= need)
        return true;
    w->open_at = (w->tail + w->capacity) & ~(w->capacity - 1);
    return room_at(w, w->open_at, spare) >= need;
}

/* Learns how far from the tail on the next frames need not be placed. */
static void look_ahead(mp_result_writer *w)
{
    uint64_t index = index_of(w, w->tail), room = room_at(w, w->tail, SPARE);
    uint64_t end = w->region->size - MP_RING_AT;
    if (end < w->capacity)
        room = index + SPARE < end ? smaller(room, end - index - SPARE) : 0;
    w->sure = w->tail + smaller(room, STEP - index % STEP);
}

/* Chooses where a frame of `need` bytes goes. False when the host must read first. */
static bool place(mp_result_writer *w, uint64_t need, uint64_t spare)
{
    if (index_of(w, w->tail) >= WARM) {
        refresh(w);
        if (is_empty(w))
            restart(w);
    }
    bool placed = place_as_known(w, need, spare);
    if (!placed) {
        refresh(w);
        placed = place_as_known(w, need, spare);
    }
    look_ahead(w);
    return placed;
}

static int ensure(mp_result_writer *w, uint64_t upto)
{
    if (upto <= w->region->size)
        return 0;
    if (MP_FAILPOINT_ERROR("result.grow"))
        return -ENOMEM;
    int status = mp_region_grow(w->region, upto, NULL);
    mp_store_relaxed(&w->shared->allocated, w->region->size);
    return status;
}

/* Allocates `bytes` at the place that was chosen, as far as the ring goes. */
static int ensure_ring(mp_result_writer *w, uint64_t bytes)
{
    return ensure(w, MP_RING_AT + smaller(index_of(w, w->open_at) + bytes, w->capacity));
}

/* Where no more memory is to be had, an emptied ring still has its beginning. */
static bool retreat(mp_result_writer *w)
{
    refresh(w);
    if (!is_empty(w))
        return false;
    restart(w);
    w->open_at = w->tail;
    return true;
}

static void lend_ring(mp_result_writer *w)
{
    uint64_t room = room_at(w, w->open_at, SPARE);
    uint64_t index = index_of(w, w->open_at);
    uint64_t allocated = w->region->size - MP_RING_AT;
    if (allocated < w->capacity)
        room = smaller(room, allocated - SPARE - index);
    w->out.data = ring_at(w, w->open_at) + MP_FRAME_WORD;
    w->out.cap = room - MP_FRAME_WORD;
    w->open_where = IN_RING;
}

/* Makes room for `need` bytes in the ring, there or at its beginning. */
static bool grow_in_ring(mp_result_writer *w, uint64_t need)
{
    const unsigned char *old = w->out.data;
    uint64_t total = mp_frame_taken(need);
    if (total > w->capacity / RING_PART)
        return false;
    if (room_at(w, w->open_at, SPARE) < total && !place(w, total, SPARE))
        return false;
    if (ensure_ring(w, total + SPARE) < 0)
        return false;
    lend_ring(w);
    if (w->out.data != old)
        memmove(w->out.data, old, w->out.len);
    return true;
}

static bool over_limit(const mp_result_writer *w, uint64_t need)
{
    return w->spill.count > 0 && w->spill.used + need > w->spill_limit;
}

static void lend_spill(mp_result_writer *w)
{
    unsigned char *data = w->region->base + w->spill.at;
    if (data != w->out.data)
        memmove(data, w->out.data, w->out.len);
    w->out.data = data;
    w->out.cap = smaller(w->spill.stop, w->region->size) - w->spill.at;
    w->open_where = IN_SPILL;
    MP_FAILPOINT("spill.write");
}

static int grow_in_spill(mp_result_writer *w, uint64_t need)
{
    if (w->open_where == IN_RING || over_limit(w, need))
        refresh(w);
    if (over_limit(w, need))
        return -EAGAIN;
    int status = 0;
    if (w->open_where == IN_RING) {
        MP_FAILPOINT("result.write");
        status =
            place(w, MP_FRAME_RECORD, SPARE) ? ensure_ring(w, MP_FRAME_RECORD + SPARE) : -EAGAIN;
    }
    if (status == 0)
        status = mp_spill_find(&w->spill, need, w->region->size);
    if (status == 0)
        status = ensure(w, w->spill.at + need);
    if (status == 0)
        lend_spill(w);
    return status;
}

int mp_result_grow(mp_result_writer *w, size_t more)
{
    if (more > w->region->reserved)
        return -ENOMEM;
    uint64_t need = w->out.len + more, tail = w->tail, floor = w->floor, at = w->open_at;
    if (w->open_where == IN_RING && grow_in_ring(w, need))
        return 0;
    int status = grow_in_spill(w, need);
    if (status < 0) {
        /* What is written stays where it is, so the place stays too. */
        w->tail = w->sure = tail;
        w->floor = floor;
        w->open_at = at;
    }
    return status;
}

static int grow_open(mp_buffer *b, size_t more)
{
    return mp_result_grow(b->lender, more);
}

/* Learns which extents the unread frames of a predecessor hold. */
static int take_over_unread(mp_result_writer *w)
{
    uint64_t at = w->floor;
    while (at != w->tail) {
        mp_frame frame;
        if (!mp_frame_find(w->region, at, w->tail, w->capacity, &frame))
            return -EBADMSG;
        if (frame.spilled && mp_spill_take(&w->spill, frame.offset, frame.size, frame.next) < 0)
            return -ENOMEM;
        at = frame.next;
    }
    return 0;
}

int mp_result_writer_init(mp_result_writer *w, mp_region *region, mp_error *error)
{
    mp_result_shared *shared = (mp_result_shared *)(void *)region->base;
    *w = (mp_result_writer){.region = region,
                            .shared = shared,
                            .spill_limit = SPILL_LIMIT,
                            .capacity = shared->capacity,
                            .out = {.grow = grow_open, .lender = w}};
    int status = mp_region_take_over(region, error);
    if (status < 0)
        return status;
    mp_store_relaxed(&shared->allocated, region->size);
    mp_store_relaxed(&shared->writer_waits, 0);
    w->tail = w->sure = mp_load_acquire(&shared->tail);
    w->floor = mp_ring_unread(mp_load_acquire(&shared->head), w->tail, w->capacity);
    mp_spill_init(&w->spill, MP_RING_AT + w->capacity, region->reserved);
    status = take_over_unread(w);
    if (status == 0)
        return 0;
    mp_spill_destroy(&w->spill);
    return mp_fail(error, status, "unread results of a predecessor");
}

void mp_result_writer_destroy(mp_result_writer *w)
{
    mp_spill_destroy(&w->spill);
    w->open_where = NOTHING;
}

static mp_buffer *open_slowly(mp_result_writer *w, size_t least)
{
    uint64_t wish = least < OPEN_ROOM ? OPEN_ROOM : mp_frame_taken(least);
    if (wish > w->capacity / RING_PART)
        wish = MP_FRAME_RECORD;
    if (!place(w, wish, SPARE) && !place(w, MP_FRAME_RECORD, SPARE))
        return NULL;
    if (ensure_ring(w, MP_FRAME_RECORD + SPARE) < 0 && !retreat(w))
        return NULL;
    lend_ring(w);
    if (w->out.cap < least && mp_result_grow(w, least) == -EAGAIN) {
        w->open_where = NOTHING;
        return NULL;
    }
    return &w->out;
}

mp_buffer *mp_result_open(mp_result_writer *w, size_t least)
{
    w->open_where = NOTHING;
    w->out.len = 0;
    uint64_t room = w->sure - w->tail;
    if (room < OPEN_ROOM || room - OPEN_ROOM < least)
        return open_slowly(w, least);
    w->open_at = w->tail;
    w->out.data = ring_at(w, w->tail) + MP_FRAME_WORD;
    w->out.cap = room - MP_FRAME_WORD;
    w->open_where = IN_RING;
    return &w->out;
}

static void put_word(mp_result_writer *w, uint64_t position, unsigned kind, uint64_t length)
{
    uint32_t word = mp_frame_word(kind, (uint32_t)length);
    memcpy(ring_at(w, position), &word, MP_FRAME_WORD);
}

/* The frame of `taken` bytes at open_at is written: publishes it. */
static void finish(mp_result_writer *w, uint64_t taken)
{
    if (w->open_at != w->tail)
        put_word(w, w->tail, 0, MP_FRAME_GAP);
    w->tail = w->open_at + taken;
    if ((int64_t)(w->sure - w->tail) < 0)
        w->sure = w->tail;
    w->open_where = NOTHING;
    MP_FAILPOINT("result.write");
    mp_store_release(&w->shared->tail, w->tail);
    MP_FAILPOINT("result.published");
}

static void put_record(mp_result_writer *w)
{
    uint64_t offset = (uint64_t)(w->out.data - w->region->base), size = w->out.len;
    unsigned char *record = ring_at(w, w->open_at) + MP_FRAME_WORD;
    memcpy(record, &offset, 8);
    memcpy(record + 8, &size, 8);
    mp_spill_take(&w->spill, offset, size, w->open_at + MP_FRAME_RECORD);
}

void mp_result_publish(mp_result_writer *w, unsigned kind)
{
    bool spilled = w->open_where == IN_SPILL;
    put_word(w, w->open_at, kind, spilled ? MP_FRAME_SPILLED : w->out.len);
    if (spilled)
        put_record(w);
    finish(w, spilled ? MP_FRAME_RECORD : mp_frame_taken(w->out.len));
}

void mp_result_discard(mp_result_writer *w)
{
    w->open_where = NOTHING;
}

/* Places a small frame, in memory that is there; the word behind it is for a gap. */
static bool place_small(mp_result_writer *w, uint64_t taken)
{
    return place(w, taken, 0) && (ensure_ring(w, taken + MP_FRAME_WORD) == 0 || retreat(w));
}

bool mp_result_publish_small(mp_result_writer *w, unsigned kind, const void *bytes, size_t size)
{
    uint64_t taken = mp_frame_taken(size);
    w->open_where = NOTHING;
    if (size > MP_RESULT_RESERVE / 2)
        return false;
    w->open_at = w->tail;
    if (w->sure - w->tail < taken && !place_small(w, taken))
        return false;
    put_word(w, w->open_at, kind, size);
    if (size > 0)
        memcpy(ring_at(w, w->open_at) + MP_FRAME_WORD, bytes, size);
    finish(w, taken);
    return true;
}

void mp_result_will_wait(mp_result_writer *w)
{
    mp_store_relaxed(&w->shared->writer_waits, 1);
    mp_fence();
}

void mp_result_wait(mp_result_writer *w, uint64_t seen_head)
{
    mp_result_will_wait(w);
    if (mp_load_acquire(&w->shared->head) == seen_head)
        mp_futex_wait(&w->shared->writer_waits, 1, NULL);
    mp_store_relaxed(&w->shared->writer_waits, 0);
}

static bool is_filling(const mp_result_writer *w)
{
    return w->tail - w->floor > w->capacity / FILLING_PART || w->spill.used > w->spill_limit / 2;
}

bool mp_result_filling(mp_result_writer *w)
{
    if (!is_filling(w))
        return false;
    refresh(w);
    return is_filling(w);
}

void mp_result_trim(mp_result_writer *w, size_t keep)
{
    refresh(w);
    uint64_t kept = keep < MP_RING_AT + MP_RING_FIRST ? MP_RING_AT + MP_RING_FIRST : keep;
    if (!is_empty(w) || w->open_where != NOTHING || kept >= w->region->size)
        return;
    mp_store_relaxed(&w->shared->allocated, kept);
    w->sure = w->tail;
    mp_region_shrink(w->region, kept);
    mp_store_relaxed(&w->shared->allocated, w->region->size);
}
