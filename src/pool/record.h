/* What a pool's items did, and when: kept while it works, read when somebody draws it.
 *
 * One record may outlive its pool. Everything is in arrays that grow, up to limits: what comes
 * behind these is counted and not kept. Nothing here ever fails: where memory is short that counts
 * as a limit. */
#ifndef MP_POOL_RECORD_H
#define MP_POOL_RECORD_H

#include "base/buffer.h"
#include "pool/control.h"
#include "pool/wire.h"
#include "shm/result_ring.h"

enum mp_record_outcome {
    MP_RECORD_DONE,
    MP_RECORD_FAILED,
    MP_RECORD_TIMEOUT,
    MP_RECORD_LOST,
    MP_RECORD_CANCELLED, /* it ran, and nobody wanted what came of it */
};

enum {
    MP_RECORD_ITEM_BYTES = 254,     /* of an item's arguments that are kept at most */
    MP_RECORD_FAILURE_BYTES = 2048, /* of a failure */
};

/* An item that ran, once. They are kept as bytes, since memory that was never used costs more than
 * writing to it: a head, which says what differs from the item before, then what it says, then
 * the length. Numbers have seven bits a byte, the lowest first, all but the last with the highest
 * bit; of signed ones, which are told by a difference, the lowest bit is the sign. */
typedef struct mp_record_item {
    enum mp_record_outcome outcome;
    uint32_t life;    /* the worker's */
    uint32_t call;    /* number, from 1 */
    uint32_t attempt; /* from 1 */
    uint64_t index;   /* within its call, from 1 */
    int64_t began;    /* mp_now's clock */
    int64_t length;   /* nanoseconds */
} mp_record_item;

/* A head. */
enum {
    MP_RECORD_OUTCOME = 7,
    MP_RECORD_ATTEMPT = 8, /* the attempt follows; else it is the first */
    MP_RECORD_LIFE = 16,   /* the life; else the same */
    MP_RECORD_CALL = 32,   /* the difference of the call; else the same */
    MP_RECORD_INDEX = 64,  /* the difference from the index that was due; else the next one */
    MP_RECORD_GAP = 128,   /* the time since its worker's last one ended; else it follows at once */
};

/* A worker, as far as it has run anything. Number 0 is whoever is unknown. */
typedef struct mp_record_life {
    uint32_t seat;
    int32_t pid;    /* 0: unknown */
    int64_t last;   /* when its last item ended */
    int64_t found;  /* when it was found dead, 0: it was not */
    int32_t status; /* then as waitpid gives it, -1 unknown */
} mp_record_life;

typedef struct mp_record_call {
    uint32_t function; /* whoever opened it knows which */
    uint16_t kind;     /* and that */
    uint16_t made;     /* its items have no bytes */
} mp_record_call;

/* By which the items of a call are made that have no bytes. */
typedef struct mp_record_recipe {
    uint32_t call;
    uint32_t flags; /* of its block */
    uint64_t recipe[2];
} mp_record_recipe;

/* So many items, more or less, wait for a worker from here on. */
typedef struct mp_record_step {
    int64_t when;
    int64_t change;
} mp_record_step;

/* What a failure said lies at `at` in `failures`. */
typedef struct mp_record_failure {
    uint32_t item; /* its number, from 0 */
    uint32_t size;
    size_t at;
} mp_record_failure;

typedef struct mp_record_array {
    void *entries;
    size_t count, room;
} mp_record_array;

typedef struct mp_record {
    int64_t began; /* when the recording did */
    size_t most;   /* items */
    size_t count;  /* those that are kept */
    uint64_t cut;  /* items that came behind those */
    mp_buffer items;
    struct {
        uint32_t life, call;
        uint64_t index;
    } last; /* of the item that came last */
    mp_record_array lives, calls, recipes, steps, failed;
    /* For each item, in order, that is not made: the size in a byte, 255: it was longer
     * and the first MP_RECORD_ITEM_BYTES are there; then its bytes. Those of the first `described`
     * items are here, made ones among them; `mute`: of no further ones. */
    mp_buffer bytes;
    size_t described;
    bool mute;
    mp_buffer failures;
    uint32_t life_in[MP_SEATS_MAX]; /* the last life of each seat, 0: none */
    int64_t tick;                   /* the coarse clock when the last step was entered */
    unsigned sharing;               /* changes that share the last step */
    unsigned unlooked;              /* further ones that may, without a look at the clock */
} mp_record;

/* Keeps up to `most` items. NULL: no memory. */
mp_record *mp_record_new(size_t most);
void mp_record_free(mp_record *r);

/* A call is opened, whose number it returns. 0: there are too many. */
uint32_t mp_record_open(mp_record *r, uint32_t function, uint16_t kind);

/* It is of another kind than was said. */
void mp_record_rename(mp_record *r, uint32_t call, uint16_t kind);

/* Its items have no bytes, but this recipe; said once or more. */
void mp_record_made(mp_record *r, uint32_t call, const uint64_t recipe[2], uint32_t flags);

static inline bool mp_record_is_made(const mp_record *r, uint32_t call)
{
    return ((const mp_record_call *)r->calls.entries)[call - 1].made != 0;
}

/* So many items more, or less, wait for a worker. */
void mp_record_wait(mp_record *r, int64_t change);

/* An item as it ran. */
typedef struct mp_record_news {
    uint32_t call;
    enum mp_record_outcome outcome;
    uint64_t index;
    unsigned attempt;
    unsigned seat;        /* MP_SEATS_MAX: unknown */
    mp_frame_times times; /* 0: unknown */
} mp_record_news;

/* False where it is not kept. */
bool mp_record_item_ran(mp_record *r, const mp_record_news *news);

/* The same of the `n` items that followed it, which was done, in its call and its worker, and that
 * are done, too: their times lie behind their results. How many are kept. */
unsigned mp_record_items_ran(mp_record *r, const mp_result_frame results[], unsigned n);

/* The bytes of the next item that has not been described. */
void mp_record_describe(mp_record *r, const unsigned char *bytes, size_t size);

/* What the item recorded last said of its failure. */
void mp_record_failed(mp_record *r, const unsigned char *bytes, size_t size);

/* Items from the first on. */
typedef struct mp_record_reader {
    const mp_record *record;
    const unsigned char *at;
    size_t number; /* of the item that comes next, from 0 */
    uint32_t life, call;
    uint64_t index;
    int64_t *ended; /* of each life; the reader's maker's memory */
} mp_record_reader;

/* `ended` has room for as many as the record has lives. */
void mp_record_read_from(mp_record_reader *reader, const mp_record *r, int64_t ended[]);

/* False behind the last. */
bool mp_record_read(mp_record_reader *reader, mp_record_item *item);

void mp_record_death(mp_record *r, const mp_death *death);

#endif
