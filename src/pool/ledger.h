/* The ledger knows every item once: a row a granule, items within it by counts.
 *
 * Private to the host. Items of a row are settled in order, so `done` says which.
 * A row's life is a table of state x event (ledger.c); ids are never reused, so
 * that news of a row that is gone is recognised. */
#ifndef MP_POOL_LEDGER_H
#define MP_POOL_LEDGER_H

#include "base/timers.h"
#include "pool/saved.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

typedef struct mp_call mp_call;
typedef struct mp_row mp_row;

enum mp_row_state {
    MP_ROW_FREE,
    MP_ROW_BACKLOG,   /* waits in the host for room in the ring */
    MP_ROW_DELAYED,   /* waits in the host for its time */
    MP_ROW_PUBLISHED, /* in the ring, or with a worker */
};

enum mp_row_event {
    MP_ROW_QUEUE,    /* made, or come back from a dead worker */
    MP_ROW_PUBLISH,  /* given to the ring */
    MP_ROW_WITHDRAW, /* cancelled before anybody had it */
    MP_ROW_SETTLE,   /* its last item settled */
    MP_ROW_DELAY,    /* made, to be queued later */
};

struct mp_row {
    uint64_t id;
    mp_call *call;
    uint64_t first;       /* index within its call of its first item */
    uint32_t count, done; /* items; those settled */
    enum mp_row_state state;
    uint64_t payload; /* where its items lie; MP_MADE: nowhere */
    size_t payload_size;
    uint64_t position;           /* in the ring, while published */
    uint32_t cursor;             /* item that cursor_at points to */
    uint64_t cursor_at;          /* offset of that item in the payload */
    mp_row *next, *previous;     /* in its call */
    TAILQ_ENTRY(mp_row) waiting; /* in the backlog */
    bool queued;                 /* a member of it */
    unsigned attempt;            /* of its items, from 1 */
    mp_saved *saved;             /* the state of its next item, or NULL */
    bool bound;                  /* to a worker: an errand's, whose bytes are not its own */
    mp_timer timer;              /* while delayed */
    mp_row *twin;                /* whose next item is the same; see twins.c */
    bool copy;                   /* made for that */
    bool answered;               /* its next item has been decided by its twin */
};

TAILQ_HEAD(mp_backlog, mp_row);

typedef struct mp_ledger {
    mp_row **rows; /* by slot */
    uint32_t *free_slots;
    uint32_t slots, free_count, capacity;
    uint64_t live; /* rows not free */
} mp_ledger;

/* A fresh row in state FREE with everything zero but its id, or NULL: no memory. */
mp_row *mp_ledger_add(mp_ledger *l);

/* The row with this id, or NULL if it is gone. */
mp_row *mp_ledger_find(const mp_ledger *l, uint64_t id);

/* Whether any row is PUBLISHED, those bound to a worker apart. Looks at all. */
bool mp_ledger_has_published(const mp_ledger *l);

/* Changes the row's state; false where the table has no such change, and the
 * row is as it was. */
bool mp_row_step(mp_row *row, enum mp_row_event event);

/* Frees the row; its id is never met again. */
void mp_ledger_remove(mp_ledger *l, mp_row *row);

void mp_ledger_destroy(mp_ledger *l);

#endif
