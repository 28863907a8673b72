/* The result ring as the host sees it: see result_ring.h and result_frame.h. */
#include "shm/result_ring.h"

#include "shm/result_frame.h"
#include "shm/wake.h"

#include <errno.h>
#include <string.h>

enum { GIVE_BACK_PART = 16 }; /* of the ring: what the host may have read and not given back */

#define RESERVE ((size_t)64 << 30)

int mp_result_create(mp_region *region, const char *name, size_t capacity, mp_error *error)
{
    if (capacity < MP_RESULT_CAPACITY_MIN || capacity > MP_RESULT_CAPACITY_MAX ||
        (capacity & (capacity - 1)) != 0)
        return mp_fail(error, -EINVAL, "a result ring of %zu bytes", capacity);
    int status = mp_region_create(region, name, RESERVE, MP_RING_AT + 2 * capacity,
                                  MP_RING_AT + MP_RING_FIRST, error);
    if (status < 0)
        return status;
    mp_result_shared *shared = (mp_result_shared *)(void *)region->base;
    shared->capacity = (uint32_t)capacity;
    mp_store_relaxed(&shared->allocated, region->size);
    return 0;
}

static bool find_bytes(const mp_region *region, uint64_t capacity, uint64_t index, uint64_t taken,
                       uint64_t allocated, mp_frame *frame)
{
    const unsigned char *record = region->base + MP_RING_AT + index + MP_FRAME_WORD;
    if (taken > capacity - index || MP_RING_AT + index + taken > allocated)
        return false;
    if (!frame->spilled) {
        frame->offset = MP_RING_AT + index + MP_FRAME_WORD;
        return true;
    }
    memcpy(&frame->offset, record, 8);
    memcpy(&frame->size, record + 8, 8);
    return frame->offset >= MP_RING_AT + capacity && frame->offset <= allocated &&
           frame->size <= allocated - frame->offset;
}

bool mp_frame_find(const mp_region *region, uint64_t at, uint64_t tail, uint64_t capacity,
                   mp_frame *frame)
{
    const mp_result_shared *shared = (const mp_result_shared *)(const void *)region->base;
    uint64_t allocated = mp_load_relaxed(&shared->allocated);
    if (allocated > region->reserved)
        allocated = region->reserved;
    uint32_t word = (uint32_t)MP_FRAME_GAP << 8;
    uint64_t index = 0;
    for (int gaps = 0; word >> 8 == MP_FRAME_GAP; gaps++) {
        index = at & (capacity - 1);
        if (gaps > 1 || tail - at > capacity || tail == at || ((tail | at) & 3) != 0 ||
            MP_RING_AT + index + MP_FRAME_WORD > allocated)
            return false;
        memcpy(&word, region->base + MP_RING_AT + index, MP_FRAME_WORD);
        if (!mp_frame_word_holds(word))
            return false;
        if (word >> 8 == MP_FRAME_GAP)
            at += capacity - index;
    }
    frame->kind = mp_frame_kind_of(word);
    frame->size = word >> 8;
    frame->spilled = frame->size == MP_FRAME_SPILLED;
    uint64_t taken = frame->spilled ? MP_FRAME_RECORD : mp_frame_taken(frame->size);
    frame->next = at + taken;
    return taken <= tail - at && find_bytes(region, capacity, index, taken, allocated, frame);
}

void mp_result_reader_init(mp_result_reader *r, mp_region *region)
{
    mp_result_shared *shared = (mp_result_shared *)(void *)region->base;
    uint64_t head = mp_load_relaxed(&shared->head);
    *r = (mp_result_reader){.region = region,
                            .shared = shared,
                            .capacity = shared->capacity,
                            .at = head,
                            .next = head,
                            .seen = head,
                            .sure = head,
                            .given = head};
}

void mp_result_reset(mp_result_reader *r)
{
    r->shared->capacity = (uint32_t)r->capacity;
    mp_store_relaxed(&r->shared->head, 0);
    mp_store_release(&r->shared->tail, 0);
    mp_result_reader_init(r, r->region);
}

/* Publishes the reading mark, and wakes a writer that waits for it. */
static void give_back(mp_result_reader *r)
{
    if (r->given == r->at)
        return;
    r->given = r->at;
    mp_store_release(&r->shared->head, r->at);
    mp_fence();
    if (mp_load_relaxed(&r->shared->writer_waits) != 0 &&
        mp_exchange(&r->shared->writer_waits, 0) != 0)
        mp_futex_wake(&r->shared->writer_waits, 1);
}

/* What lies in one piece, allocated and published, from a position on. */
static void look_ahead(mp_result_reader *r, uint64_t from)
{
    uint64_t index = from & (r->capacity - 1);
    uint64_t end = MP_RING_AT + r->capacity, allocated = mp_load_relaxed(&r->shared->allocated);
    if (end > allocated)
        end = allocated;
    uint64_t there = end > MP_RING_AT + index ? end - MP_RING_AT - index : 0;
    uint64_t left = r->seen - from;
    if (left > r->capacity || (r->seen & 3) != 0)
        left = 0;
    r->sure = from + (left < there ? left : there);
}

static bool look_for_more(mp_result_reader *r)
{
    r->seen = mp_load_acquire(&r->shared->tail);
    if (r->seen == r->at) {
        give_back(r);
        return false;
    }
    r->at = mp_ring_unread(r->at, r->seen, r->capacity);
    look_ahead(r, r->at);
    return true;
}

static bool peek_slowly(mp_result_reader *r, mp_result_frame *frame)
{
    mp_frame found;
    r->at_once = true;
    if (mp_frame_find(r->region, r->at, r->seen, r->capacity, &found)) {
        r->next = found.next;
        r->at_once = found.spilled;
        *frame = (mp_result_frame){found.kind, r->region->base + found.offset, found.size};
    } else {
        r->next = r->seen;
        *frame = (mp_result_frame){.kind = MP_RESULT_DAMAGED};
    }
    look_ahead(r, r->next);
    return true;
}

/* The frame whose word lies at `at`, of `left` bytes there; false where it is no plain one. */
static bool read_frame(const unsigned char *at, uint64_t left, mp_result_frame *frame)
{
    uint32_t word;
    if (left < MP_FRAME_WORD)
        return false;
    memcpy(&word, at, MP_FRAME_WORD);
    uint64_t size = word >> 8;
    *frame = (mp_result_frame){mp_frame_kind_of(word), at + MP_FRAME_WORD, size};
    return size < MP_FRAME_GAP && mp_frame_taken(size) <= left && mp_frame_word_holds(word);
}

bool mp_result_peek(mp_result_reader *r, mp_result_frame *frame)
{
    if (r->at == r->seen && !look_for_more(r))
        return false;
    const unsigned char *at = r->region->base + MP_RING_AT + (r->at & (r->capacity - 1));
    if (!read_frame(at, r->sure - r->at, frame))
        return peek_slowly(r, frame);
    r->next = r->at + mp_frame_taken(frame->size);
    r->at_once = false;
    return true;
}

unsigned mp_result_ahead(const mp_result_reader *r, unsigned kind, mp_result_frame frames[],
                         unsigned max)
{
    if (r->at_once || r->next == r->at)
        return 0;
    const unsigned char *at = r->region->base + MP_RING_AT + (r->next & (r->capacity - 1));
    uint64_t left = r->sure - r->next;
    unsigned n = 0;
    for (; n < max && read_frame(at, left, &frames[n]) && frames[n].kind == kind; n++) {
        uint64_t taken = mp_frame_taken(frames[n].size);
        at += taken;
        left -= taken;
    }
    return n;
}

void mp_result_consume_upto(mp_result_reader *r, const mp_result_frame *last)
{
    const unsigned char *from = r->region->base + MP_RING_AT + (r->next & (r->capacity - 1));
    r->next += (uint64_t)(last->data - MP_FRAME_WORD - from) + mp_frame_taken(last->size);
    mp_result_consume(r);
}

void mp_result_consume(mp_result_reader *r)
{
    r->at = r->next;
    if (r->at_once || r->at - r->given >= r->capacity / GIVE_BACK_PART)
        give_back(r);
}

uint64_t mp_result_unread(const mp_result_reader *r)
{
    uint64_t tail = mp_load_acquire(&r->shared->tail);
    return tail - mp_ring_unread(r->at, tail, r->capacity);
}
