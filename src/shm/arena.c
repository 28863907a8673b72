/* What cells have beside their content: pieces of a second memfd.
 *
 * Where the pieces lie say the cells alone: whoever looks for room collects the
 * extents of all that are taken, under a lock that a death sets free, and takes the
 * first gap. So nothing can be torn, and what a dead process has left goes with its
 * cell. An extent is given back to the system before its cell is free. */
#include "shm/session_inner.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>

enum { PAGE = 4096 };

static const int64_t patience = 5000000000; /* nanoseconds */

typedef struct extent {
    uint64_t at, upto;
} extent;

static int by_place(const void *a, const void *b)
{
    const extent *x = a, *y = b;
    return x->at < y->at ? -1 : x->at > y->at;
}

/* The extents of all cells that somebody uses, in malloc'ed memory; NULL where there is none. */
static extent *collect(uint32_t *n)
{
    uint32_t cells = mp_load_acquire(&mp_session_head()->cells);
    extent *all = mp_malloc((cells + 1) * sizeof *all);
    *n = 0;
    for (uint32_t i = 0; i < cells && all != NULL; i++) {
        const mp_cell *c = mp_cell_at(i);
        uint64_t size = mp_load_acquire(&c->extent_size);
        if (size == 0)
            continue;
        mp_cell_settle(i);
        if ((mp_load_acquire(&c->state) & MP_CELL_TAKEN) != 0)
            all[(*n)++] = (extent){c->extent_at, c->extent_at + size};
    }
    return all;
}

static int find_room(size_t bytes, uint64_t *at)
{
    uint32_t n;
    extent *all = collect(&n);
    if (all == NULL)
        return -ENOMEM;
    qsort(all, n, sizeof *all, by_place);
    *at = 0;
    for (uint32_t i = 0; i < n && all[i].at < *at + bytes; i++)
        *at = all[i].upto > *at ? all[i].upto : *at;
    mp_free(all);
    return 0;
}

static int place(mp_cell *c, size_t bytes, mp_error *error)
{
    uint64_t at;
    int status = find_room(bytes, &at);
    if (status < 0)
        return mp_fail(error, status, "no memory to look for room");
    status = mp_region_fill(&mp_session_own.arena, at, at + bytes, error);
    if (status < 0) {
        mp_region_punch(&mp_session_own.arena, at, at + bytes);
        return status;
    }
    c->extent_at = at;
    mp_store_release(&c->extent_size, bytes);
    return 0;
}

int mp_cell_extend(mp_cell_name name, size_t bytes, mp_error *error)
{
    mp_cell *c = mp_cell_at(name.index);
    if (bytes > mp_session_own.arena.reserved - PAGE)
        return mp_fail(error, -ENOMEM, "%zu bytes of shared memory", bytes);
    bytes = (bytes + PAGE - 1) / PAGE * PAGE;
    if (!mp_lock_take(&mp_session_head()->arena_guard, mp_session_own.self, patience))
        return mp_fail(error, -EBUSY, "a stopped process keeps shared memory from being given out");
    int status = place(c, bytes, error);
    mp_lock_release(&mp_session_head()->arena_guard);
    return status;
}

void *mp_cell_extent(mp_cell_name name, size_t *bytes)
{
    const mp_cell *c = mp_cell_at(name.index);
    *bytes = mp_load_acquire(&c->extent_size);
    return *bytes == 0 ? NULL : mp_session_own.arena.base + c->extent_at;
}
