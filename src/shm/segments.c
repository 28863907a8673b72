/* Segments: see segments.h.
 *
 * Each step is ordered so that a death behind it leaves a chain that can be walked:
 * what is to come off is unlinked first, what is to come on is linked last, and a
 * segment that is neither in the chain nor among the spares is freed by the next one
 * that mends. */
#include "shm/segments.h"

#include <errno.h>
#include <string.h>

enum {
    SMALLEST = 4096,
    GROWN = 256 << 10, /* segments grow up to this */
    STEP = 64 << 10,   /* of a large message's segment */
    SPARES = 8,
    SPARE_MOST = 2 << 20, /* a larger one is given back at once */
};

static const mp_cell_name none = {UINT32_MAX, 0};

static mp_queue *queue_of(mp_cell_name name)
{
    return mp_cell_content(name);
}

mp_segment *mp_segment_at(uint32_t cell)
{
    return mp_cell_content((mp_cell_name){cell - 1, 0});
}

static size_t capacity_of(uint32_t cell)
{
    size_t bytes;
    mp_cell_extent((mp_cell_name){cell - 1, 0}, &bytes);
    return bytes;
}

mp_item *mp_item_at(uint32_t cell, uint64_t at)
{
    size_t bytes;
    unsigned char *base = mp_cell_extent((mp_cell_name){cell - 1, 0}, &bytes);
    return (mp_item *)(void *)(base + at);
}

uint64_t mp_item_room(size_t size)
{
    return sizeof(mp_item) + ((uint64_t)size + 7) / 8 * 8;
}

/* ---- making ---- */

static void empty(uint32_t cell)
{
    mp_segment *s = mp_segment_at(cell);
    mp_store_release(&s->end, 0);
    s->head = s->scan = 0;
    s->next = 0;
}

static int make(size_t bytes, mp_cell_name *name, mp_error *error)
{
    int status = mp_cell_create(name, error);
    if (status < 0)
        return status;
    status = mp_cell_extend(*name, bytes, error);
    if (status < 0)
        mp_cell_drop(*name);
    return status;
}

int mp_segment_prepare(mp_cell_name spare, const void *bytes, size_t size, mp_cell_name *made,
                       mp_error *error)
{
    *made = spare;
    if (size > SIZE_MAX / 2)
        return mp_fail(error, -ENOMEM, "a message of %zu bytes", size);
    int status =
        spare.index != UINT32_MAX
            ? 0
            : make(size < STEP ? mp_item_room(size) : (mp_item_room(size) + STEP - 1) / STEP * STEP,
                   made, error);
    if (status < 0)
        return status;
    empty(made->index + 1);
    mp_item *item = mp_item_at(made->index + 1, 0);
    *item = (mp_item){.size = size};
    memcpy(item + 1, bytes, size);
    mp_store_release(&mp_segment_at(made->index + 1)->end, mp_item_room(size));
    return 0;
}

/* ---- the spares ---- */

mp_cell_name mp_segment_reuse(mp_cell_name queue, size_t size)
{
    mp_queue *q = queue_of(queue);
    uint64_t room = mp_item_room(size);
    uint32_t *link = &q->spares;
    for (; *link != 0; link = &mp_segment_at(*link)->next)
        if (capacity_of(*link) >= room && capacity_of(*link) / 4 <= room + STEP)
            break;
    if (*link == 0)
        return none;
    uint32_t cell = *link;
    mp_cell_name name = mp_cell_now(cell - 1);
    *link = mp_segment_at(cell)->next;
    return mp_cell_take_back(name, queue) ? name : none;
}

static void put_aside(mp_cell_name queue, uint32_t cell)
{
    mp_queue *q = queue_of(queue);
    unsigned n = 0;
    for (uint32_t other = q->spares; other != 0; other = mp_segment_at(other)->next)
        n++;
    if (n >= SPARES || capacity_of(cell) > SPARE_MOST) {
        mp_cell_disown(mp_cell_now(cell - 1), queue);
        return;
    }
    mp_segment_at(cell)->next = q->spares;
    q->spares = cell;
}

/* ---- the chain ---- */

static void append(mp_queue *q, uint32_t cell)
{
    if (q->tail == 0)
        q->head = q->next = cell;
    else
        mp_segment_at(q->tail)->next = cell;
    q->tail = cell;
}

void mp_segment_link(mp_cell_name queue, mp_cell_name segment)
{
    mp_cell_give(segment, queue, true);
    append(queue_of(queue), segment.index + 1);
    mp_cell_drop(segment);
}

void mp_item_count(mp_queue *q, mp_item *item)
{
    item->number = mp_load_relaxed(&q->put) + 1;
    mp_store_release(&q->count, mp_load_relaxed(&q->count) + 1);
    mp_store_release(&q->put, item->number);
}

/* ---- beside the chain ---- */

void mp_segment_put_beside(mp_cell_name queue, mp_cell_name segment)
{
    mp_queue *q = queue_of(queue);
    mp_segment *s = mp_segment_at(segment.index + 1);
    mp_cell_give(segment, queue, true);
    do
        s->below = mp_load_acquire(&q->beside);
    while (!mp_cas_u32(&q->beside, s->below, segment.index + 1));
    mp_cell_drop(segment);
}

/* What lies from `cell` on is no longer beside. */
static void cut(mp_queue *q, uint32_t cell)
{
    if (mp_cas_u32(&q->beside, cell, 0))
        return;
    uint32_t above = mp_load_acquire(&q->beside);
    while (above != 0 && mp_segment_at(above)->below != cell)
        above = mp_segment_at(above)->below;
    if (above != 0)
        mp_segment_at(above)->below = 0;
}

void mp_segments_merge(mp_cell_name queue)
{
    mp_queue *q = queue_of(queue);
    uint32_t last = mp_load_acquire(&q->beside), first = 0;
    if (last == 0)
        return;
    for (uint32_t cell = last; cell != 0; cell = mp_segment_at(cell)->below) {
        mp_segment_at(cell)->next = first;
        first = cell;
    }
    for (uint32_t cell = first, next; cell != 0; cell = next) {
        next = mp_segment_at(cell)->next;
        append(q, cell);
        mp_item_count(q, mp_item_at(cell, 0));
    }
    cut(q, last);
}

int mp_segment_ensure(mp_cell_name queue, size_t size, mp_error *error)
{
    mp_queue *q = queue_of(queue);
    uint64_t room = mp_item_room(size);
    if (q->tail != 0 &&
        capacity_of(q->tail) - mp_load_relaxed(&mp_segment_at(q->tail)->end) >= room)
        return 0;
    size_t wanted = q->tail == 0 ? SMALLEST : capacity_of(q->tail) * 2;
    wanted = wanted > GROWN ? GROWN : wanted;
    mp_cell_name name = mp_segment_reuse(queue, size);
    if (name.index == UINT32_MAX) {
        int status = make(wanted < room ? room : wanted, &name, error);
        if (status < 0)
            return status;
    }
    empty(name.index + 1);
    mp_segment_link(queue, name);
    return 0;
}

static void pass_done(uint32_t cell)
{
    mp_segment *s = mp_segment_at(cell);
    uint64_t end = mp_load_acquire(&s->end);
    while (s->head < end) {
        mp_item *item = mp_item_at(cell, s->head);
        if (mp_load_acquire(&item->state) != MP_ITEM_DONE)
            break;
        s->head += mp_item_room(item->size);
    }
    if (s->scan < s->head)
        s->scan = s->head;
}

void mp_segments_reclaim(mp_cell_name queue)
{
    mp_queue *q = queue_of(queue);
    while (q->head != 0) {
        uint32_t cell = q->head;
        mp_segment *s = mp_segment_at(cell);
        pass_done(cell);
        if (s->head < mp_load_relaxed(&s->end))
            return;
        if (cell == q->tail && capacity_of(cell) <= SPARE_MOST) {
            empty(cell);
            return;
        }
        bool last = cell == q->tail;
        q->head = s->next;
        if (q->next == cell)
            q->next = s->next;
        if (last)
            q->tail = 0;
        put_aside(queue, cell);
    }
}

/* ---- after deaths ---- */

/* Of one segment, from its first message on: how many can be taken. */
static uint32_t revive(uint32_t cell, uint64_t from, uint32_t *revived, uint64_t *last)
{
    uint32_t there = 0;
    uint64_t end = mp_load_acquire(&mp_segment_at(cell)->end);
    for (uint64_t at = from; at < end; at += mp_item_room(mp_item_at(cell, at)->size)) {
        mp_item *item = mp_item_at(cell, at);
        uint32_t state = mp_load_acquire(&item->state);
        if (state != 0 && state != MP_ITEM_DONE && !mp_session_alive(state) &&
            mp_cas_u32(&item->state, state, 0)) {
            state = 0;
            ++*revived;
        }
        there += state == 0;
        if (item->number == 0)
            item->number = *last + 1;
        *last = item->number > *last ? item->number : *last;
    }
    return there;
}

uint32_t mp_segments_recover(mp_queue *q)
{
    uint32_t revived = 0;
    uint64_t last = 0;
    for (uint32_t cell = q->head; cell != 0; cell = mp_segment_at(cell)->next)
        revive(cell, mp_segment_at(cell)->head, &revived, &last);
    for (uint32_t cell = q->head; cell != 0 && revived > 0; cell = mp_segment_at(cell)->next)
        mp_segment_at(cell)->scan = mp_segment_at(cell)->head;
    if (revived > 0)
        q->next = q->head;
    return revived;
}

static void mark_reached(mp_cell_name queue)
{
    const mp_queue *q = queue_of(queue);
    mp_cell_name name = {0};
    while (mp_cell_next_part(queue, &name))
        mp_segment_at(name.index + 1)->reached = 0;
    for (uint32_t cell = q->head; cell != 0; cell = mp_segment_at(cell)->next)
        mp_segment_at(cell)->reached = 1;
    for (uint32_t cell = q->spares; cell != 0; cell = mp_segment_at(cell)->next)
        mp_segment_at(cell)->reached = 1;
}

/* One that a living process uses is about to be put beside. */
static void free_unreached(mp_cell_name queue)
{
    unsigned lost;
    mp_cell_name name = {0};
    mark_reached(queue);
    while (mp_cell_next_part(queue, &name))
        if (mp_segment_at(name.index + 1)->reached == 0 && mp_cell_users(name, &lost) == 0)
            mp_cell_disown(name, queue);
}

/* What came to the chain before the death is not beside any more. */
static void cut_merged(mp_cell_name queue)
{
    mp_queue *q = queue_of(queue);
    mark_reached(queue);
    uint32_t cell = mp_load_acquire(&q->beside);
    while (cell != 0 && mp_segment_at(cell)->reached == 0)
        cell = mp_segment_at(cell)->below;
    if (cell != 0)
        cut(q, cell);
}

void mp_segments_mend(mp_cell_name queue)
{
    mp_queue *q = queue_of(queue);
    uint32_t there = 0, revived = 0;
    uint64_t last = mp_load_relaxed(&q->put);
    q->tail = q->next = q->head;
    for (uint32_t cell = q->head; cell != 0; cell = mp_segment_at(cell)->next) {
        mp_segment_at(cell)->head = mp_segment_at(cell)->scan = 0;
        there += revive(cell, 0, &revived, &last);
        q->tail = cell;
    }
    mp_store_release(&q->put, last);
    mp_store_release(&q->count, there);
    cut_merged(queue);
    mp_segments_merge(queue);
    free_unreached(queue);
}
