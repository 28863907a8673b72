/* Where the extents of a result spill lie: the writer's private book-keeping.
 *
 * Extents are taken one after another and come back in the same order, each
 * when the reader has passed the ring position of its frame. New ones are cut
 * from a run, a gap between used extents or what lies behind all of them; a run
 * is filled up before another is looked for. Offsets are from the region's base. */
#ifndef MP_SHM_SPILL_H
#define MP_SHM_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct mp_extent {
    uint64_t offset;
    uint64_t size;
    uint64_t end; /* free once the reader's position has come this far */
} mp_extent;

typedef struct mp_spill {
    uint64_t base, limit; /* the bytes of the region that it may use */
    uint64_t at, stop;    /* the present run */
    uint64_t used;        /* bytes of the extents in use */
    mp_extent *extents;   /* a ring, oldest first */
    unsigned first, count, room;
} mp_spill;

/* An empty spill in the bytes [base, limit). */
void mp_spill_init(mp_spill *s, uint64_t base, uint64_t limit);
void mp_spill_destroy(mp_spill *s);

/* Makes sure that s->at has `size` bytes before s->stop and that one more extent
 * can be noted; moves to another run for that where it must, or where memory below
 * `allocated` would do instead of more. Returns 0, or -ENOMEM. */
int mp_spill_find(mp_spill *s, uint64_t size, uint64_t allocated);

/* Notes the extent [offset, offset + size), in use until the reader is at `end`;
 * where it lies in the run, the run begins behind it from then on. Cannot fail after
 * mp_spill_find; else returns -ENOMEM where there is no memory. */
int mp_spill_take(mp_spill *s, uint64_t offset, uint64_t size, uint64_t end);

/* The reader is at `position`: takes back what it has passed. */
void mp_spill_reclaim(mp_spill *s, uint64_t position);

#endif
