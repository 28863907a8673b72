/* Book-keeping of result extents: see spill.h. */
#include "shm/spill.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { ALIGN = 64, FIRST_ROOM = 16 };

static uint64_t align(uint64_t n)
{
    return (n + ALIGN - 1) & ~(uint64_t)(ALIGN - 1);
}

static mp_extent *extent_at(const mp_spill *s, unsigned i)
{
    return &s->extents[(s->first + i) & (s->room - 1)];
}

static void start_over(mp_spill *s)
{
    s->at = s->base;
    s->stop = s->limit;
}

void mp_spill_init(mp_spill *s, uint64_t base, uint64_t limit)
{
    *s = (mp_spill){.base = align(base), .limit = limit};
    start_over(s);
}

void mp_spill_destroy(mp_spill *s)
{
    mp_free(s->extents);
    *s = (mp_spill){0};
}

static int make_room(mp_spill *s)
{
    if (s->count < s->room)
        return 0;
    unsigned room = s->room != 0 ? s->room * 2 : FIRST_ROOM;
    mp_extent *extents = mp_malloc(room * sizeof *extents);
    if (extents == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < s->count; i++)
        extents[i] = *extent_at(s, i);
    mp_free(s->extents);
    s->extents = extents;
    s->first = 0;
    s->room = room;
    return 0;
}

static bool run_has(const mp_spill *s, uint64_t size)
{
    return s->stop >= s->at && s->stop - s->at >= size;
}

/* Tries the present run as long as it is by now, if that needs no more memory
 * than there is; then the space before all extents; then, with more memory, the
 * present run again, or what lies behind all. */
static bool find_run(mp_spill *s, uint64_t size, uint64_t allocated)
{
    uint64_t lowest = s->limit, highest = s->base, next = s->limit;
    for (unsigned i = 0; i < s->count; i++) {
        const mp_extent *e = extent_at(s, i);
        if (e->offset < lowest)
            lowest = e->offset;
        if (e->offset + e->size > highest)
            highest = e->offset + e->size;
        if (e->offset >= s->at && e->offset < next)
            next = e->offset;
    }
    s->stop = next;
    if (run_has(s, size) && s->at + size <= allocated)
        return true;
    if (lowest - s->base >= size && s->at > lowest) {
        s->at = s->base;
        s->stop = lowest;
    } else if (!run_has(s, size)) {
        s->at = align(highest);
        s->stop = s->limit;
    }
    return run_has(s, size);
}

int mp_spill_find(mp_spill *s, uint64_t size, uint64_t allocated)
{
    if (make_room(s) < 0)
        return -ENOMEM;
    if (run_has(s, size) && s->at + size <= allocated)
        return 0;
    return find_run(s, size, allocated) ? 0 : -ENOMEM;
}

int mp_spill_take(mp_spill *s, uint64_t offset, uint64_t size, uint64_t end)
{
    if (make_room(s) < 0)
        return -ENOMEM;
    *extent_at(s, s->count++) = (mp_extent){.offset = offset, .size = size, .end = end};
    s->used += size;
    if (offset >= s->at && offset < s->stop)
        s->at = align(offset + size);
    return 0;
}

void mp_spill_reclaim(mp_spill *s, uint64_t position)
{
    while (s->count > 0 && (int64_t)(position - extent_at(s, 0)->end) >= 0) {
        s->used -= extent_at(s, 0)->size;
        s->first = (s->first + 1) & (s->room - 1);
        s->count--;
    }
    if (s->count == 0)
        start_over(s);
}
