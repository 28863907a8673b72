/* What worker.c and worker_frames.c share; private to them. */
#ifndef MP_POOL_WORKER_INNER_H
#define MP_POOL_WORKER_INNER_H

#include "pool/patience.h"
#include "pool/spans.h"
#include "pool/worker.h"

/* The items of a granule, one after another. */
typedef struct worker_run {
    const mp_granule *granule;
    const unsigned char *at; /* the next item; NULL: they are made */
    uint32_t next;           /* its number in the granule, from 0 */
    bool under_way;          /* an item has been begun and not closed */
    bool whole;              /* nothing was damaged so far */
} worker_run;

typedef struct worker {
    mp_segment *segment;
    mp_seat *seat;
    unsigned number;
    uint32_t incarnation;
    mp_region *tasks;
    const mp_handler *handler;
    mp_result_writer writer;
    mp_spans *spans;
    bool writing;        /* the frame of an item's result is open */
    mp_buffer texts;     /* told while that frame has bytes: each its head, then itself */
    uint64_t index;      /* of the item that runs, 0: none */
    uint64_t row;        /* whose it is */
    mp_buffer held_back; /* the frame's bytes while something was told before it; mostly empty */
    mp_granule held[MP_HOLD_MAX];
    unsigned holding;
    worker_run run;
    mp_frame_times times; /* `began`: of the item that runs, or is next; 0: not known yet */
    bool waited;          /* for the host since an item began: the next begins behind that */
    uint64_t told;        /* the ring's tail when its filling was told last */
    uint64_t unheard;     /* the call whose results a host that is lazy has not heard of; 0: none */
    mp_patience patience;
    const _Atomic uint64_t *errand; /* where the next one stands once there is one */
} worker;

/* Rings the bell, for a lazy host as well, and notes for which results. */
static inline void mp_worker_ring(worker *w)
{
    mp_store_release(&w->seat->rung, mp_load_relaxed(&w->writer.shared->tail));
    mp_bell_ring(&w->segment->bell, true);
}

/* Once: the buffer of frames waits for room rather than be refused it. */
void mp_worker_lend(worker *w);

/* Opens a frame; append to its buffer, which grows as it is needed. Waits for room. */
mp_buffer *mp_worker_open_frame(worker *w);

/* Publishes a frame of few bytes. Waits for room. */
void mp_worker_publish_small(worker *w, unsigned kind, const void *bytes, size_t size);

void mp_worker_publish_row(worker *w, uint64_t row, uint64_t index);
void mp_worker_publish_skipped(worker *w, uint32_t count);

/* mp_birth's tell. */
int mp_worker_tell(void *teller, unsigned kind, const char *bytes, size_t size);

/* mp_birth's show. */
void mp_worker_show(void *teller, double fraction);

/* Publishes what was told while a frame with bytes was open. */
void mp_worker_publish_texts(worker *w);

/* The item has this outcome: the same, or the negative errno with which the frame's bytes, which
 * something was told before, found no memory in the ring again. */
int mp_worker_put_back(worker *w, int outcome);

#endif
