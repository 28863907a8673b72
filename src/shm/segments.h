/* The segments of a queue: cells with an extent in which messages lie one behind the
 * other, and their chain; for queue.c and segments.c only.
 *
 * Each message has a head that says its size, its number and whether it was taken.
 * All is done under the queue's guard where it is not said otherwise. */
#ifndef MP_SHM_SEGMENTS_H
#define MP_SHM_SEGMENTS_H

#include "shm/queue.h"

enum { MP_SEGMENT_LARGE = 32 << 10 }; /* a message from here on gets one of its own */

#define MP_ITEM_DONE UINT32_MAX

typedef struct mp_item {
    uint64_t size;
    uint64_t number;        /* from 1 */
    _Atomic uint32_t state; /* 0, the name of who has taken it, or DONE */
    uint32_t unused;
} mp_item;

typedef struct mp_segment {
    uint32_t next;        /* 1 + the next one's cell, 0 none */
    uint32_t below;       /* 1 + the cell of the one that was put beside before it */
    uint32_t reached;     /* by mp_segments_mend */
    _Atomic uint64_t end; /* bytes of it that are whole messages */
    uint64_t head;        /* the first that is not done */
    uint64_t scan;        /* the first that may be there to be taken */
} mp_segment;

mp_segment *mp_segment_at(uint32_t cell); /* 1 + its index */

mp_item *mp_item_at(uint32_t cell, uint64_t at);

/* The bytes that a message of that size takes. */
uint64_t mp_item_room(size_t size);

/* A segment, used by this process, that holds the message alone, not yet numbered; one that was
 * taken back as `spare` (index UINT32_MAX: none) or a new one. Without the guard. Returns 0 or a
 * negative errno. */
int mp_segment_prepare(mp_cell_name spare, const void *bytes, size_t size, mp_cell_name *made,
                       mp_error *error);

/* Takes a spare one that has room for such a message out, for this process to use: index
 * UINT32_MAX where there is none. */
mp_cell_name mp_segment_reuse(mp_cell_name queue, size_t size);

/* Links one that this process uses to the chain's end, and uses it no longer. */
void mp_segment_link(mp_cell_name queue, mp_cell_name segment);

/* A segment, used by this process, that is not to wait for the guard, is put beside the chain, and
 * used no longer. Without the guard. */
void mp_segment_put_beside(mp_cell_name queue, mp_cell_name segment);

/* What was put beside comes to the chain's end. */
void mp_segments_merge(mp_cell_name queue);

/* The message is in the chain: it gets its number and counts. */
void mp_item_count(mp_queue *q, mp_item *item);

/* Makes sure that the last segment has room for a message of that size. Returns 0 or a negative
 * errno. */
int mp_segment_ensure(mp_cell_name queue, size_t size, mp_error *error);

/* Gives back what is done at the chain's beginning. */
void mp_segments_reclaim(mp_cell_name queue);

/* Messages that dead processes have taken can be taken again; how many they were. */
uint32_t mp_segments_recover(mp_queue *q);

/* A holder of the guard has died: makes the chain and the counts whole again. */
void mp_segments_mend(mp_cell_name queue);

#endif
