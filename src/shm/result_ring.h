/* Results of one worker on their way to the host: one producer, one consumer.
 *
 * One region a worker: a header page, a ring of frames, and behind it the
 * spill, extents for what does not fit the ring (a 1 GiB result passes). The
 * worker is the only writer of the region but for the header's reading mark.
 * Invariants: a frame is published by one release store of `tail` after its
 * last byte is written, so that a killed worker leaves whole frames only; a
 * frame and its extent belong to the writer again once the host's `head` has
 * passed it; published frames outlive their writer, and a replacement goes on
 * behind them.
 *
 * A ring that the host has emptied starts again at its first byte, and an
 * emptied spill at its first extent, so that memory used before is used again;
 * what is large and idle is given back by mp_result_trim. */
#ifndef MP_SHM_RESULT_RING_H
#define MP_SHM_RESULT_RING_H

#include "base/atomics.h"
#include "base/buffer.h"
#include "shm/region.h"
#include "shm/spill.h"

enum {
    /* Room that ordinary frames leave free, so that a frame of kind failure can
     * always be said where memory is short. */
    MP_RESULT_RESERVE = 1024,
    /* What mp_result_peek calls a frame that cannot be one: a kind that no
     * writer can give. */
    MP_RESULT_DAMAGED = 256,
    /* Capacities that mp_result_create takes. */
    MP_RESULT_CAPACITY_MIN = 64 << 10,
    MP_RESULT_CAPACITY_MAX = 8 << 20,
    /* Bytes of the region's first page that are nobody's but for mp_result_notes. */
    MP_RESULT_NOTES = 4096 - 256,
};

/* The shared header at the region's first byte. */
typedef struct mp_result_shared {
    _Alignas(64) _Atomic uint64_t tail; /* written by the worker: bytes published */
    _Atomic uint64_t allocated; /* written by the worker: bytes of the region that may be read */
    _Alignas(64) _Atomic uint64_t head;         /* written by the host: bytes read */
    _Alignas(64) _Atomic uint32_t writer_waits; /* set by the worker before it sleeps for room,
                                                   cleared by the host when it wakes it; futex */
    uint32_t capacity; /* bytes of the ring, a power of two; set once by the host */
} mp_result_shared;

/* The writer's view. Private to the worker; not to be copied or moved. */
typedef struct mp_result_writer {
    mp_region *region;
    mp_result_shared *shared;
    uint64_t spill_limit; /* unread spill bytes above which the writer waits; may be changed */
    mp_buffer out;        /* the open frame's bytes */
    /* Private from here on, see result_writer.c. */
    mp_spill spill;
    uint64_t capacity;
    uint64_t tail;    /* where the next frame goes; the shared tail, but after a restart */
    uint64_t floor;   /* first position whose bytes the host may still read */
    uint64_t open_at; /* position of the open frame */
    uint64_t sure;    /* up to here a frame may go without a further look */
    int open_where;
} mp_result_writer;

/* The reader's view. Private to the host. */
typedef struct mp_result_reader {
    mp_region *region;
    mp_result_shared *shared;
    uint64_t capacity;
    uint64_t at;    /* the frame that mp_result_peek gives */
    uint64_t next;  /* behind it; == at while none was looked at */
    uint64_t seen;  /* the tail when last looked at */
    uint64_t sure;  /* up to here frames may be read without a further look */
    uint64_t given; /* the head as last stored */
    bool at_once;   /* the frame at `at` is to be given back without delay */
} mp_result_reader;

/* One published frame as the reader sees it. */
typedef struct mp_result_frame {
    unsigned kind;             /* 0..15, the writer's; or MP_RESULT_DAMAGED (no data then) */
    const unsigned char *data; /* no particular alignment */
    size_t size;
} mp_result_frame;

/* Host: makes the region of one worker (memfd `name`) and its header: a ring of
 * `capacity` bytes (a power of two; only its first 64 KiB are allocated at once). */
int mp_result_create(mp_region *region, const char *name, size_t capacity, mp_error *error);

/* Host: a view on the region, starting at the reading mark. */
void mp_result_reader_init(mp_result_reader *r, mp_region *region);

/* Host, while the ring has no worker: empties it, whatever damage has left of its words. */
void mp_result_reset(mp_result_reader *r);

/* Worker: starts writing behind what is published (after a predecessor too:
 * unread frames and their extents stay as they are). -EBADMSG where those are
 * damaged (the host will find the same). Needs the region's descriptor. */
int mp_result_writer_init(mp_result_writer *w, mp_region *region, mp_error *error);

/* Worker: frees the private memory of the writer (not the region). */
void mp_result_writer_destroy(mp_result_writer *w);

/* Worker: opens a frame for about `least` bytes (0 where that is not known).
 * Returns its buffer (empty; grows on demand out of the ring into the spill; grow
 * gives -ENOSPC and the like where memory is short, -EAGAIN where the unread
 * spill is at its limit and not empty). Where memory is short the buffer may
 * have less room than `least`, and its grow says why. NULL when the ring or the
 * spill has no room until the host reads: mp_result_wait then. Frames may not
 * nest; one that is still open is dropped. */
mp_buffer *mp_result_open(mp_result_writer *w, size_t least);

/* Worker: what grow of the open frame's buffer does, whoever has taken its place. */
int mp_result_grow(mp_result_writer *w, size_t more);

/* Worker: publishes the open frame as `kind` (0..15). One release store; wakes
 * nobody. */
void mp_result_publish(mp_result_writer *w, unsigned kind);

/* Worker: drops the open frame. */
void mp_result_discard(mp_result_writer *w);

/* Worker: publishes a small frame (size <= MP_RESULT_RESERVE / 2), in memory
 * that is always there. False when the ring has no room until the host reads.
 * Drops an open frame. */
bool mp_result_publish_small(mp_result_writer *w, unsigned kind, const void *bytes, size_t size);

/* Worker: sleeps until the host has read something since `seen_head` (the head
 * loaded before the failed attempt). May return early; the caller tries again.
 * The host must be awake, or be woken by the caller before. */
void mp_result_wait(mp_result_writer *w, uint64_t seen_head);

/* Worker: mp_result_wait comes next. Who looks behind this sees it in mp_result_kept_waiting. */
void mp_result_will_wait(mp_result_writer *w);

/* Host: whether the worker waits for room. */
static inline bool mp_result_kept_waiting(const mp_result_reader *r)
{
    return mp_load_acquire(&r->shared->writer_waits) != 0;
}

/* Worker, no frame open: whether so much is unread (an eighth of the ring, or half of the
 * spill's limit) that the host should hear of it. Mostly without a look at the
 * host's reading mark. */
bool mp_result_filling(mp_result_writer *w);

/* Worker, about to sleep: gives back memory beyond `keep` bytes (the first 64
 * KiB of the ring stay). Does nothing while anything is unread. */
void mp_result_trim(mp_result_writer *w, size_t keep);

/* Host: the next unread frame; its bytes stay valid until mp_result_consume.
 * False when there is none. Never blocks. The same frame again if called twice.
 * Whatever a worker has left in the ring is either a whole frame within the
 * region's allocated memory or told as MP_RESULT_DAMAGED (only `allocated`
 * itself is believed). */
bool mp_result_peek(mp_result_reader *r, mp_result_frame *frame);

/* Host: the frame that peek gave is done with; the writer may use its space, and
 * is woken if it waits. The space is given back now or some frames later, at the
 * latest by the peek that returns false. After a damaged frame all that was
 * published with it is passed over. */
void mp_result_consume(mp_result_reader *r);

/* Host: frames of this kind that lie in one piece behind the one that peek gave, up to `max`,
 * as long as they are sound; they stay as it does. Their number. */
unsigned mp_result_ahead(const mp_result_reader *r, unsigned kind, mp_result_frame frames[],
                         unsigned max);

/* Host: mp_result_consume, and the same for those up to this one, of those that
 * mp_result_ahead gave. */
void mp_result_consume_upto(mp_result_reader *r, const mp_result_frame *last);

/* Memory of the region, always allocated and zeroed at first, in which its workers may leave what
 * they like for the host. */
static inline void *mp_result_notes(const mp_region *region)
{
    return region->base + 256;
}

/* Host: bytes published and unread (ring only); for back-pressure. */
uint64_t mp_result_unread(const mp_result_reader *r);

/* Host: how far the reader has come, in the unit of mp_result_published. */
static inline uint64_t mp_result_position(const mp_result_reader *r)
{
    return r->at;
}

/* Host, or nursery after the writer's death: how far the writer has come. A
 * reader whose position is not below this has met all that the writer left. */
static inline uint64_t mp_result_published(const mp_result_reader *r)
{
    return mp_load_acquire(&r->shared->tail);
}

#endif
