/* A pool of workers as the core sees it: calls made of items, bytes in and out.
 *
 *   open a call -> begin/end its items -> seal it -> events come -> CALL_OVER -> release it
 *
 * One thread at a time may use a pool. Nothing here blocks but mp_pool_wait and
 * mp_pool_join. Every item of a call that is not skipped ends in exactly one settled event
 * or in the call's count of cancelled ones; CALL_OVER comes exactly once, behind the last
 * event. */
#ifndef MP_POOL_POOL_H
#define MP_POOL_POOL_H

#include "pool/definitions.h"
#include "pool/ledger.h"
#include "pool/record.h"
#include "pool/transport.h"

typedef struct mp_pool mp_pool;

enum mp_event_kind {
    MP_EVENT_DONE,    /* an item's result: data, size */
    MP_EVENT_FAILED,  /* an item's failure as the handler wrote it: data, size */
    MP_EVENT_LOST,    /* its worker died: pid, status (waitpid's, -1 unknown) */
    MP_EVENT_TIMEOUT, /* it ran too long: data, size as for FAILED, or nothing */
    MP_EVENT_NO_ROOM, /* its result found no memory: code */
    MP_EVENT_DAMAGED, /* its result cannot be read: code */
    MP_EVENT_OUTPUT, /* what a task wrote: data, size; index 0 where no item did, user NULL where it
                        is not known whose */
    MP_EVENT_LOG,    /* what it logged */
    MP_EVENT_ANSWER, /* what a worker is doing that was asked: data, size, seat */
    MP_EVENT_STATE,  /* an item that runs has saved a state, which its next attempts start
                        with: data, size. A code: there was no memory to keep it */
    MP_EVENT_CALL_OVER, /* nothing more will come for this call */
    MP_EVENT_TROUBLE,   /* no worker can be born: code, which is tried again; count: it
                           would have been that one, 0: one in place of another. Code 0:
                           count workers died before they were ready, the last with status,
                           and none is born any more until mp_pool_want */
};

typedef struct mp_event {
    enum mp_event_kind kind;
    void *user;       /* the call's */
    uint64_t index;   /* the item's, from 1 */
    unsigned attempt; /* of the item, from 1 */
    unsigned seat;    /* the worker's, from 0 */
    int32_t pid;      /* the worker's, 0 unknown */
    int status;
    int code; /* negative errno */
    unsigned count;
    const unsigned char *data; /* valid until mp_pool_settle */
    size_t size;
    const unsigned char *item; /* the item's own bytes; valid as long */
    size_t item_size;
    int64_t began, ended; /* of an item of a timed call: mp_now's clock; 0: unknown. Of one whose
                             worker died, ended is when that was found */
} mp_event;

typedef struct mp_call_counts {
    uint64_t added;     /* items */
    uint64_t settled;   /* those whose event is settled, the skipped and the cancelled ones */
    uint64_t cancelled; /* at or above the limit, without an event; some may still run */
} mp_call_counts;

/* Makes a pool over a transport for up to `workers` workers. The transport is
 * the pool's from then on, on failure too. NULL with *error on failure. */
mp_pool *mp_pool_new(mp_transport *transport, unsigned workers, mp_error *error);

/* Kills what lives and frees everything, calls included. In a fork of the process that
 * made it, frees this process's copies only. */
void mp_pool_free(mp_pool *pool);

mp_definitions *mp_pool_definitions(mp_pool *pool);

/* mp_define with the pool's table. */
mp_definition *mp_pool_define(mp_pool *pool, const unsigned char *bytes, size_t size,
                              mp_error *error);

/* mp_definition_label with the pool's table. */
void mp_pool_label(mp_pool *pool, mp_definition *definition, const char *text, size_t size);

mp_transport *mp_pool_transport(mp_pool *pool);

/* What the items of the calls do that mp_call_record is for goes into `record`, which stays the
 * caller's and outlives the pool. */
void mp_pool_record(mp_pool *pool, mp_record *record);

/* Opens a call. Its items run by `definition` (one user of which becomes the
 * call's), `flags` are the handler's. NULL with *error where memory is short
 * (the definition's user is given back). */
mp_call *mp_call_open(mp_pool *pool, mp_definition *definition, uint32_t flags, void *user,
                      mp_error *error);

/* A word for the handler, the same for all items; 0 unless set before the first. */
void mp_call_word(mp_call *call, uint64_t word);

/* Nanoseconds that an item may run, more than 0; unless set before the first: any. */
void mp_call_timeout(mp_call *call, int64_t timeout);

/* Nobody waits for its results one by one: workers tell of them run by run. Before the first
 * item. */
void mp_call_quiet(mp_call *call);

/* The worker keeps what comes of a granule's items until the last; before the first item.
 * So a granule that a death has cut is lost from its next item on, even where that was not
 * begun. `flags`: further ones for the handler. */
void mp_call_in_runs(mp_call *call, uint32_t flags);

/* Workers tell when each of its items began and ended, and who they are; before the first item.
 * Of two items that follow one another the second begins where the first ended. */
void mp_call_timed(mp_call *call);

/* Enters the call into the pool's record, if it has one, as of this function and kind, and what
 * its items do; they are timed, then. Before the first. */
void mp_call_record(mp_call *call, uint32_t function, uint16_t kind);

/* It is of another kind than was said. */
void mp_call_record_as(mp_call *call, uint16_t kind);

/* Items that run last may run twice, where workers have nothing else to do. Once. */
void mp_call_duplicate(mp_call *call);

/* Two words for the handler, by which it makes the items that mp_call_add_made adds; before
 * the first. `flags`: further ones for it. */
void mp_call_recipe(mp_call *call, uint64_t first, uint64_t second, uint32_t flags);

/* How many items a granule holds from here on, at least 1. */
void mp_call_granule(mp_call *call, uint64_t items);

/* Starts the call's next item: append its bytes to the buffer, then end it, or
 * begin again to start it anew. NULL with *error where memory is short. */
mp_buffer *mp_call_begin_item(mp_call *call, mp_error *error);

/* The item is whole. Hands out the granule when it is full; *error tells why
 * workers could not be started. Items are never lost by an error here, but for
 * -EBUSY: whoever made the item's bytes has used the pool meanwhile (another item
 * begun, a function defined, a call opened or flushed); this item is not there then. */
int mp_call_end_item(mp_call *call, mp_error *error);

/* Hands out a granule of items that have no bytes, of `most` (at least 1) if it holds so many;
 * *added gets their number. Errors as mp_call_end_item's. */
int mp_call_add_made(mp_call *call, uint64_t most, uint32_t *added, mp_error *error);

/* The call's next item is not run: it counts as added and settled, without an event, whatever the
 * call's limit is or will be. Hands out the granule before it; one that was begun is not there
 * any more. -ENOMEM where that granule cannot be noted: nothing is skipped then. That workers
 * cannot be started is told by an event. Before the call is sealed. */
int mp_call_skip(mp_call *call, mp_error *error);

/* The call's next item starts with a state, as if an attempt before its first had saved it: the
 * bytes, at least 1, are copied. Before that item is begun (or added as one that is made, alone
 * then), or while its bytes are being written: then what there is of them stays. Hands out the
 * granule before it. Stands until the item is ended or skipped; another state takes its place.
 * -ENOMEM: an item that was begun is not there any more. */
int mp_call_state(mp_call *call, const void *bytes, size_t size, mp_error *error);

/* Hands out a granule that is not full. */
int mp_call_flush(mp_call *call, mp_error *error);

/* No more items will come; flushes. */
int mp_call_seal(mp_call *call, mp_error *error);

/* In place of sealing a call of one item that is not handed out: every worker runs it
 * once, as item 1, 2, ... of the call by rank, before any item handed out behind this; so
 * does every worker that is born later, whose outcome nobody hears. Starts all workers.
 * Its definition must not be in hand, its memory is kept for the life of the pool.
 * -EBUSY: the item was handed out already. */
int mp_call_everywhere(mp_call *call, mp_error *error);

/* It has failed: no worker runs it any more whose outcome nobody hears. */
void mp_call_everywhere_in_vain(mp_call *call);

/* Items of index `limit` and above are cancelled: those that nobody has begun do
 * not run, of the others no event comes. */
void mp_call_limit(mp_call *call, uint64_t limit);

mp_call_counts mp_call_count(const mp_call *call);

/* What is done of the call's items that run, in items: the sum of what these have shown. */
double mp_call_fractions(const mp_call *call);

/* The kind of its work, as item_cost of the transport takes it. */
uint32_t mp_call_kind(const mp_call *call);

/* The caller's use of the call ends: cancels what is left, no event comes any more. */
void mp_call_release(mp_call *call);

/* The next event; the same again until mp_pool_settle. False if there is none now. */
bool mp_pool_next(mp_pool *pool, mp_event *event);
void mp_pool_settle(mp_pool *pool);

/* mp_pool_settle behind a DONE; true if the event of the same call's next item is DONE, too,
 * and there: it has taken the place of *event. Cheaper than mp_pool_next. */
bool mp_pool_follow(mp_pool *pool, mp_event *event);

/* Behind a DONE: what the items that follow it in its call came to, as far as these are DONE
 * and there, up to `max`, in order. Their number; nothing is settled by this. */
unsigned mp_pool_ahead(mp_pool *pool, mp_result_frame results[], unsigned max);

/* mp_pool_settle, of the first `n` of those as well, which are of no use then. Between the two
 * calls the pool is not used. */
void mp_pool_settle_ahead(mp_pool *pool, mp_result_frame results[], unsigned n);

/* In place of settling the event of an item: the item runs again, not before `due`
 * (mp_now's clock; 0: at once), as its next attempt. On failure, a negative errno
 * (-ECANCELED: the item is not wanted any more), the event is still to be settled. */
int mp_pool_again(mp_pool *pool, int64_t due, mp_error *error);

/* Waits until mp_pool_next may have something: 1; 0: the deadline passed; -EINTR:
 * a signal came (`mask` as for epoll_pwait). `mode` EAGER: for any result; LAZY:
 * for what cannot wait. */
int mp_pool_wait(mp_pool *pool, int64_t deadline, enum mp_bell_mode mode, const sigset_t *mask);

/* A descriptor that is readable when mp_pool_next may have something, between
 * calls to mp_pool_rest and the next call of the pool. */
int mp_pool_fd(mp_pool *pool);
void mp_pool_rest(mp_pool *pool);

/* Between two looks for events, where something has been waited for for long: sees to it that it
 * comes, or that it is told as lost. Never blocks. */
void mp_pool_doubt(mp_pool *pool);

/* Behind trouble without a code: why, in words; "" where nobody knows more. */
const char *mp_pool_reason(const mp_pool *pool);

/* Makes the descriptor readable, and mp_pool_wait return. Any thread, signal handlers. */
void mp_pool_wake(mp_pool *pool);

/* More is on its way to the workers than should be: whoever can wait with further
 * items waits until this is false. */
bool mp_pool_crowded(const mp_pool *pool);

/* Items handed out and not settled, of all calls, released ones too. */
bool mp_pool_busy(const mp_pool *pool);

/* No more work: workers leave (call only when not busy). */
void mp_pool_finish(mp_pool *pool);

/* Cancels all calls and kills the workers. */
void mp_pool_terminate(mp_pool *pool);

/* After finish or terminate: true when no process is left, waiting until the deadline. */
bool mp_pool_join(mp_pool *pool, int64_t deadline);

/* Up to so many workers now (at most the pool's). 0 or a negative errno (-ESHUTDOWN
 * after finish or terminate). */
int mp_pool_want(mp_pool *pool, unsigned workers, mp_error *error);

/* At most so many (MP_WORKERS_MAX at most) from now on; those too many leave behind
 * their item. 0, or the negative errno with which workers could not be started, which
 * is tried again. */
int mp_pool_resize(mp_pool *pool, unsigned workers, mp_error *error);

/* Every worker leaves behind its item; new ones, of this process as it is then, are made
 * when there is work: at once, if items wait. Errors as resize. */
int mp_pool_refresh(mp_pool *pool, mp_error *error);

/* What the worker of this rank (from 0, below mp_pool_workers) does now; false where
 * there is none yet. */
bool mp_pool_worker(const mp_pool *pool, unsigned rank, mp_worker_view *view);

unsigned mp_pool_workers(const mp_pool *pool);

typedef struct mp_pool_stats {
    uint64_t pending;      /* items added, not settled and not cancelled */
    uint64_t retried;      /* times that an item was given again */
    uint64_t lost_workers; /* that died and were not told to leave */
    uint64_t tasks;        /* claims of workers */
    int64_t busy;          /* nanoseconds that workers have worked, those that work now too */
} mp_pool_stats;

mp_pool_stats mp_pool_count(const mp_pool *pool);

#endif
