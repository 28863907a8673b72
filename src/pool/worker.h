/* A worker's life: claim, run, put, sleep.
 *
 * It knows bytes only; what they mean is its handler's affair. */
#ifndef MP_POOL_WORKER_H
#define MP_POOL_WORKER_H

#include "pool/control.h"
#include "pool/wire.h"
#include "process/launch.h"
#include "shm/result_ring.h"

/* One item as the handler gets it. All pointers lie in shared memory. */
typedef struct mp_task {
    const mp_call_block *block;
    const unsigned char *definition; /* block->definition_size bytes; NULL: in hand */
    uint64_t index;                  /* within its call, from 1 */
    bool first, last;                /* of the run of items that the worker does in order */
    bool unheard;                    /* nobody is told what comes of it */
    const unsigned char *bytes;      /* NULL: made of the index and block->recipe */
    size_t size;
    unsigned attempt;           /* of the item, from 1 */
    const unsigned char *state; /* that it saved last; NULL: none */
    size_t state_size;
    /* Behind an item that was done: publishes its result and puts the next one of the run into
     * *task, to be written to the same buffer. False where there is none at once: then run
     * returns. NULL: never. */
    bool (*next)(struct mp_task *task);
    void *worker; /* next's */
} mp_task;

enum mp_outcome { MP_TASK_DONE = 0, MP_TASK_FAILED = 1 };

/* What a new worker is told. `tell` is how it says something to the host beside results: a text as
 * one frame of that kind (MP_FRAME_OUTPUT, MP_FRAME_LOG, MP_FRAME_ANSWER), at any time from start
 * on; or, within run, the state of the item (MP_FRAME_STATE), which outlives the worker from then
 * on. 0 or a negative errno. May wait for the host to read. `show`, within run: how much of the
 * item is done, 0 to 1; costs next to nothing. */
typedef struct mp_birth {
    int (*tell)(void *teller, unsigned kind, const char *bytes, size_t size);
    void (*show)(void *teller, double fraction);
    void *teller;
    unsigned seat;     /* from 0 */
    int32_t host_pid;  /* of the process that made the pool */
    mp_robust *output; /* the lock of those who write lines */
} mp_birth;

typedef struct mp_handler {
    void *ctx;
    uint64_t max_items; /* a worker that has begun so many leaves and is replaced; 0: none */
    /* Calls body(arg), which does not return, so that no error of the functions below gets
     * past it; what it catches ends the worker. May be NULL. */
    void (*shelter)(void *ctx, void (*body)(void *arg), void *arg);
    /* Once in a new worker, before its first task. */
    void (*start)(void *ctx, const mp_birth *birth);
    /* Runs one item and writes its result or its failure to `out`; and those that task->next
     * gives. Returns an mp_outcome of the last, or the negative errno with which `out` refused
     * to grow. */
    int (*run)(void *ctx, mp_task *task, mp_buffer *out);
    /* Behind an item that was not done: whether the next one would lack what it needs, so
     * that the worker is to be replaced; may be NULL. */
    bool (*worn)(void *ctx);
    /* What runs is to be stopped: called from a signal handler, whenever run runs; may be
     * NULL. `late`: since it ran too long, else it is cancelled; `insist`: it was asked to
     * before, and a while has passed. */
    void (*interrupt)(void *ctx, bool late, bool insist);
    /* What runs is asked what it is doing: called likewise; it answers, if it can, by
     * mp_birth.tell of MP_FRAME_ANSWER, from run, with that number. May be NULL. */
    void (*explain)(void *ctx, uint32_t number);
    /* The worker is about to leave for good. */
    void (*finish)(void *ctx);
    /* How its workers' nurseries come to be. Where that is not by a fork of the host, it is by
     * `role` of `roles`, whose letter has first what `brief` puts into it, in the host, and then
     * what mp_local_serve takes. Without a role all are forks, whatever threads there are. */
    enum mp_start_method method;
    const mp_roles *roles;
    const char *role;
    void (*brief)(void *ctx, mp_letter *letter);
} mp_handler;

/* Works in `seat` until the pool closes, then ends the process. `tasks` is the task memory, of
 * which it learns how far it reaches. */
_Noreturn void mp_worker_run(mp_segment *segment, unsigned seat, uint32_t incarnation,
                             mp_region *tasks, mp_region *results, const mp_handler *handler);

#endif
