/* What the files of this room share: a pool of C handlers, and its batches.
 *
 * Invariants: a batch lives from its making until its call is over and its owner has ended it; each
 * task that was added is called back for once, unless its batch was cancelled or its pool freed. */
#ifndef MP_HOST_INNER_H
#define MP_HOST_INNER_H

#include "moonpool.h"

#include "pool/pool.h"

#include <stdatomic.h>

#include <sys/queue.h>

typedef struct moonpool_batch batch;

LIST_HEAD(mp_batches, moonpool_batch);

struct moonpool {
    mp_pool *pool;
    moonpool_options options;
    int32_t maker; /* the pid of the process that made it */
    bool dispatching;
    bool broken;        /* no worker can be born: all fails from then on */
    _Atomic bool woken; /* since the last dispatch has begun */
    int64_t look_at;    /* when to dispatch in any case */
    int64_t try_at;     /* when to try again to start workers; 0: at once */
    unsigned failures;  /* to do so, in a row */
    uint64_t pending;
    size_t under_way; /* bytes of tasks */
    struct mp_batches batches;
    mp_error error;
};

struct moonpool_batch {
    moonpool *owner;
    mp_call *call;
    moonpool_callback callback;
    void *user;
    void (*over)(void *user);
    uint64_t added, heard;
    size_t bytes;              /* of it under way */
    unsigned char *heard_bits; /* of each task, from 0: whether it was called back for */
    uint64_t room;             /* tasks that heard_bits holds */
    bool ended, cancelled, call_over;
    bool stuck; /* memory was short: tasks of it are to be handed out again */
    LIST_ENTRY(moonpool_batch) link;
};

/* The handler of that name; NULL where there is none. *user gets its user. */
moonpool_handler mp_host_find(const char *name, size_t size, void **user);

/* The core's handler of such a pool. */
mp_handler mp_host_handler(moonpool *pool);

/* Its brief. */
void mp_host_brief(void *pool, mp_letter *letter);

/* What a process of this library can be to a pool of handlers: entry.c, of this room or of the
 * library that knows Lua. */
extern const mp_roles mp_host_roles;

/* Notes what went wrong and returns `code`. */
int mp_host_fail(moonpool *pool, int code, const mp_error *error);

/* The same of what is the caller's to mend, which has no errno. */
int mp_host_refuse(moonpool *pool, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Leaves the descriptor as the event loop is to find it. The core's own rest silences
 * moonpool_wakeup, too, which nobody may have heard by then. */
void mp_host_rest(moonpool *pool);

/* Hands out what could not be before, in all batches. */
void mp_host_push(moonpool *pool);

/* Tells the pool's log a line. */
void mp_host_log(const moonpool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* 0, or why nothing can be submitted, which the pool's error says. */
int mp_host_check(moonpool *pool);

/* Calls back for the task of that event. */
void mp_host_tell(moonpool *pool, const mp_event *event);

/* The call of that batch is over. */
void mp_host_over(batch *b);

/* No worker can be born any more: calls back for all that is outstanding. */
void mp_host_break(moonpool *pool, const mp_error *error);

/* Frees a batch of which nobody will hear any more. */
void mp_host_free_batch(batch *b);

#endif
