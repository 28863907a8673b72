/* The seam between the pool's book-keeping and whatever moves its bytes.
 *
 * Above it: ledger, submit, collect. Below it: shared memory and a nursery
 * (transport_local), a loopback in one process (the specs), other machines one
 * day. All calls are the host's, by one thread at a time; only `listen` and `gone`
 * block, until their deadline. */
#ifndef MP_POOL_TRANSPORT_H
#define MP_POOL_TRANSPORT_H

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "pool/control.h"
#include "pool/spans.h"
#include "pool/wire.h"
#include "pool/worker.h"
#include "shm/task_ring.h"

#include <signal.h>

enum mp_arrival_kind {
    MP_ARRIVAL_DONE,    /* one item's result */
    MP_ARRIVAL_FAILED,  /* one item's failure, as its handler wrote it */
    MP_ARRIVAL_TIMEOUT, /* the same of an item that ran too long; may be empty */
    MP_ARRIVAL_SKIPPED, /* `count` items that lay at or above their call's limit */
    MP_ARRIVAL_OUTPUT,  /* what a task wrote, of no row; index 0: no item did */
    MP_ARRIVAL_LOG,     /* what it logged */
    MP_ARRIVAL_ANSWER,  /* what it is doing, as it was asked */
    MP_ARRIVAL_STATE,   /* what an item that runs has saved, of its row; count 0 */
    MP_ARRIVAL_NO_ROOM, /* one item's result found no memory: `code` */
    MP_ARRIVAL_DAMAGED, /* results could not be read, so all workers were killed, whose
                           deaths have arrived before: what is published and cannot be
                           revoked nobody has any more. Until it is taken none is born */
    MP_ARRIVAL_DEATH,   /* a worker: `death`, whose results have all arrived before */
    MP_ARRIVAL_TROUBLE, /* no worker can be born: as in MP_EVENT_TROUBLE */
};

typedef struct mp_arrival {
    enum mp_arrival_kind kind;
    unsigned seat;
    int32_t pid; /* of the worker, 0 where unknown */
    uint64_t row;
    uint64_t index; /* of the item within its call */
    uint32_t count;
    int code;                  /* negative errno */
    const unsigned char *data; /* valid until `taken`; of a timed call's item its times last */
    size_t size;
    int status;            /* as waitpid gives it */
    const mp_death *death; /* valid until `taken` */
} mp_arrival;

typedef struct mp_worker_view {
    unsigned seat; /* from 0 */
    int32_t pid;   /* 0: it is not born yet */
    enum mp_worker_state state;
    uint64_t item;   /* index within its call of the one it runs, 0: none */
    uint64_t row;    /* and its row */
    double fraction; /* how much of it is done, as it has shown, 0 to 1; below 0: it has not */
} mp_worker_view;

typedef struct mp_transport mp_transport;

typedef struct mp_transport_ops {
    /* A buffer in the task memory for something of unknown size; one is open at
     * a time. NULL with *error where memory is short. The bytes are the
     * transport's; `keep` fixes them and gives their offset, `drop` frees what
     * was kept. */
    mp_buffer *(*open)(mp_transport *t, mp_error *error);
    uint64_t (*keep)(mp_transport *t);
    void (*drop)(mp_transport *t, uint64_t at, size_t size);
    /* Bytes kept now. */
    size_t (*kept)(mp_transport *t);
    /* The kept bytes at `at`, readable and writable. */
    unsigned char *(*bytes)(mp_transport *t, uint64_t at);

    /* Hands out a granule; *position serves revoke. -EAGAIN: no room now. */
    int (*publish)(mp_transport *t, const mp_granule *g, uint64_t *position, mp_error *error);
    /* The mp_errand that was kept at `at` is for every worker: those that live do it before
     * whatever is published behind it, later ones before anything. It is never dropped. */
    void (*post)(mp_transport *t, uint64_t at);
    /* Takes it back: true if nobody has it or will have it. */
    bool (*revoke)(mp_transport *t, uint64_t position);
    /* Up to `workers` are to be at work from now on; never fewer than before. Ends
     * the rest that births have after trouble without a code.
     * Where some of them have no parent process yet it makes one, which is a fork of
     * this process: what this is now is what they are. 0 or a negative errno. */
    int (*want)(mp_transport *t, unsigned workers, mp_error *error);
    /* All workers leave behind their item; `want` makes new ones. */
    void (*refresh)(mp_transport *t);
    /* So many workers at most from now on (MP_WORKERS_MAX at most); those of a rank at or
     * above it leave behind their item. */
    void (*resize)(mp_transport *t, unsigned workers);
    /* What the worker of this rank (from 0) does now; false where there is none. */
    bool (*worker)(const mp_transport *t, unsigned rank, mp_worker_view *view);

    /* Items at or above their call's limit that are running are to be stopped. */
    void (*stop_unwanted)(mp_transport *t);
    /* So is this one, if it runs. */
    void (*stop_item)(mp_transport *t, uint64_t row, uint64_t index);
    /* Asks the worker of this rank (from 0) what it is doing, which arrives as its answer; one that
     * is between two items, or in its handler's start, gives none. The question's number, from
     * 1: an answer tells the number of the last one; 0: there is no worker. */
    uint32_t (*ask)(mp_transport *t, unsigned rank);

    /* Workers that have nothing to do while nothing waits for one. */
    unsigned (*idle)(const mp_transport *t);

    /* The next arrival; false if there is none. The same again until `taken`. */
    bool (*next)(mp_transport *t, mp_arrival *a);
    void (*taken)(mp_transport *t);
    /* Instead of `taken`, behind a result of one item: true if the next arrival is the result
     * of the row's next item, whose bytes and index *a has then. NULL: never. */
    bool (*follow)(mp_transport *t, mp_arrival *a);
    /* Behind the same: the results of the row's next items that lie there, too, up to `max`, as
     * far as each is wanted; valid until `taken`. Their number. NULL: never. */
    unsigned (*ahead)(const mp_transport *t, mp_result_frame results[], unsigned max);
    /* Instead of `taken`: `n` (at least 1) of those are taken as well. */
    void (*taken_ahead)(mp_transport *t, const mp_result_frame results[], unsigned n);
    /* Something has arrived. Cheap. */
    bool (*pending)(mp_transport *t);
    /* All that has arrived are results, for each of which its worker will still ring an armed
     * bell: when it has no more of their call, or needs to be heard. NULL: never. */
    bool (*may_wait)(mp_transport *t);
    /* A descriptor readable after an armed bell rang, and when the workers'
     * parent died. */
    int (*fd)(const mp_transport *t);
    /* Sleeps on it until the deadline, with the signal mask `mask` (NULL: as it
     * is). 1: it is readable; 0: the time is over; -EINTR: a signal came. */
    int (*listen)(mp_transport *t, int64_t deadline, const sigset_t *mask);
    /* Nothing has come for a while (NULL: that is nothing to doubt). Sees to it that the workers'
     * parents run and that all workers look for tasks; true if nothing will come, either: each
     * looked, and found none. */
    bool (*doubt)(mp_transport *t);
    /* Behind trouble without a code: why the workers' parents cannot be, as they have said; ""
     * where they have not. NULL: never. */
    const char *(*reason)(const mp_transport *t);
    /* So something that was handed out is lost: what is shared is damaged. The workers end,
     * and what they may have had is told as such. */
    void (*condemn)(mp_transport *t);
    void (*arm)(mp_transport *t, enum mp_bell_mode mode);
    /* Also forgets that the bell rang. */
    void (*disarm)(mp_transport *t);
    /* Rings it from this side: the descriptor is readable until `disarm`. */
    void (*ring)(mp_transport *t);
    /* Makes the descriptor readable at `due` (mp_now's clock) until the next such call;
     * MP_NEVER: not at all. */
    void (*alarm)(mp_transport *t, int64_t due);
    /* Whether spinning for a moment takes no processor from a worker. */
    bool (*may_spin)(const mp_transport *t);

    /* All work is done: workers are to leave. */
    void (*finish)(mp_transport *t);
    /* Workers are to be killed now. */
    void (*terminate)(mp_transport *t);
    /* True when no process is left; waits for that until the deadline. */
    bool (*gone)(mp_transport *t, int64_t deadline);
    /* How many workers live or may be born as soon as they are wanted, those apart that
     * are to leave. */
    unsigned (*crew)(const mp_transport *t);
    /* What is measured of work of this kind: nanoseconds an item, 0 unknown. */
    uint32_t (*item_cost)(const mp_transport *t, uint32_t kind);
    /* The claims of all workers so far, and nanoseconds of work, what runs now included. */
    void (*count)(const mp_transport *t, uint64_t *claims, int64_t *busy);
    /* What the workers of this seat have done, in order: their number; -1 behind the last seat.
     * NULL: nobody knows. */
    int (*spans)(const mp_transport *t, unsigned seat, mp_span found[MP_SPANS]);
    /* Kills what is left and frees everything. In a fork of the host: frees this
     * process's copies only. */
    void (*destroy)(mp_transport *t);
} mp_transport_ops;

struct mp_transport {
    const mp_transport_ops *ops;
};

/* Workers on this machine: `workers` of them at most, each running `handler`. */
int mp_transport_local(mp_transport **t, unsigned workers, const mp_handler *handler,
                       mp_error *error);

/* In a role: is a nursery of the pool of which the rest of the letter tells, and forks workers that
 * run `handler`. Returns the exit code where it cannot be. */
int mp_local_serve(mp_letter *letter, const mp_handler *handler);

#endif
