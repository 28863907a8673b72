/* What host and workers say to each other: call blocks and items in the task
 * memory, frames in the result rings. Offsets, never pointers. */
#ifndef MP_POOL_WIRE_H
#define MP_POOL_WIRE_H

#include "base/atomics.h"
#include "base/buffer.h"
#include "base/checksum.h"
#include "shm/task_ring.h"

/* What all items of one call share; lies in the task memory. */
typedef struct mp_call_block {
    _Atomic uint64_t limit;   /* written by the host: items of this index and above
                                 are not begun any more */
    uint64_t definition;      /* id of the function; see mp_definition */
    uint64_t definition_at;   /* its bytes, MP_IN_HAND: inherited by the fork */
    uint64_t definition_size; /* bytes */
    uint64_t word;            /* the handler's */
    uint64_t recipe[2];       /* its, too: by which it makes items that have no bytes */
    int64_t timeout;          /* nanoseconds that an item may run, 0: any */
    uint64_t definition_sum;  /* mp_checksum of the definition */
    uint64_t label;           /* 1 more than where its mp_label lies, 0: it has none */
    uint32_t flags;           /* the handler's */
    uint16_t quiet;           /* nobody waits for single results of it */
    uint16_t timed;           /* an outcome has an mp_frame_times behind its own bytes */
    uint64_t check;           /* of all but the limit */
} mp_call_block;

/* What a definition is called by those who look on. Lies in the task memory as long as that. */
typedef struct mp_label {
    uint64_t check; /* mp_checksum of the text */
    uint32_t size;  /* of it, MP_LABEL_MOST at most */
    char text[];
} mp_label;

enum { MP_LABEL_MOST = 200 };

/* What every worker does once, after those before it in the list, and every later worker
 * before it takes work. Lies in the task memory for the life of the pool. */
typedef struct mp_errand {
    _Atomic uint64_t next; /* written by the host: 1 more than where the next lies, 0: none yet */
    uint64_t call;         /* where its call's block lies */
    uint64_t payload;      /* its one item */
    uint64_t ranks;
    _Atomic uint32_t vain; /* it has failed: none does it whose outcome nobody waits for */
    /* Of ranks: whom the outcome is for. Taken by the worker that begins it, so that no
     * successor answers for one that died in it. */
    _Atomic uint64_t rows[];
} mp_errand;

#define MP_NOBODY UINT64_MAX /* the row of an errand whose outcome nobody waits for */

#define MP_IN_HAND UINT64_MAX

/* The payload of a granule whose items have no bytes: the handler makes them, of their
 * index and the call's recipe. */
#define MP_MADE UINT64_MAX

#define MP_NO_LIMIT UINT64_MAX

/* An item in the task memory: its length in four bytes (MP_LONG_ITEM: eight more
 * bytes follow that hold it), then its bytes. Unaligned, host byte order. One that ran before, or
 * has a state, is alone in its granule, and an mp_item_past stands before it. */
#define MP_LONG_ITEM UINT32_MAX
#define MP_ITEM_WITH_PAST (UINT32_MAX - 1)
#define MP_ITEM_MOST (UINT32_MAX - 2) /* the largest length in four bytes */
enum { MP_ITEM_HEAD = 4, MP_LONG_ITEM_HEAD = 12 };

/* Behind it come the bytes of the state, then the item, but for one that is made. */
typedef struct mp_item_past {
    uint32_t mark; /* MP_ITEM_WITH_PAST */
    uint32_t attempt;
    uint64_t made;       /* 1: the item has no bytes */
    uint64_t state_size; /* 0: no state */
} mp_item_past;

typedef struct mp_item {
    const unsigned char *bytes; /* NULL: it is made */
    size_t size;
    const unsigned char *state; /* NULL: none */
    size_t state_size;
    uint32_t attempt;
} mp_item;

/* A number of four or eight bytes, or nothing where so much is not left. */
static inline bool mp_item_number(const unsigned char *at, uint64_t left, void *number, size_t size)
{
    if (size > left)
        return false;
    memcpy(number, at, size);
    return true;
}

/* Its bytes, and behind them where *at is, from there on `left`. */
static inline bool mp_item_read_bytes(const unsigned char **at, uint64_t left, uint32_t length,
                                      mp_item *item)
{
    uint64_t size = length, head = MP_ITEM_HEAD;
    if (length == MP_LONG_ITEM) {
        head = MP_LONG_ITEM_HEAD;
        if (!mp_item_number(*at + MP_ITEM_HEAD, left - MP_ITEM_HEAD, &size, sizeof size))
            return false;
    }
    if (head > left || size > left - head)
        return false;
    item->bytes = *at + head;
    item->size = size;
    *at = item->bytes + size;
    return true;
}

/* The same of one with a past. */
bool mp_item_read_past(const unsigned char **at, uint64_t left, mp_item *item);

/* The item at *at, from where `left` bytes may be read; *at moves behind it. False, with *at where
 * it was, where it does not lie within. */
static inline bool mp_item_read(const unsigned char **at, uint64_t left, mp_item *item)
{
    uint32_t length;
    *item = (mp_item){.attempt = 1};
    if (!mp_item_number(*at, left, &length, sizeof length))
        return false;
    if (length == MP_ITEM_WITH_PAST)
        return mp_item_read_past(at, left, item);
    return mp_item_read_bytes(at, left, length, item);
}

/* Kinds of frames in a result ring. A ROW frame says whose items the frames
 * behind it belong to; each further frame is the outcome of one item, the next
 * in order, but for SKIPPED, which stands for several. */
enum mp_frame_kind {
    MP_FRAME_ROW = 1,     /* mp_frame_row */
    MP_FRAME_DONE = 2,    /* the handler's result */
    MP_FRAME_FAILED = 3,  /* the handler's failure */
    MP_FRAME_SKIPPED = 4, /* mp_frame_skipped */
    MP_FRAME_NO_ROOM = 5, /* int32_t: negative errno; the result could not be written */
    MP_FRAME_TIMEOUT = 6, /* it ran too long: the handler's failure, or nothing */
    /* No outcomes: uint64_t, the index of the item that says it (0: none does), and text. */
    MP_FRAME_OUTPUT = 7,
    MP_FRAME_LOG = 8,
    MP_FRAME_DAMAGED = 9, /* nothing: the worker was handed what cannot be */
    /* No outcome: mp_frame_row, of the item that runs, and the state that it saves. */
    MP_FRAME_STATE = 10,
    /* No outcome: as MP_FRAME_OUTPUT, what a worker answers that was asked what it is doing. */
    MP_FRAME_ANSWER = 11,
};

typedef struct mp_frame_row {
    uint64_t row;
    uint64_t index; /* of the first item that follows, within its call */
    uint64_t check; /* of the two */
} mp_frame_row;

typedef struct mp_frame_skipped {
    uint32_t count; /* items at or above the limit */
    uint32_t check; /* ~count */
} mp_frame_skipped;

/* The end of the frame of an outcome, where its call is timed. */
typedef struct mp_frame_times {
    int64_t began, ended; /* mp_now's clock */
    int64_t pid;          /* of the worker */
} mp_frame_times;

/* Cuts the times off what a frame of a timed call holds; false, and nothing cut, where it is too
 * short to have any. */
static inline bool mp_frame_cut_times(const unsigned char *data, size_t *size,
                                      mp_frame_times *times)
{
    if (*size < sizeof *times)
        return false;
    *size -= sizeof *times;
    memcpy(times, data + *size, sizeof *times);
    return true;
}

static inline uint64_t mp_frame_row_check(const mp_frame_row *head)
{
    return mp_checksum((const unsigned char *)head, offsetof(mp_frame_row, check));
}

static inline uint64_t mp_granule_check(const mp_granule *g)
{
    return mp_checksum((const unsigned char *)g, offsetof(mp_granule, check));
}

/* Of all but the limit, which changes while workers read it. */
static inline uint64_t mp_call_block_check(const mp_call_block *block)
{
    const unsigned char *from = (const unsigned char *)&block->definition;
    const unsigned char *upto = (const unsigned char *)&block->check;
    return mp_checksum(from, (size_t)(upto - from));
}

#endif
